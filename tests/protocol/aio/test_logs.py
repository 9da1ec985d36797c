import asyncio
import json
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from protocol.aio.logs import configure_logs, hide_secrets, link_log
from tests.protocol.aio.callers import Scene
from tests.protocol.aio.stand_ins import settle
from tests.support.virtual_loop import run

SECRET = "correct horse"
NAMES = [
    "password",
    "new_password",
    "PASSWORD",
    "passphrase",
    "secret",
    "client_secret",
    "response",
    "private_key",
    "token",
    "totp",
    "code_value",
    "key_pem",
]


def hidden(**values: Any) -> dict[str, Any]:
    return dict(hide_secrets(None, "", {"event": "logged in", **values}))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("secret", [SECRET, SECRET.encode(), [SECRET], {"a": SECRET}, 123_456, None])
def test_a_value_whose_name_speaks_of_a_secret_is_hidden(name: str, secret: object) -> None:
    assert hidden(**{name: secret})[name] == "[hidden]"


def test_everything_else_is_told() -> None:
    values = {"person": "li", "count": 3, "codes": ["stale"], "order": {"id": "o-1", "open": True}}
    assert hidden(**values) == {"event": "logged in", **values}


@pytest.mark.parametrize("data", [b"12345", bytearray(b"12345"), memoryview(b"12345")])
def test_bytes_are_told_by_their_number(data: object) -> None:
    assert hidden(body=data, more=[data])["body"] == "<5 bytes>"
    assert hidden(body=data, more=[data])["more"] == ["<5 bytes>"]


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(
            st.one_of(st.integers(), st.binary(max_size=3), st.text(max_size=3)), inner, max_size=3
        ),
        st.tuples(st.sampled_from(NAMES), st.just(SECRET), inner).map(lambda t: {t[0]: t[1], "next": t[2]}),
        st.just({7: {"password": SECRET}}),
        st.just([({"token": SECRET.encode()},)]),
    )


@settings(max_examples=40)
@given(st.recursive(st.one_of(st.none(), st.integers(), st.just(SECRET.encode())), nested, max_leaves=12))
def test_secrets_are_hidden_at_any_depth_of_mappings_and_sequences(value: Any) -> None:
    shown = hidden(value=value)
    assert SECRET not in repr(shown)
    json.dumps(shown)


def test_hiding_does_not_alter_what_the_program_holds() -> None:
    held = {"inner": {"password": SECRET}}
    hidden(value=held)
    assert held == {"inner": {"password": SECRET}}


# --- the whole way to standard error ---


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.contextvars.clear_contextvars()
    structlog.configure(**before)


def fail_with(secret: str) -> None:
    """A function that holds a secret in a local variable when it fails."""
    held = [secret]
    raise LookupError(len(held))


def logged(capsys: pytest.CaptureFixture[str], form: Literal["json", "console"], level: str = "info") -> str:
    configure_logs("plant-1", form, level)
    log = structlog.get_logger("test")
    log.debug("detail")
    log.info("logged in", person="li", password=SECRET, given={"response": SECRET})
    log.warning("refused", why="line one\nline two")
    try:
        fail_with(SECRET)
    except LookupError:
        log.exception("defect")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert SECRET not in captured.err
    return captured.err


def test_a_log_line_is_one_json_object_that_names_node_time_and_level(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [json.loads(line) for line in logged(capsys, "json").splitlines()]
    assert [line["event"] for line in lines] == ["logged in", "refused", "defect"]
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert {line["node"] for line in lines} == {"plant-1"}
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[0]["password"] == lines[0]["given"]["response"] == "[hidden]"
    assert "LookupError" in lines[2]["exception"]


def test_on_a_console_a_failure_shows_where_it_was_and_no_local_variables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = logged(capsys, "console")
    assert "fail_with" in text
    assert "held" in text  # the line of source, not its value
    assert "plant-1" in text


def test_a_value_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("json", "console"):
        text = logged(capsys, "json" if form == "json" else "console")
        assert not [line for line in text.splitlines() if line.startswith("line two")]


@pytest.mark.parametrize(
    ("level", "first"), [("debug", "detail"), ("info", "logged in"), ("error", "defect")]
)
def test_only_what_is_important_enough_is_told(
    capsys: pytest.CaptureFixture[str], level: str, first: str
) -> None:
    assert json.loads(logged(capsys, "json", level).splitlines()[0])["event"] == first


async def test_lines_of_one_session_share_an_id_that_no_other_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("plant-1", "json", "info")
    log = structlog.get_logger("test")

    async def session(number: int) -> None:
        with link_log("hq", number):
            log.info("open")
            await asyncio.sleep(0)
            await asyncio.create_task(told_later())

    async def told_later() -> None:
        log.info("ended", peer="somebody else")

    await asyncio.gather(session(1), session(2))
    log.info("after")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {line["node"] for line in lines} == {"plant-1"}
    assert sorted((line["event"], line.get("link")) for line in lines[:-1]) == [
        ("ended", "hq#1"),
        ("ended", "hq#2"),
        ("open", "hq#1"),
        ("open", "hq#2"),
    ]
    assert {line["peer"] for line in lines if line["event"] == "open"} == {"hq"}
    assert "link" not in lines[-1]


def test_every_line_of_a_listener_about_a_link_names_the_link() -> None:
    async def twice() -> None:
        scene = Scene()
        for _ in range(2):
            caller = await scene.open()
            caller.stream.close()
            await settle()
            await asyncio.sleep(1)

    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        run(twice())
    assert [(line["event"], line["peer"], line["link"]) for line in lines] == [
        ("link open", "hq", "hq#1"),
        ("link ended", "hq", "hq#1"),
        ("link open", "hq", "hq#2"),
        ("link ended", "hq", "hq#2"),
    ]
