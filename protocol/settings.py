"""Configuration files: TOML, strict, with errors that name the place and the remedy."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocol.errors import ConfigurationRefused
from protocol.models import Name

Port = Annotated[int, Field(ge=0, le=65_535)]
S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """A strict, frozen table of a configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class KeySettings(Settings):
    """Where this node's certificate, private key and trust lie."""

    authority: Path
    certificate: Path
    key: Path
    revocations: Path | None = None


class ListenSettings(Settings):
    """Where this node waits for its superior; the superior dials."""

    superior: Name
    host: str = "0.0.0.0"  # noqa: S104 - the link is mutual TLS; the address is the operator's choice
    port: Port = 20_880


class LogSettings(Settings):
    """Structured logs go to standard error."""

    format: Literal["json", "console"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


def load_settings(path: Path, model: type[S]) -> S:
    """Read a TOML file; relative paths in it are relative to its folder. Raises ConfigurationRefused."""
    raw = read_toml(path)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise refusals_of(path, error)[0] from None


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigurationRefused."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationRefused(
            str(path), f"cannot be read ({error.strerror})", "Check the path"
        ) from None
    except (ValueError, RecursionError) as error:  # also a number of 5,000 digits, brackets without end
        raise ConfigurationRefused(str(path), f"is not TOML: {error}", "Correct that place") from None


def differing(before: Settings, after: Settings) -> list[str]:
    """The top-level settings in which two configurations of one kind differ."""
    return [name for name in type(before).model_fields if getattr(before, name) != getattr(after, name)]


_REMEDIES = {"missing": "Add it. ", "extra_forbidden": "Correct its name or remove it. "}


def refusals_of(path: Path, error: ValidationError) -> list[ConfigurationRefused]:
    """Each place of a file that is not as it must be."""
    return [
        ConfigurationRefused(
            f"{path}: {'.'.join(str(part) for part in fault['loc']) or 'the file'}",
            fault["msg"],
            _REMEDIES.get(fault["type"], "") + "The README of configs/ lists every setting",
        )
        for fault in error.errors(include_url=False, include_input=False)
    ]


def resolve(base: Path, path: Path) -> Path:
    """A path of a configuration file, relative to the file's folder."""
    return path if path.is_absolute() else base / path
