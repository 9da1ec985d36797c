"""dispatch_server/orders/charges.py: a center pays for what it should have stopped, not for its plants."""

from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from dispatch_server.orders.charges import ALLOWED, Charges
from dispatch_server.orders.relay import Relay
from protocol.errors import RefusalCode
from protocol.items import AnswerItem, AskItem, Item, RefusalItem, event_item
from protocol.keys import Role
from protocol.lifecycle import Input, State
from protocol.limits import MAX_ITEMS_PER_REPORT, MAX_REFUSALS
from tests.dispatch_server.orders.grid import Grid
from tests.dispatch_server.orders.support import (
    FAR_OPERATOR,
    ROUTES,
    Center,
    FarChain,
    Office,
    PeopleStandIn,
)
from tests.protocol.parties import AUTHORITY, Chain, shortest_way
from tests.support.stations import Decision, Node, up


class Watch:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def charged(office: Office, *of: tuple[str, str | None], times: int = 1) -> int:
    """How many refusals these peers, with what they brought of these plants, are charged."""
    charges = Charges(ROUTES, Watch())
    work = office.node.station.work()
    for _ in range(times):
        for peer, plant in of:
            charges.charge(work, peer, plant)
    return work.refusals


async def test_a_direct_peer_pays_for_all_that_it_brings(office: Office) -> None:
    assert charged(office, ("plant-1", "plant-1"), ("desk-1", "plant-1"), ("desk-1", "plant-3")) == 3


async def test_a_center_pays_for_what_is_of_no_plant_that_it_leads_to(office: Office) -> None:
    assert charged(office, ("center-1", None), ("center-1", "plant-1"), ("center-1", "plant-9")) == 3


async def test_a_center_pays_for_its_plant_only_beyond_what_a_rightful_center_lets_through(
    office: Office,
) -> None:
    assert charged(office, ("center-1", "plant-3"), times=ALLOWED) == 0
    assert charged(office, ("center-1", "plant-3"), times=ALLOWED + 5) == 5


async def test_refusals_are_forgotten_as_fast_as_a_link_forgets_them(office: Office) -> None:
    watch = Watch()
    charges = Charges(ROUTES, watch)
    work = office.node.station.work()
    for _ in range(60 * 60):  # an hour of as many as a rightful center lets through
        watch.now += 60 / MAX_REFUSALS
        charges.charge(work, "center-1", "plant-3")
    assert work.refusals == 0
    for _ in range(2 * ALLOWED):
        charges.charge(work, "center-1", "plant-3")
    assert work.refusals == pytest.approx(ALLOWED, abs=2)
    watch.now += 120
    before = work.refusals
    for _ in range(2 * MAX_REFUSALS):
        charges.charge(work, "center-1", "plant-3")
    assert work.refusals - before <= 1


# --- headquarters ---


async def refused_at(office: Office, *items: Item) -> int:
    """How many refusals the link to the center is charged for this report."""
    first = office.node.station.inbox("center-1").received.cursor + 1
    numbered = [(first + index, item.encode()) for index, item in enumerate(items)]
    return await office.node.station.take("center-1", numbered, office.policy)


def stale_wishes(count: int) -> Sequence[Item]:
    """Signed by the operator of plant-3, each another one, all on a head that is over."""
    chain = FarChain.along(*shortest_way(State.DELIVERED)[1:])
    head = chain.record.events[-2].hash
    return [
        up(chain.event(Input.READ_BACK, previous=head, words=f"断开 {number}")) for number in range(count)
    ]


async def test_headquarters_does_not_charge_a_center_for_what_its_plant_sends_in_vain(office: Office) -> None:
    await office.node.load(FarChain.along(*shortest_way(State.DELIVERED)[1:]).record)
    assert await refused_at(office, *stale_wishes(2 * MAX_REFUSALS)) == 0
    assert len(office.refusals) == 2 * MAX_REFUSALS  # each was refused all the same, and its signer told
    told = office.node.decision().refusals
    assert {item.to for _, item in told} == {"plant-3"}
    assert len(told) == 2 * MAX_REFUSALS


async def test_headquarters_charges_a_center_that_passes_on_what_it_should_have_stopped(
    office: Office,
) -> None:
    await office.node.load(FarChain.along(*shortest_way(State.DELIVERED)[1:]).record)
    wishes = stale_wishes(ALLOWED + MAX_REFUSALS + 1)
    assert await refused_at(office, *wishes) > MAX_REFUSALS


async def test_headquarters_charges_a_center_at_once_for_what_no_center_may_send(office: Office) -> None:
    await office.node.load(FarChain.along(*shortest_way(State.DELIVERED)[1:]).record)
    refusal = RefusalItem(to="", order="o-1", event=bytes(32), code=RefusalCode.STALE, detail="")
    foreign = AnswerItem(to="", plant="plant-1", order="o-1", head=bytes(32), state=None)
    assert await refused_at(office, refusal, foreign) == 2


async def test_a_false_answer_is_charged_to_the_plant_that_gave_it(office: Office) -> None:
    await office.at(State.CONFIRMED)  # of plant-1
    false = AnswerItem(to="", plant="plant-3", order="o-1", head=bytes(32), state=None)
    assert await refused_at(office, false) == 0


# --- a center ---


async def refused_by(center: "Center | Upper", peer: str, *items: Item) -> int:
    """How many refusals the link to this child is charged for this report."""
    first = center.node.station.inbox(peer).received.cursor + 1
    numbered = [(first + index, item.encode()) for index, item in enumerate(items)]
    return await center.node.station.take(peer, numbered, center.policy)


async def test_a_center_charges_a_plant_for_what_headquarters_refused_it(center: Center) -> None:
    """The plant pays with what it sends next: whoever is silent harms nobody."""
    chain = FarChain.along(*shortest_way(State.CONFIRMED)[1:])
    await center.node.load(chain.record)
    fact = up(chain.add(Input.BEGIN))
    assert await refused_by(center, "plant-3", fact) == 0
    await center.say("hq", refused(fact.signed.hash))
    neighbour = AnswerItem(to="", plant="plant-4", order="o-9", head=bytes(32), state=None)
    assert await refused_by(center, "plant-4", neighbour) == 1  # for its own answer about nothing
    assert await refused_by(center, "plant-3", up(chain.add(Input.COMPLETE))) == 1
    assert await refused_by(center, "plant-3") == 0


def refused(event: bytes) -> RefusalItem:
    """What headquarters, or who has its key, says to plant-3."""
    return RefusalItem(to="plant-3", order="o-1", event=event, code=RefusalCode.CLOCK, detail="")


async def test_who_has_the_key_of_headquarters_charges_a_plant_for_nothing_that_it_did_not_send(
    center: Center,
) -> None:
    chain = FarChain.along(*shortest_way(State.CONFIRMED)[1:])
    await center.node.load(chain.record)
    fact = up(chain.add(Input.BEGIN))
    assert await refused_by(center, "plant-3", fact) == 0
    await center.say("hq", *[refused(bytes(32)), refused(fact.signed.hash)] * (MAX_REFUSALS + 1))
    assert await refused_by(center, "plant-3", up(chain.add(Input.COMPLETE))) == 1


async def test_what_nobody_asked_for_is_charged_and_what_headquarters_asked_for_is_not(
    center: Center,
) -> None:
    chain = FarChain.along(*shortest_way(State.CONFIRMED)[1:])
    await center.node.load(chain.record)
    fact = up(chain.add(Input.BEGIN))
    answer = AnswerItem(to="", plant="plant-3", order="o-1", head=chain.record.head, state=None)
    assert await refused_by(center, "plant-3", fact) == 0
    assert await refused_by(center, "plant-3", fact, answer) == 2
    await center.say("hq", AskItem(to="plant-3", order="o-1", head=chain.record.head))
    assert await refused_by(center, "plant-3", fact, answer) == 0
    assert await refused_by(center, "plant-3", answer) == 1


class Upper:
    """The center between headquarters and the sub-center `west`, which leads to plant-3."""

    def __init__(self) -> None:
        self.people = PeopleStandIn()
        self.people.sessions.clear()  # who is logged in at plant-3 is known at west alone
        self.node = Node(AUTHORITY.key(Role.CENTER, "south"))
        self.policy = Relay(self.node.station, "hq", {"plant-3": "west"}, self.people, Watch())

    async def say(self, peer: str, *items: Item) -> Decision:
        """The superior or the sub-center sends items."""
        return await self.node.take(self.policy, peer, *items)


@pytest.fixture
async def upper() -> AsyncIterator[Upper]:
    upper = Upper()
    yield upper
    upper.node.close()


async def test_what_is_for_a_plant_below_a_sub_center_goes_to_the_sub_center(upper: Upper) -> None:
    chain = FarChain.along(*shortest_way(State.DELIVERED)[1:])
    items = [event_item(event.signed, "plant-3") for event in chain.record.events]
    assert (await upper.say("hq", *items)).posts == [("west", item) for item in items]
    assert (await upper.say("hq", event_item(chain.record.events[0].signed, "west"))).posts == []


async def test_a_center_passes_what_its_sub_center_admitted_and_asks_for_no_session_of_its_own(
    upper: Upper,
) -> None:
    chain = FarChain.along(*shortest_way(State.DELIVERED)[1:])
    await upper.node.load(chain.record)
    wish = up(chain.add(Input.READ_BACK))
    assert (await upper.say("west", wish)).posts == [("hq", wish)]
    await upper.say("hq", event_item(chain.record.events[-1].signed, "plant-3"))
    await upper.say("hq", event_item(chain.add(Input.CONFIRM).signed, "plant-3"))
    fact = up(chain.add(Input.BEGIN))
    decision = await upper.say("west", fact)
    assert (decision.recorded, decision.posts) == ([Input.BEGIN], [("hq", fact)])
    answer = AnswerItem(to="", plant="plant-3", order="o-1", head=chain.record.head, state=None)
    assert (await upper.say("west", answer)).posts == [("hq", answer)]


async def test_a_sub_center_speaks_for_no_plant_that_it_does_not_lead_to(upper: Upper) -> None:
    chain = Chain.at(State.CONFIRMED)  # of plant-1
    await upper.node.load(chain.record)
    assert (await upper.say("west", up(chain.add(Input.BEGIN)))).recorded == []
    foreign = AnswerItem(to="", plant="plant-1", order="o-1", head=bytes(32), state=None)
    assert await refused_by(upper, "west", up(chain.event(Input.COMPLETE)), foreign) == 2


async def test_a_sub_center_does_not_pay_for_its_plant_and_the_plant_is_told(upper: Upper) -> None:
    chain = FarChain.along(*shortest_way(State.DELIVERED)[1:])
    await upper.node.load(chain.record)
    assert await refused_by(upper, "west", *stale_wishes(2 * MAX_REFUSALS)) == 0
    told = upper.node.decision().refusals
    assert {(peer, item.to) for peer, item in told} == {("west", "plant-3")}
    assert len(told) == 2 * MAX_REFUSALS


async def test_refusals_on_their_way_to_a_plant_below_a_sub_center_are_not_charged_to_it(
    upper: Upper,
) -> None:
    refusal = RefusalItem(to="plant-3", order="o-1", event=bytes(32), code=RefusalCode.CLOCK, detail="")
    await upper.say("hq", *[refusal] * MAX_REFUSALS)
    chain = FarChain.along(*shortest_way(State.CONFIRMED)[1:])
    await upper.node.load(chain.record)
    assert await refused_by(upper, "west", up(chain.add(Input.BEGIN))) == 0


# --- a captured plant behind a center, all the way ---


class Flood:
    """Headquarters over a center over plant-3, which says what it likes; `charged`: what each link pays."""

    def __init__(self) -> None:
        self.grid = Grid(far=True, skews=[0] * 4)
        self.charged = {"plant-3": 0, "center-1": 0}

    def carry(self, sender: str, receiver: str) -> None:
        """What waits at the sender, a report at a time, as a link would."""
        outbox = self.grid.places[sender].node.station.outbox(receiver)
        place = self.grid.places[receiver]
        while items := outbox.after(place.node.station.inbox(sender).received.cursor, MAX_ITEMS_PER_REPORT):
            refused = self.grid.run(place.node.station.take(sender, items, place.policy))
            if sender in self.charged:
                self.charged[sender] += refused

    def send(self, *items: Item) -> None:
        """The captured plant posts this, and everything is carried up, and the answers down."""
        station = self.grid.places["plant-3"].node.station
        work = station.work()
        for item in items:
            work.post("center-1", item)

        async def commit() -> None:
            await station.commit(work)

        self.grid.run(commit())
        for sender, receiver in (("plant-3", "center-1"), ("center-1", "hq"), ("hq", "center-1")):
            self.carry(sender, receiver)


@pytest.fixture
def flood() -> Iterator[Flood]:
    flood = Flood()
    flood.grid.dispatcher("o-1", turns=False)
    flood.grid.settle()
    flood.grid.dispatcher("o-1", turns=False)
    flood.grid.settle()
    yield flood
    flood.grid.close()


@pytest.mark.parametrize("given", [Input.READ_BACK, Input.REFUSE, Input.BEGIN, Input.COMPLETE])
def test_a_captured_plant_loses_its_own_link_and_its_center_keeps_the_one_to_headquarters(
    flood: Flood, given: Input
) -> None:
    """Each event is rightly signed and another one; a rightful link ends far below their number."""
    record = flood.grid.record("plant-3", "o-1")
    assert record is not None
    assert record.state is State.DELIVERED
    for number in range(10):
        chain = Chain(record)
        details = {"words": str(number)} if given is Input.READ_BACK else {}
        at_ms = flood.grid.places["center-1"].node.clock.ms
        flood.send(
            *(
                up(chain.event(given, by=FAR_OPERATOR, at_ms=at_ms + 10 * number + place, **details))
                for place in range(10)
            )
        )
    assert flood.charged["plant-3"] > MAX_REFUSALS
    assert flood.charged["center-1"] == 0
