"""Makes the corpus: `python -m tests.fuzz.corpus` writes it anew, byte for byte the same every time."""

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from protocol.errors import OrderRefused, RefusalCode
from protocol.frames import Kind
from protocol.items import AskItem, PostureItem, answer_item, event_item, refusal_item
from protocol.lifecycle import Input
from protocol.messages import Goodbye, Reply, Sample, Signed
from protocol.models import Wire
from protocol.requests import (
    BeginRequest,
    ChallengeReply,
    DoneReply,
    FactorOffer,
    GrantReply,
    LogoutRequest,
    ProveRequest,
    Purpose,
    RefusedReply,
    SessionReply,
)
from tests.fuzz import certificate, events, ledger, script, sessions
from tests.fuzz.revocations import AUTHORITY_PEM, pem
from tests.fuzz.stage import AUTHORITY, AUTHORITY_KEY, EVENTS, HQ, OPERATOR, RECORDS, SIGNERS
from tests.protocol.links import SUPERIORS_LEDGER, frame, frames_of
from tests.support.pki import NOW, NOW_MS

FOLDER = Path(__file__).parent / "corpus"
_CONFIGS = Path(__file__).parent.parent.parent / "configs"
Seeds = Iterator[tuple[str, bytes]]


def _superior() -> Seeds:
    def report(seq: int, acknowledged: int, cursor: int, parts: int, plain: bytes = b"news") -> script.Deed:
        return sessions.REPORT, struct.pack("!bbbB", seq, acknowledged, cursor, parts) + plain

    open_, turn = (sessions.HANDSHAKE, b""), (sessions.TURN, b"\x00\x00")
    later, late = (sessions.TURN, b"\x27\x10"), (sessions.TURN, b"\xff\xff")
    goodbye = (sessions.RAW, frame(Kind.GOODBYE, Goodbye(code=1, detail="stopping")))
    yield "open", _played(open_)
    yield "whole", _played(open_, turn, report(0, 3, 1, 0b1000110), later, report(0, 3, 1, 1), goodbye)
    yield "twice", _played(open_, turn, report(0, 1, 1, 3), report(0, 1, 1, 3))
    yield "silent", _played(open_, turn, late)
    yield "gap", _played(open_, turn, report(0, 3, 2, 1))
    yield "too-many", _played(open_, turn, report(0, 3, 1, 0b10111101))
    yield "large", _played(open_, turn, report(0, 0, 1, 3, b"x" * 4_000))
    welcome = sessions.SuperiorPlay(0)._handshake(b"")
    yield "raw", _played((sessions.RAW, welcome), turn, goodbye)
    body = Signed.decode(welcome[5:]).body
    yield "signed", _played((sessions.HANDSHAKE, body), turn)


def _subordinate() -> Seeds:
    def poll(seq: int, acknowledged: int, hold: int) -> script.Deed:
        return sessions.POLL, struct.pack("!bbbB", seq, acknowledged, 0, hold)

    def item(deed: int, number: int, plain: bytes = b"order") -> script.Deed:
        return deed, struct.pack("!bbbB", number, 0, 0, 0) + plain

    open_, turn, late = (sessions.HANDSHAKE, b""), (sessions.TURN, b"\x00\x00"), (sessions.TURN, b"\xff\xff")
    goodbye = (sessions.RAW, frame(Kind.GOODBYE, Goodbye(code=15, detail="replaced")))
    deliver, reply = item(sessions.DELIVER, 1), item(sessions.REPLY, 7)
    yield "open", _played(open_)
    yield (
        "whole",
        _played(open_, poll(1, 0, 240), deliver, turn, poll(1, 3, 0), reply, deliver, turn, goodbye),
    )
    yield "twice", _played(open_, poll(1, 0, 240), poll(1, 0, 240))
    yield "silent", _played(open_, late)
    yield "gap", _played(open_, item(sessions.DELIVER, 2))
    yield "large", _played(open_, item(sessions.DELIVER, 1, b"x" * 4_000))
    hello = sessions.SubordinatePlay(0)._handshake(b"")
    yield "raw", _played((sessions.RAW, hello + poll(1, 0, 0)[1]), turn, goodbye)
    yield "signed", _played((sessions.HANDSHAKE, sessions.hello_body(term=2)), poll(1, 0, 0), turn)
    yield "degenerate", _played((sessions.HANDSHAKE, sessions.hello_body(ephemeral=bytes(32))))


def _played(*deeds: script.Deed) -> bytes:
    return b"\x07" + script.write(deeds)


def _items() -> Seeds:
    event = event_item(EVENTS[0].signed, "plant-1")
    why = OrderRefused(RefusalCode.STALE, "look at it again")
    values: Mapping[str, Wire] = {
        "event": event,
        "refusal": refusal_item(EVENTS[1].hash, "o-1", "desk-1", why),
        "ask": AskItem(to="plant-1", order="o-1", head=EVENTS[4].hash),
        "answer": answer_item("plant-1", "o-1", RECORDS[5]),
        "posture": PostureItem(
            to="desk-1",
            node="plant-1",
            posture="held",
            before="normal",
            cause="hazard",
            level="major",
            person="",
            at_ms=NOW_MS,
        ),
        "begin": BeginRequest(person="li", purpose=Purpose.LOGIN, session=b"", digest=bytes(32)),
        "prove": ProveRequest(challenge=bytes(16), password="p", factor="totp", response=b"123456"),
        "logout": LogoutRequest(person="li", session=bytes(16)),
        "challenge": ChallengeReply(
            challenge=bytes(16), expires_in_ms=1, factors=(FactorOffer(name="totp", data=b""),)
        ),
        "session": SessionReply(session=bytes(16), expires_ms=1),
        "grant": GrantReply(challenge=bytes(16), expires_ms=1),
        "done": DoneReply(),
        "refused": RefusedReply(code="locked", detail="wait", retry_after_s=60),
        "reply": Reply(number=1, sealed=bytes(20)),
        "sample": Sample(
            node="plant-1",
            at_ms=NOW_MS,
            logged_in_nodes=1.0,
            network_flow=0.5,
            external_connections=None,
            memory_used=1e9,
        ),
        "ledger": SUPERIORS_LEDGER,
        "signed-event": EVENTS[3].signed,
    }
    for name, value in values.items():
        yield name, value.encode()
    yield "longer-than-needed", b"\xde\x00\x01" + DoneReply().encode()[1:]
    yield "nested", (b"\xdd\x00\x00\x00\xff" * 200)
    for number, (kind, payload) in enumerate(_traffic()):
        yield f"{kind.name.lower()}-{number}", payload


def _traffic() -> Iterator[tuple[Kind, bytes]]:
    """The bodies of a session's frames: only their form counts here, so nobody's keys matter."""
    for deed_role, seeds in ((sessions.SuperiorPlay, _superior), (sessions.SubordinatePlay, _subordinate)):
        play = deed_role(0)
        play.perform(dict(seeds())["whole"][1:])
        yield from frames_of(play.said)


def _events() -> Seeds:
    for event in EVENTS:
        name = event.event.input.value
        key = next(key for key in SIGNERS if key.certificate.name == event.signer.name)
        yield f"{name}-forged", b"\xff" + event.signed.encode()
        yield name, bytes([SIGNERS.index(key)]) + event.signed.body
    for given in (Input.REFUSE, Input.FAIL):
        body = events.rewritten(EVENTS[7].signed.body, OPERATOR, input=given)
        yield f"as-{given.value}", bytes([SIGNERS.index(OPERATOR)]) + body


def _certificate() -> Seeds:
    for key in SIGNERS:
        der = key.certificate.der
        yield f"{key.certificate.name}-whole", b"\x00" + der
        yield f"{key.certificate.name}-signed", b"\x01" + contents(der)
    yield "authority", b"\x00" + AUTHORITY.public_bytes(Encoding.DER)


def contents(der: bytes) -> bytes:
    """What was signed of a certificate or a revocation list."""
    loaded = x509.load_der_x509_certificate(der)
    assert certificate.sealed(loaded.tbs_certificate_bytes) == der
    return loaded.tbs_certificate_bytes


def _revocations() -> Seeds:
    builder = x509.CertificateRevocationListBuilder()
    builder = builder.issuer_name(AUTHORITY.subject).last_update(NOW).next_update(NOW + timedelta(days=30))
    revoked = x509.RevokedCertificateBuilder().serial_number(HQ.certificate.serial).revocation_date(NOW)
    made = builder.add_revoked_certificate(revoked.build()).add_extension(x509.CRLNumber(1), critical=False)
    signed = made.sign(AUTHORITY_KEY, None)
    yield "text", b"\x00" + pem(signed.public_bytes(Encoding.DER))
    yield "two", b"\x00" + 2 * pem(signed.public_bytes(Encoding.DER))
    yield "der", b"\x01" + signed.public_bytes(Encoding.DER)
    yield "signed", b"\x02" + signed.tbs_certlist_bytes
    yield "authority", b"\x03" + AUTHORITY_PEM


def _control() -> Seeds:
    order = {"order": "o-1"}
    text = {"command": "repeat", "arguments": {"what": ["断开", None, 1.5, True]}}
    shelve = {"node": "plant-1", "kind": "link", "action": "shelve", "person": "li", "for_s": 60}
    draft = {
        "type": "permitted-operation",
        "plant": "plant-1",
        "number": "1",
        "title": "t",
        "steps": [["d", "a"]],
    }
    login = {"person": "li", "password": "p", "response": "123456"}
    asked = {"show": order, "list": {"limit": 5}, "alarm": shelve, "draft": order | draft, "login": login}
    yield "repeat", json.dumps(text, ensure_ascii=False).encode() + b"\n"
    for command, arguments in asked.items():
        yield command, json.dumps({"command": command, "arguments": arguments}).encode() + b"\n"
    yield "unknown", b'{"command": "fly"}\n'
    yield "surrogate", b'{"command": "\\ud800"}\n'
    yield "echoed-surrogate", b'{"command": "repeat", "arguments": {"what": "\\udfff"}}\n'
    yield "noise", b'[]\n{}\n{"command": []}\n{"command": {}}\n\xff\n1\n\n'


def _settings() -> Seeds:
    for name in ("hq", "center", "desk", "plant"):
        lines = (_CONFIGS / f"{name}.toml").read_bytes().splitlines()
        yield name, b"\n".join(line.partition(b"#")[0].rstrip() for line in lines if line[:1] != b"#")
    yield "deep", b"a = " + b"[" * 2_000
    yield "long", b"a = " + b"9" * 5_000


def _ledger() -> Seeds:
    body = EVENTS[2].signed.encode()
    yield "untouched", b""
    for start in (0, 96, 4_096, 20_000, 40_000):
        yield f"damaged-{start}", script.write([(ledger.DAMAGE, start.to_bytes(3) + b"\xff" * 16)])
    yield "resealed", script.write([(9, b"")])
    yield "event", script.write([(ledger.BODY, b"\x03" + body)])
    yield "kind", script.write([(ledger.KIND, b"\x04peer-checkpoint")])
    yield "subject", script.write([(ledger.SUBJECT, b"\x04o-2"), (ledger.AT, b"\x05" + b"\xff" * 8)])
    seen = b"\x81\xa5facts\x92\x92\xa5entry\xa13\x92\xa4hash\xa2ff"
    yield "seen", script.write([(ledger.BODY, b"\x0b" + seen)])


MAKERS: Mapping[str, Callable[[], Seeds]] = {
    "superior": _superior,
    "subordinate": _subordinate,
    "items": _items,
    "events": _events,
    "certificate": _certificate,
    "revocations": _revocations,
    "control": _control,
    "settings": _settings,
    "ledger": _ledger,
}


def make() -> dict[str, bytes]:
    """Every file of the corpus by its path."""
    return {f"{target}/{name}": data for target, maker in MAKERS.items() for name, data in maker()}


def write(folder: Path) -> None:
    """Write the corpus; other files in its folders stay."""
    for name, data in make().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    write(FOLDER)
