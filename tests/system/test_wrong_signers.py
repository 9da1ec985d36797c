"""Events that a hostile plant sends in other people's names: headquarters takes none of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dispatch_client.client import Login
from protocol.keys import Role, SigningKey
from protocol.lifecycle import Input
from protocol.orders import SignedEvent, VerifiedEvent
from tests.system.credentials import Issuer, of_node
from tests.system.grid import Grid, Topology
from tests.system.orders import Errand
from tests.system.rogue import Rogue

pytestmark = pytest.mark.system

TOPOLOGY: Topology = (
    ("hq", Role.HQ, None),
    ("desk-1", Role.DESK, "hq"),
    ("plant-a", Role.PLANT, "hq"),
    ("plant-b", Role.PLANT, "hq"),
)
PEOPLE = (
    *((f"d-{number}", Role.DISPATCHER, "desk-1", "hq") for number in range(3)),
    ("li", Role.OPERATOR, "plant-a", "hq"),
    ("zhao", Role.OPERATOR, "plant-b", "hq"),
    ("gone", Role.OPERATOR, "plant-a", "hq"),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """Headquarters and the desk are real programs; both plants are in the test's hands."""

    grid: Grid
    a: Rogue
    b: Rogue
    issuer: Issuer
    li: Login
    zhao: Login
    gone: Login

    def read_back(self, key: SigningKey, session: bytes, **changed: Any) -> VerifiedEvent:
        """A read-back of the order at plant-a, signed with any key."""
        content_hash = self.a.client.station.orders["asked"].content_hash
        details = {"content_hash": content_hash, "words": "open"} | changed
        return self.a.event("asked", Input.READ_BACK, key, session, **details)


def read_order(grid: Grid) -> Any:
    return grid.call("hq", "show", order="asked")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """An order is delivered to plant-a and waits to be read back."""
    folder = tmp_path_factory.mktemp("signers")
    grid = Grid(folder / "grid", PEOPLE, TOPOLOGY)
    issuer = Issuer(grid, folder)
    with Rogue(grid, "plant-a") as a, Rogue(grid, "plant-b") as b:
        try:
            grid.start("hq", "desk-1")
            grid.wait_link("desk-1", state="connected")
            for rogue in (a, b):
                rogue.wait_connected()
            grid.log_in("d-0")
            errand = Errand(grid, "asked", "plant-a")
            errand.draft()
            errand.issue("d-0")
            a.wait_state("asked", "delivered")
            errand.wait("desk-1", "delivered")
            yield Scene(grid, a, b, issuer, a.log_in("li"), b.log_in("zhao"), a.log_in("gone"))
        finally:
            grid.close()


def by_operator_of_another_plant(scene: Scene) -> VerifiedEvent:
    return scene.read_back(scene.zhao.key, scene.zhao.session)


def by_dispatcher(scene: Scene) -> VerifiedEvent:
    return scene.read_back(scene.a.key_of("d-0", "desk-1"), scene.li.session)


def by_plant(scene: Scene) -> VerifiedEvent:
    return scene.read_back(of_node(scene.grid, "plant-a").signing_key, b"")


def of_other_content(scene: Scene) -> VerifiedEvent:
    return scene.read_back(scene.li.key, scene.li.session, content_hash=b"x" * 32)


def in_anothers_session(scene: Scene) -> VerifiedEvent:
    return scene.read_back(scene.li.key, scene.gone.session)


def in_no_session(scene: Scene) -> VerifiedEvent:
    return scene.read_back(scene.li.key, b"")


def begun_unconfirmed(scene: Scene) -> VerifiedEvent:
    return scene.a.event("asked", Input.BEGIN, scene.li.key, scene.li.session)


def confirmed_by_operator(scene: Scene) -> VerifiedEvent:
    return scene.a.event("asked", Input.CONFIRM, scene.li.key, scene.li.session)


def closed_as_headquarters(scene: Scene) -> VerifiedEvent:
    return scene.a.event("asked", Input.CANCEL, of_node(scene.grid, "hq").signing_key, b"", reason="no")


WRONG: tuple[tuple[Callable[[Scene], VerifiedEvent], str, str], ...] = (
    (by_operator_of_another_plant, "unauthorised", "needs the operator of this order, not 'zhao'"),
    (by_dispatcher, "unauthorised", "'plant-a' does not speak for 'd-0'"),
    (by_plant, "unauthorised", "needs the operator of this order, not 'plant-a'"),
    (of_other_content, "illegal", "what was read back is not what was drafted"),
    (in_anothers_session, "session", "session belongs to another person"),
    (in_no_session, "session", "no such session"),
    (begun_unconfirmed, "illegal", "'begin' is not possible in state 'delivered'"),
    (confirmed_by_operator, "illegal", "'confirm' is not possible in state 'delivered'"),
    (closed_as_headquarters, "unauthorised", "headquarters signs its own events itself"),
)


@pytest.mark.parametrize(("make", "code", "why"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
def test_an_event_of_the_wrong_signer_is_refused_by_name_and_moves_nothing(
    scene: Scene, make: Callable[[Scene], VerifiedEvent], code: str, why: str
) -> None:
    before = read_order(scene.grid)
    event = make(scene)
    scene.a.send(event.signed)
    given, signer = event.event.input.value, event.signer.name
    scene.grid.wait_noted("hq", "refused", subject="asked", input=given, signer=signer, code=code, why=why)
    scene.grid.wait_logged("hq", "event refused", "asked", signer, why)
    assert read_order(scene.grid) == before


def test_a_plant_does_not_speak_for_the_operator_of_another(scene: Scene) -> None:
    before = read_order(scene.grid)
    scene.b.send(scene.read_back(scene.li.key, scene.li.session).signed)
    scene.grid.wait_noted("hq", "refused", subject="asked", why="'plant-b' does not speak for 'li'")
    assert read_order(scene.grid) == before


def altered(scene: Scene) -> SignedEvent:
    signed = scene.read_back(scene.li.key, scene.li.session).signed
    return signed.model_copy(update={"body": signed.body.replace(b"open", b"shut")})


def with_foreign_certificate(scene: Scene) -> SignedEvent:
    key = scene.issuer.issue(Role.OPERATOR, "li", "plant-a", foreign=True).signing_key
    return scene.read_back(key, scene.li.session).signed


def with_expired_certificate(scene: Scene) -> SignedEvent:
    key = scene.issuer.issue(Role.OPERATOR, "li", "plant-a", age_days=3).signing_key
    return scene.read_back(key, scene.li.session).signed


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (altered, "li: the signature does not hold"),
        (with_foreign_certificate, "li: the certificate is not issued by this deployment's authority"),
        (with_expired_certificate, "li: the certificate is not valid at this time"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_signed_as_it_must_be_is_a_matter_of_security(
    scene: Scene, make: Callable[[Scene], SignedEvent], why: str
) -> None:
    before = read_order(scene.grid)
    scene.a.send(make(scene))
    scene.grid.wait_noted("hq", "security", subject="plant-a", code="signature", why=why)
    assert read_order(scene.grid) == before


def test_an_event_that_is_sent_again_and_again_happens_once(scene: Scene) -> None:
    right = scene.read_back(scene.li.key, scene.li.session)
    for _ in range(3):
        scene.a.send(right.signed)
    scene.a.wait_state("asked", "read-back")
    scene.a.send(right.signed)
    assert [event["input"] for event in read_order(scene.grid)["events"]].count("read-back") == 1


def test_an_operator_whose_certificate_was_revoked_signs_nothing_more(scene: Scene, tmp_path: Path) -> None:
    scene.grid.log_in("d-1")
    errand = Errand(scene.grid, "revoked", "plant-a")
    errand.draft()
    errand.issue("d-1")
    scene.a.wait_state("revoked", "delivered")
    folder = scene.grid.nodes["plant-a"].folder / "people"
    scene.issuer.revoke(folder / "gone.crt")
    scene.grid.kill("hq")
    scene.grid.start("hq")
    scene.a.wait_connected()
    content_hash = scene.a.client.station.orders["revoked"].content_hash
    details = {"content_hash": content_hash, "words": "open"}
    event = scene.a.event("revoked", Input.READ_BACK, scene.gone.key, scene.gone.session, **details)
    scene.a.send(event.signed)
    scene.grid.wait_noted("hq", "security", why="gone: the certificate is revoked")
    assert scene.grid.call("hq", "show", order="revoked")["state"] == "delivered"


def test_all_this_stands_in_ledgers_that_verify(scene: Scene) -> None:
    scene.grid.ledger_is_sound()
