"""Who else answers where a plant should be: headquarters names each, and goes on with the others."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from protocol.frames import FrameReader, Kind, encode_frame
from protocol.items import HEADQUARTERS, AnswerItem
from protocol.keys import Role
from protocol.messages import Report, Sample, UpwardItem
from tests.system.credentials import Credentials, Issuer, of_node
from tests.system.grid import Grid, Topology
from tests.system.impostor import Behaviour, Guest, Impostor, PlayedPlant, welcome
from tests.system.orders import Errand

pytestmark = pytest.mark.system


@dataclass(frozen=True, slots=True)
class Scene:
    """What the impostor of a plant has to work with."""

    grid: Grid
    issuer: Issuer
    name: str

    def item(self, order: str) -> AnswerItem:
        return AnswerItem(to=HEADQUARTERS, plant=self.name, order=order, head=bytes(32), state=None)


# --- certificates ---


def own(scene: Scene) -> Credentials:
    """What the plant itself holds: stolen."""
    return of_node(scene.grid, scene.name)


def foreign(scene: Scene) -> Credentials:
    return scene.issuer.issue(Role.PLANT, scene.name, foreign=True)


def of_another(scene: Scene) -> Credentials:
    return of_node(scene.grid, "plant-a")


def of_a_desk(scene: Scene) -> Credentials:
    return scene.issuer.issue(Role.DESK, scene.name)


def of_the_superior(scene: Scene) -> Credentials:
    return of_node(scene.grid, "hq")


def of_a_person(scene: Scene) -> Credentials:
    return scene.issuer.issue(Role.OPERATOR, scene.name, "plant-a")


def expired(scene: Scene) -> Credentials:
    return scene.issuer.issue(Role.PLANT, scene.name, age_days=3)


def revoked(scene: Scene) -> Credentials:
    credentials = scene.issuer.issue(Role.PLANT, scene.name)
    scene.issuer.revoke(credentials.certificate)
    return credentials


# --- behaviours ---


def silent(_: Scene) -> Behaviour:
    return Guest.listen


def says(data: bytes) -> Callable[[Scene], Behaviour]:
    def behaviour(_: Scene) -> Behaviour:
        def behave(guest: Guest) -> None:
            guest.say(data)
            guest.listen()

        return behave

    return behaviour


def welcomes(**changed: object) -> Callable[[Scene], Behaviour]:
    def behaviour(scene: Scene) -> Behaviour:
        def behave(guest: Guest) -> None:
            _, hello = guest.hear()
            guest.say(welcome(own(scene), hello, **changed))
            guest.listen()

        return behave

    return behaviour


def welcomes_as_before(scene: Scene) -> Behaviour:
    """The Welcome of the first visit again at each later one."""
    said: list[bytes] = []

    def behave(guest: Guest) -> None:
        _, hello = guest.hear()
        said.append(welcome(own(scene), hello))
        guest.say(said[0])
        if guest.visit:
            guest.listen()

    return behave


def reports(alter: Callable[[Report, list[Report]], Report]) -> Callable[[Scene], Behaviour]:
    """A plant that sends two items, one a session; `alter` may change a report, and sees the earlier ones."""

    def behaviour(scene: Scene) -> Behaviour:
        plant = PlayedPlant(own(scene), of_node(scene.grid, "hq"))
        earlier: list[Report] = []

        def rewrite(data: bytes) -> bytes:
            out = b""
            for kind, payload in FrameReader().feed(data, frozenset(Kind)):
                if kind is Kind.REPORT:
                    report = alter(Report.decode(payload), earlier)
                    earlier.append(report)
                    out += encode_frame(kind, report.encode())
                else:
                    out += encode_frame(kind, payload)
            return out

        def behave(guest: Guest) -> None:
            number = guest.visit + 1
            plant.post(scene.item(f"o-{number}"))
            plant.serve(guest, lambda: plant.outbox.acknowledged >= number, rewrite)

        return behave

    return behaviour


def first_items(earlier: list[Report]) -> tuple[UpwardItem, ...]:
    return next((report.items for report in earlier if report.items), ())


def replayed(report: Report, earlier: list[Report]) -> Report:
    """The items of the first session in place of those of the second."""
    return report.model_copy(update={"items": first_items(earlier) or report.items})


def of_another_node(report: Report, _: list[Report]) -> Report:
    sample = Sample(
        node="plant-a",
        at_ms=0,
        logged_in_nodes=1.0,
        network_flow=1.0,
        external_connections=1.0,
        memory_used=1.0,
    )
    return report.model_copy(update={"samples": (sample,)})


def answers_another_poll(report: Report, _: list[Report]) -> Report:
    return report.model_copy(update={"seq": report.seq + 1})


def acknowledges_too_much(report: Report, _: list[Report]) -> Report:
    return report.model_copy(update={"acknowledged": 99})


# Whose certificate is shown, what is said, and the error that headquarters names.
CASES: Mapping[str, tuple[Callable[[Scene], Credentials], Callable[[Scene], Behaviour], str]] = {
    "foreign": (foreign, silent, "identity: TLS: unable to get local issuer certificate"),
    "of-another": (of_another, silent, "identity: the certificate names plant 'plant-a', configured is"),
    "of-a-desk": (of_a_desk, silent, "identity: the certificate names desk 'i-of-a-desk', configured is"),
    "of-the-superior": (of_the_superior, silent, "identity: TLS: unsuitable certificate purpose"),
    "of-a-person": (of_a_person, silent, "identity: TLS: unsuitable certificate purpose"),
    "expired": (expired, silent, "identity: i-expired: the certificate is not valid at this time, "),
    "revoked": (revoked, silent, "identity: i-revoked: the certificate is revoked"),
    "version-9": (own, welcomes(version=9), "version: 'i-version-9' speaks version 9"),
    "another-name": (own, welcomes(node="plant-a"), "identity: 'i-another-name' calls itself 'plant-a'"),
    "another-role": (own, welcomes(role=Role.DESK), "identity: 'i-another-role' calls itself"),
    "another-hello": (own, welcomes(hello=bytes(32)), "signature: the Welcome answers another Hello"),
    "old-welcome": (own, welcomes_as_before, "signature: the Welcome answers another Hello"),
    "weak-key": (own, welcomes(ephemeral=bytes(32)), "seal: the peer's ephemeral key is not usable"),
    "lost-journal": (own, welcomes(acknowledged=99), "cursor: acknowledges 99"),
    "oversized": (
        own,
        says((1 << 30).to_bytes(4) + bytes([Kind.REPORT])),
        "oversized: REPORT of 1073741824 B",
    ),
    "garbage": (own, says(b"SSH-2.0-OpenSSH_9.2\r\n"), "malformed: frame kind"),
    "report-first": (own, says(encode_frame(Kind.REPORT, b"\x80")), "unexpected: REPORT is not allowed now"),
    "replayed": (own, reports(replayed), "seal: a sealed message does not verify"),
    "another-poll": (own, reports(answers_another_poll), "sequence: report 2 answers no outstanding poll"),
    "too-much": (own, reports(acknowledges_too_much), "cursor: acknowledges 99"),
}
GOSSIP = "i-gossip"  # breaks no rule of the link, but speaks of others
TOPOLOGY: Topology = (
    ("hq", Role.HQ, None),
    ("desk-1", Role.DESK, "hq"),
    ("plant-a", Role.PLANT, "hq"),
    *((f"i-{name}", Role.PLANT, "hq") for name in CASES),
    (GOSSIP, Role.PLANT, "hq"),
)
PEOPLE = (("wang", Role.DISPATCHER, "desk-1", "hq"), ("li", Role.OPERATOR, "plant-a", "hq"))


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """All impostors wait where headquarters dials; one real plant and one real desk are among them."""
    folder = tmp_path_factory.mktemp("impostors")
    grid = Grid(folder / "grid", PEOPLE, TOPOLOGY)
    issuer = Issuer(grid, folder)
    with ExitStack() as stack:
        for name, (show, behave, _) in CASES.items():
            scene = Scene(grid, issuer, f"i-{name}")
            port = grid.nodes[scene.name].port
            stack.enter_context(Impostor(port, show(scene), behave(scene)))
        scene = Scene(grid, issuer, GOSSIP)
        stack.enter_context(Impostor(grid.nodes[GOSSIP].port, own(scene), reports(of_another_node)(scene)))
        stack.callback(grid.close)
        grid.start("hq", "desk-1", "plant-a")
        yield grid


@pytest.mark.parametrize("name", CASES)
def test_an_impostor_is_named_and_counted(grid: Grid, name: str) -> None:
    why = CASES[name][2]
    grid.wait_logged("hq", "peer at fault", f'"i-{name}"', why)
    assert grid.link(f"i-{name}")["faults"] >= 1


def test_telemetry_about_another_node_is_dropped(grid: Grid) -> None:
    grid.wait_logged("hq", "readings refused", GOSSIP, "foreign nodes")


def test_orders_go_through_while_impostors_knock_and_nothing_of_theirs_moved(grid: Grid) -> None:
    grid.wait_linked("desk-1", "plant-a")
    grid.log_in("wang")
    grid.log_in("li")
    Errand(grid, "undisturbed", "plant-a").deliver("wang").carry_out()
    assert [row["order"] for row in grid.call("hq", "list")] == ["undisturbed"]
    for name in ("plant-a", "desk-1"):
        link = grid.link(name)
        assert (link["state"], link["sessions"], link["faults"]) == ("connected", 1, 0)
