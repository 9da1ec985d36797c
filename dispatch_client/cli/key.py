"""dispatch-client key: a person's signing key, made and kept where the person works."""

import os
from pathlib import Path
from typing import Annotated

import typer

from dispatch_client.keyfile import WrappingCost, change_password, create_key
from protocol.terminal.options import LanguageOption, language_of, name
from protocol.terminal.person import new_secret, secret
from protocol.terminal.program import command_group
from protocol.terminal.screen import tell
from protocol.texts import SENTENCES, Language, say

app = command_group("A person's signing key: made here, kept under the person's password, never sent.")

PersonOption = Annotated[str, typer.Option("--person", parser=name, help="The person's name.")]
FolderOption = Annotated[Path, typer.Option("--folder", help="`people` of the configuration.")]


def _choose(person: str, language: Language) -> str:
    prompts = say(SENTENCES["password"], language), say(SENTENCES["password again"], language)
    return new_secret(*prompts, person=person)


@app.command()
def new(person: PersonOption, folder: FolderOption, lang: LanguageOption = None) -> None:
    """Make a key and a certificate request."""
    password = _choose(person, language_of(lang))
    request = create_key(person, password, folder, os.urandom, WrappingCost())
    tell(f"key:     {folder / f'{person}.key'}  (it stays here)")
    tell(f"request: {request}")
    tell("Next: take the request to the certificate authority, which runs")
    tell(f"  dispatch-server pki person --role ROLE --name {person} --station NODE --request {request.name}")
    tell(f"and bring its answer back as {folder / f'{person}.crt'}.")
    tell("Use the same password when you are added at the server: it opens both.")


@app.command()
def password(person: PersonOption, folder: FolderOption, lang: LanguageOption = None) -> None:
    """Put a key under a new password: first the old one, then the new one twice."""
    language = language_of(lang)
    old = secret(say(SENTENCES["old password"], language))
    new = _choose(person, language)
    change_password(person, folder, old=old, new=new, random=os.urandom, cost=WrappingCost())
    tell(f"{folder / f'{person}.key'}: the new password opens it. Have the server's changed to the same one.")
