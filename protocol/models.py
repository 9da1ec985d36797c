"""The base of everything that is parsed from bytes, and the one canonical codec.

Canonical means: one value has one encoding. A map's keys stand in the order of the model's fields, and
`decode` encodes again and compares, so a signature over bytes is a signature over the value.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Self, TypeVar

import msgpack
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import override

from protocol.errors import PeerFault, WireCode

NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"
Name = Annotated[str, Field(pattern=NAME)]
Id16 = Annotated[bytes, Field(min_length=16, max_length=16)]
Hash = Annotated[bytes, Field(min_length=32, max_length=32)]
Sig = Annotated[bytes, Field(min_length=64, max_length=64)]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Text = Annotated[str, Field(max_length=500)]


def _one_spelling(text: str) -> str:
    """What looks the same must be the same: equipment is locked and read back by these texts."""
    if text != unicodedata.normalize("NFC", text).strip() or not text.isprintable():
        raise ValueError("not in normal form: no spaces around it, no control characters, composed letters")
    return text


Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_spelling)]


T = TypeVar("T", bound="Wire")

# Before anything is made of it: a claimed length costs memory. No model has longer arrays or more fields.
_MAX_ARRAY = 512
_MAX_MAP = 32


class Wire(BaseModel):
    """A strict, frozen value of the wire; unknown fields are refused."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    def encode(self) -> bytes:
        """The canonical bytes."""
        return pack(self.__pydantic_serializer__.to_python(self))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The value of canonical bytes. Raises PeerFault(MALFORMED)."""
        value: Self = _decode(cls.__pydantic_validator__.validate_python, data)
        return value

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"  # values may hold secrets; logs name fields on purpose

    __str__ = __repr__  # pydantic's own shows every value, and so does any f-string

    @override
    def __repr_args__(self) -> Sequence[tuple[str | None, Any]]:
        return ()  # what rich and devtools print


# One packer for all: nothing that it packs runs Python code, so no other thread or call can come between.
_PACKER = msgpack.Packer(use_bin_type=True)


def pack(value: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a map whose keys stand in the order of its model's fields."""
    packed: bytes = _PACKER.pack(value)
    return packed


def decode_as(adapter: TypeAdapter[T], data: bytes) -> T:
    """Parse `data` by a type adapter of a union of models. Raises PeerFault(MALFORMED)."""
    return _decode(adapter.validate_python, data)


def _decode(validate: Callable[[Any], T], data: bytes) -> T:
    try:
        raw = msgpack.unpackb(
            data,
            raw=False,
            use_list=False,
            strict_map_key=True,
            max_array_len=_MAX_ARRAY,
            max_map_len=_MAX_MAP,
        )
        value = validate(raw)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        # The peer chooses the name of an unknown field: it must not flood or forge lines of a log.
        raise PeerFault(WireCode.MALFORMED, f"field {where[:80]!a} is not acceptable") from None
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError, OverflowError) as error:
        raise PeerFault(WireCode.MALFORMED, f"not a message: {type(error).__name__}") from None
    if value.encode() != data:
        raise PeerFault(WireCode.MALFORMED, "not the canonical encoding")
    return value
