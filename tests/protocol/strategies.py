"""Hypothesis strategies for everything that has a wire form, read off the models themselves."""

import unicodedata
from collections.abc import Iterable, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from protocol.models import Wire

_SHORT = 40  # bytes or characters; long ones only make the search slow


def values(model: type[Wire]) -> st.SearchStrategy[Wire]:
    """Any acceptable value of a model."""
    fields = {name: _field(field.annotation, field.metadata) for name, field in model.model_fields.items()}
    return st.builds(model, **fields)


def _field(annotation: Any, metadata: Sequence[Any]) -> st.SearchStrategy[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extra = get_args(annotation)
        return _field(inner, [*metadata, *_flat(extra)])
    if origin in {Union, UnionType}:
        return st.one_of([_field(option, metadata) for option in get_args(annotation)])
    if origin is Literal:
        return st.sampled_from(get_args(annotation))
    if origin is tuple:
        least, most = _lengths(metadata)
        return st.lists(_field(get_args(annotation)[0], ()), min_size=least, max_size=min(most, 3)).map(tuple)
    return _plain(annotation, metadata)


def _plain(kind: type, metadata: Sequence[Any]) -> st.SearchStrategy[Any]:
    if issubclass(kind, Wire):
        return values(kind)
    least, most = _lengths(metadata)
    pattern = _first(metadata, "pattern", None)
    if kind is str:
        return st.from_regex(pattern, fullmatch=True) if pattern else _text(metadata, least, most)
    if kind is bytes:
        return st.binary(min_size=least, max_size=most)
    if kind is float:
        return st.floats(min_value=0, max_value=_first(metadata, "le", None), allow_infinity=False)
    return _whole(metadata) if kind is int else st.from_type(kind)


def _text(metadata: Sequence[Any], least: int, most: int) -> st.SearchStrategy[str]:
    checks = [m.func for m in metadata if isinstance(m, AfterValidator)]
    if not checks:
        return st.text(min_size=least, max_size=most)
    seen = st.text(st.characters(categories=["L", "N", "P"]), min_size=least, max_size=most)
    return seen.map(lambda text: unicodedata.normalize("NFC", text)).filter(lambda text: len(text) <= most)


def _whole(metadata: Sequence[Any]) -> st.SearchStrategy[int]:
    most = min(_first(metadata, "le", 1 << 63), _first(metadata, "lt", (1 << 63) + 1) - 1)
    return st.integers(_first(metadata, "ge", 0), most)


def _flat(metadata: Iterable[Any]) -> list[Any]:
    return [part for m in metadata for part in (m.metadata if isinstance(m, FieldInfo) else [m])]


def _first(metadata: Sequence[Any], attribute: str, default: Any) -> Any:
    return next((getattr(m, attribute) for m in metadata if getattr(m, attribute, None) is not None), default)


def _lengths(metadata: Sequence[Any]) -> tuple[int, int]:
    least: int = _first(metadata, "min_length", 0)
    return least, max(least, min(_first(metadata, "max_length", _SHORT), _SHORT))
