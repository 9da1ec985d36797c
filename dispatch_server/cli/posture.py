"""dispatch-server posture."""

from typing import Annotated

import typer

from dispatch_server.cli.connect import connect
from dispatch_server.cli.words import POSTURE_MEANS
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption, name
from protocol.terminal.program import command_group
from protocol.terminal.screen import tell
from protocol.texts import SENTENCES, say
from situational import Posture
from situational.texts import Language, posture_text

app = command_group("What the hazard does to dispatching.")


@app.command()
def release(
    config: ConfigOption,
    person: Annotated[str, typer.Option(parser=name, help="Who takes the responsibility.")],
    *,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Take every posture back to normal; the ledger keeps who did it. What goes on raises it again."""
    talk = connect(config, lang, as_json=as_json)
    result = talk.ask("release-posture", person=person)
    now = posture_text(Posture[result["posture"].upper()], Language(talk.language.value))
    means = say(POSTURE_MEANS[Posture[result["posture"].upper()]], talk.language)
    talk.tell(result, lambda _: tell(f"{say(SENTENCES['released'], talk.language, posture=now)} ({means})"))
