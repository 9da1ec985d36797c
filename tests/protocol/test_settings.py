from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, ValidationError

from protocol.errors import ConfigurationRefused
from protocol.settings import (
    KeySettings,
    ListenSettings,
    LogSettings,
    Settings,
    load_settings,
    read_toml,
    refusals_of,
    resolve,
)


class NodeSettings(Settings):
    """A configuration with a table in it."""

    node: Annotated[str, Field(max_length=8)]
    keys: KeySettings
    listen: ListenSettings
    log: LogSettings = LogSettings()


GOOD = """
node = "plant-1"
[keys]
authority = "pki/authority.crt"
certificate = "/etc/dispatch/node.crt"
key = "node.key"
[listen]
superior = "hq"
"""


def refused(folder: Path, text: str | bytes) -> ConfigurationRefused:
    path = folder / "node.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationRefused) as caught:
        load_settings(path, NodeSettings)
    assert caught.value.where.startswith(str(path))
    return caught.value


def place(folder: Path, text: str) -> tuple[str, str]:
    """Where a configuration is wrong, and what is wrong there."""
    refusal = refused(folder, text)
    assert refusal.remedy.endswith("The README of configs/ lists every setting")
    return refusal.where.removeprefix(f"{folder / 'node.toml'}: "), refusal.reason


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "Add it. The README of configs/ lists every setting"),
        ("unknown = 1\n", "Correct its name or remove it. The README of configs/ lists every setting"),
    ],
)
def test_what_is_missing_is_to_be_added_and_what_is_not_known_removed(
    tmp_path: Path, text: str, remedy: str
) -> None:
    assert (
        refused(tmp_path, text + (GOOD if text else GOOD.replace('node = "plant-1"\n', ""))).remedy == remedy
    )


def test_a_good_file_is_read_with_the_defaults_of_what_it_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(GOOD)
    settings = load_settings(tmp_path / "node.toml", NodeSettings)
    assert settings.keys.key == Path("node.key")
    assert (settings.listen.superior, settings.listen.port) == ("hq", 20_880)
    assert settings.log == LogSettings(format="console", level="info")
    assert settings.keys.revocations is None


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        (GOOD + 'extra = "x"\n', "listen.extra", "Extra inputs are not permitted"),
        ("unknown = 1\n" + GOOD, "unknown", "Extra inputs are not permitted"),
        (GOOD + "[other]\n", "other", "Extra inputs are not permitted"),
        (GOOD.replace('node = "plant-1"\n', ""), "node", "Field required"),
        (GOOD.replace('key = "node.key"\n', ""), "keys.key", "Field required"),
        (GOOD.replace("plant-1", "far-too-long"), "node", "String should have at most 8 characters"),
        (GOOD.replace('"hq"', '"HQ"'), "listen.superior", "String should match pattern"),
        (GOOD + "port = 65536\n", "listen.port", "Input should be less than or equal to 65535"),
        (GOOD + "port = -1\n", "listen.port", "Input should be greater than or equal to 0"),
        (
            GOOD + '[log]\nlevel = "loud"\n',
            "log.level",
            "Input should be 'debug', 'info', 'warning' or 'error'",
        ),
        (GOOD + "[log]\nformat = 7\n", "log.format", "Input should be 'json' or 'console'"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_place(
    tmp_path: Path, text: str, where: str, why: str
) -> None:
    found, reason = place(tmp_path, text)
    assert found == where
    assert reason.startswith(why)


def test_every_place_that_is_wrong_can_be_told(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as caught:
        NodeSettings.model_validate({"node": "far-too-long", "other": 1, "keys": {}})
    refusals = refusals_of(tmp_path / "f", caught.value)
    places = {refusal.where.removeprefix(f"{tmp_path / 'f'}: ") for refusal in refusals}
    assert places == {"node", "other", "listen", "keys.authority", "keys.certificate", "keys.key"}


@pytest.mark.parametrize(
    "text", ["node = ", "node = plant-1", "[keys\n", "node = 'a'\nnode = 'b'\n", b"node = '\xff'\n", b"\x00"]
)
def test_a_file_that_is_no_toml_is_refused_with_the_place(tmp_path: Path, text: str | bytes) -> None:
    refusal = refused(tmp_path, text)
    assert refusal.reason.startswith("is not TOML: ")
    assert refusal.remedy == "Correct that place"


def test_an_empty_file_lacks_everything(tmp_path: Path) -> None:
    assert place(tmp_path, "") == ("node", "Field required")


def test_a_file_that_is_missing_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.toml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigurationRefused, match="Check the path") as caught:
            read_toml(path)
        assert (caught.value.where, caught.value.reason) == (str(path), f"cannot be read ({why})")


def test_a_refusal_says_where_why_and_what_to_do(tmp_path: Path) -> None:
    text = str(refused(tmp_path, GOOD + "port = -1\n"))
    assert text == (
        f"{tmp_path / 'node.toml'}: listen.port: Input should be greater than or equal to 0. "
        "The README of configs/ lists every setting"
    )


def test_a_wrong_value_is_not_repeated(tmp_path: Path) -> None:
    assert "hunter2" not in str(refused(tmp_path, GOOD.replace('"hq"', '"hunter2 HUNTER2"')))


def test_settings_cannot_be_changed() -> None:
    settings: Any = LogSettings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.level = "debug"


def test_a_path_is_relative_to_the_folder_of_its_configuration() -> None:
    assert resolve(Path("/etc/dispatch"), Path("node.key")) == Path("/etc/dispatch/node.key")
    assert resolve(Path("/etc/dispatch"), Path("/var/node.key")) == Path("/var/node.key")
