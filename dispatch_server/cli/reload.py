"""dispatch-server reload."""

from dispatch_server.cli.connect import connect
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption
from protocol.terminal.program import command_group
from protocol.terminal.renewal import tell_reload

app = command_group()


@app.command()
def reload(config: ConfigOption, *, as_json: JsonOption = False, lang: LanguageOption = None) -> None:
    """Take over new keys, revocation lists and addresses of links, without a restart."""
    talk = connect(config, lang, as_json=as_json)
    talk.tell(talk.ask("reload"), lambda result: tell_reload(result, talk.language))
