"""Options that many commands have, and how their texts are read."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from protocol.models import NAME
from protocol.texts import Language

ConfigOption = Annotated[
    Path, typer.Option("--config", envvar="DISPATCH_CONFIG", help="This node's configuration file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
LanguageOption = Annotated[
    Language | None, typer.Option("--lang", help="Language of tables; LANG decides otherwise.")
]
YesOption = Annotated[
    bool, typer.Option("--yes", help="Without a terminal: a person has looked. A terminal is always asked.")
]


def language_of(chosen: Language | None) -> Language:
    """What was chosen, else what the environment says (POSIX order), else English."""
    if chosen:
        return chosen
    wanted = next((os.environ[n] for n in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(n)), "")
    return Language.ZH if wanted.startswith("zh") else Language.EN


def name(value: str) -> str:
    """A name of a node, a person or a deployment. It also becomes part of file names and certificates.

    Raises typer.BadParameter.
    """
    if not re.fullmatch(NAME, value):
        raise typer.BadParameter("a name is 1 to 32 lower-case letters, digits and hyphens")
    return value
