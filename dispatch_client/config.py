"""The configuration of a desk or a plant. There is no address of any superior in it: the superior dials."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from protocol.models import Name
from protocol.settings import KeySettings, ListenSettings, LogSettings, Settings


class ClientSettings(Settings):
    """One desk or plant."""

    role: Literal["desk", "plant"]
    node: Name
    deployment: Name
    journal: Path
    control: Path
    people: Path
    keys: KeySettings
    listen: ListenSettings
    log: LogSettings = LogSettings()
    telemetry_interval_s: Annotated[float, Field(ge=0.1, le=60)] = 5.0
