"""From a configuration file to the running desk or plant that it configures."""

from pathlib import Path

from dispatch_client.config import ClientSettings
from protocol.settings import load_settings, resolve
from protocol.terminal.options import language_of
from protocol.terminal.talk import Talk
from protocol.texts import Language


def connect(config: Path, language: Language | None, *, as_json: bool = False) -> Talk:
    """Whom to talk to. Raises ConfigurationRefused."""
    settings = load_settings(config, ClientSettings)
    return Talk(resolve(config.absolute().parent, settings.control), language_of(language), as_json)
