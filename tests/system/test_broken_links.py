"""Faults on the four links of a deployment: each order still ends once, and no other link notices."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest

from protocol.keys import Role
from tests.support.proxy import Direction, ProxyThread
from tests.system.grid import Grid, until
from tests.system.orders import Errand

pytestmark = pytest.mark.system

Arrival = Callable[[], None]  # returns when the message that met the fault has arrived
Met = Callable[[Arrival], None]  # returns when the fault has done its worst


class Broken:
    """A link through a proxy. It is named after the node that is dialled."""

    def __init__(self, grid: Grid, node: str, proxy: ProxyThread, *, upward: bool) -> None:
        self.grid, self.node, self.proxy = grid, node, proxy
        # The direction of the message that meets the fault.
        self.way = Direction.TO_CLIENT if upward else Direction.TO_TARGET

    @property
    def flipped(self) -> int:
        """How many bits were turned."""
        return self.proxy.counters().flows[self.way].flipped

    def wait_noticed(self) -> None:
        """Until the superior has given the link up."""
        until(lambda: self.grid.link(self.node)["state"] != "connected", f"{self.node}'s link is given up")

    def wait_held(self, _: Arrival) -> None:
        """Until the message is in the proxy."""
        until(lambda: self.proxy.counters().flows[self.way].held, f"something for {self.node} is held")


@contextmanager
def cut(link: Broken) -> Iterator[Met]:
    """The message is lost in the middle of the wire with its connection."""
    link.proxy.stall(link.way, True)
    try:
        yield link.wait_held
    finally:
        link.proxy.cut()
        link.proxy.stall(link.way, False)


@contextmanager
def refuse(link: Broken) -> Iterator[Met]:
    """The node's address cannot be reached for a while."""

    def refused(_: Arrival) -> None:
        link.wait_noticed()
        until(lambda: link.grid.link(link.node)["last_error"], "the superior says why")

    link.proxy.refuse(True)
    link.proxy.cut()
    try:
        yield refused
    finally:
        link.proxy.refuse(False)


@contextmanager
def half_open(link: Broken) -> Iterator[Met]:
    """Bytes vanish and nobody closes: only the missing polls tell."""
    superior = str(link.grid.nodes[link.node].superior)
    said = len(link.grid.logged(superior))

    def noticed(_: Arrival) -> None:
        link.wait_noticed()
        # It polls each second: two were not answered.
        link.grid.wait_logged(superior, "link down", link.node, "no answer for 2 s", after=said)
        until(lambda: not link.grid.has_superior(link.node), f"{link.node} knows that its superior is gone")

    link.proxy.half_open(True)
    try:
        yield noticed
    finally:
        link.proxy.half_open(False)


@contextmanager
def delay(link: Broken) -> Iterator[Met]:
    """Everything takes its time and arrives."""
    link.proxy.delay(0.2, 0.1)
    try:
        yield lambda arrival: arrival()
    finally:
        link.proxy.delay(0)


@contextmanager
def throttle(link: Broken) -> Iterator[Met]:
    """Bytes trickle and arrive."""
    link.proxy.throttle(2_000)
    try:
        yield lambda arrival: arrival()
    finally:
        link.proxy.throttle(None)


@contextmanager
def flip(link: Broken) -> Iterator[Met]:
    """One bit of the next record is turned: TLS must throw it away and the link with it."""
    before, sessions = link.flipped, link.grid.link(link.node)["sessions"]

    def refused(_: Arrival) -> None:
        until(lambda: link.flipped > before, "a bit was turned")
        until(lambda: link.grid.link(link.node)["sessions"] > sessions, "there is a new session")

    link.proxy.flip_bit(link.way)
    yield refused


FAULTS = (cut, refuse, half_open, delay, throttle, flip)
PEOPLE = (
    *((f"d-{fault.__name__.replace('_', '-')}", Role.DISPATCHER, "desk-1", "hq") for fault in FAULTS),
    ("li", Role.OPERATOR, "plant-a", "hq"),
    ("zhao", Role.OPERATOR, "plant-b", "south"),
)


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Broken]]:
    """Every link of the deployment, through a proxy."""
    grid = Grid(tmp_path_factory.mktemp("links") / "grid", PEOPLE)
    with ExitStack() as stack:
        links = {}
        for node in grid.nodes.values():
            if node.superior:
                proxy = stack.enter_context(ProxyThread("127.0.0.1", node.port))
                grid.configure(node.superior, f"port = {node.port}\n", f"port = {proxy.port}\n")
                links[node.name] = Broken(grid, node.name, proxy, upward=node.name in {"plant-a", "plant-b"})
        stack.callback(grid.close)
        grid.start()
        grid.wait_linked()
        grid.log_in("li")
        grid.log_in("zhao")
        yield links


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_two_orders_end_once_although_each_link_breaks_and_neither_disturbs_the_other(
    links: Mapping[str, Broken], fault: Callable[[Broken], AbstractContextManager[Met]]
) -> None:
    grid = links["desk-1"].grid
    name = fault.__name__.replace("_", "-")
    grid.log_in(f"d-{name}")
    direct = Errand(grid, f"{name}-a", "plant-a").deliver(f"d-{name}")
    through = Errand(grid, f"{name}-b", "plant-b").deliver(f"d-{name}")
    with ThreadPoolExecutor() as pool:

        @contextmanager
        def broken(node: str, action: Callable[[], Any], errand: Errand, *arrived: str) -> Iterator[None]:
            """The link to `node` breaks, `action` meets it, others work meanwhile; then the link is whole.

            `arrived`: where and as what the errand is seen once the message came through.
            """
            with fault(links[node]) as met:
                doing = pool.submit(action)
                yield
                met(lambda: errand.wait(*arrived))
            errand.wait(*arrived)
            assert doing.result()["outcome"] in {"taken", "pending"}

        with broken("plant-a", direct.read_back, direct, "desk-1", "read-back"):
            through.read_back()
            through.wait("desk-1", "read-back")

        with broken("south", through.confirm, through, "plant-b", "confirmed"):
            direct.confirm()
            direct.wait("plant-a", "confirmed")

        with broken("plant-b", through.begin, through, "desk-1", "executing"):
            direct.begin()
            direct.wait("desk-1", "executing")

        with broken("desk-1", direct.complete, direct, "desk-1", "closed"):
            through.complete()
            through.wait("hq", "closed")
    direct.ended_once()
    through.ended_once()
    grid.wait_linked()
    grid.ledger_is_sound()
