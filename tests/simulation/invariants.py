"""What must hold after every run, whatever happened in it. Reads the disks, as an auditor would."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from protocol.journal.batch import Notice
from protocol.journal.verify import LedgerFault, VerifiedLedger, compare_ledgers, verify_open_ledger
from protocol.lifecycle import OFF_CHAIN, State
from protocol.record import OrderRecord
from situational import Posture
from tests.simulation.audit import Line, audit
from tests.simulation.cast import HQ, cast
from tests.simulation.equipment import Execution
from tests.simulation.nodes import Node
from tests.simulation.world import Result, World
from tests.support.pki import DEPLOYMENT


def broken(result: Result) -> list[str]:
    """Every invariant that does not hold, in words; empty when all do."""
    world = result.world
    found = list(result.trace.faults)
    ledgers: dict[str, VerifiedLedger] = {}
    for node in world.nodes.values():
        try:
            ledgers[node.name] = verify_open_ledger(
                Path(node.name), node.disk.connection, world.env.trust, DEPLOYMENT
            )
        except LedgerFault as fault:
            found.append(f"ledger: {fault}")
    if HQ not in ledgers:
        return found
    for record in ledgers[HQ].orders.values():
        for event in record.events:
            result.trace.count(f"input: {event.event.input.value}")
    found += _ledgers_agree(world, ledgers)
    found += _people_were_told_the_truth(world, ledgers)
    found += _nothing_forged(world, ledgers)
    found += _only_what_may_be_executed(world)
    found += _terms_only_grow(world)
    found += _plants_are_lost_once(world)
    return found


def _ledgers_agree(world: World, ledgers: dict[str, VerifiedLedger]) -> Iterable[str]:
    top = ledgers[HQ]
    for name, ledger in ledgers.items():
        for order, record in ledger.orders.items():
            if order not in top.orders:
                yield f"{name} holds {order}, which headquarters lost"
            elif _chain(record) != _chain(top.orders[order]):
                yield f"{name} and headquarters differ about {order}"
        if name == HQ:
            continue
        try:
            compare_ledgers(ledgers.get(world.env.plan.superiors_of(name)[0], top), ledger)
        except LedgerFault as fault:
            yield f"ledgers differ: {fault}"
    for order, record in top.orders.items():
        if record.is_open:
            yield f"{order} is {record.state.value} at the end"
        for name in _who_knows(world, record):
            if name in ledgers and order not in ledgers[name].orders:
                yield f"{name} never heard of {order}"


def _who_knows(world: World, record: OrderRecord) -> Iterable[str]:
    yield record.content.desk
    if record.state is not State.REJECTED and any(e.event.input == "accept" for e in record.events):
        yield record.content.plant
        yield from world.env.plan.superiors_of(record.content.plant)


def _chain(record: OrderRecord) -> list[bytes]:
    return [event.hash for event in record.events if event.event.input not in OFF_CHAIN]


def _people_were_told_the_truth(world: World, ledgers: dict[str, VerifiedLedger]) -> Iterable[str]:
    top = {event.hash for record in ledgers[HQ].orders.values() for event in record.events}
    for told in world.equipment.told:
        if told.is_taken != (told.event in top):
            yield f"{told.node} was told taken={told.is_taken} of an event of {told.order}: not so"
    for node in world.clients:
        for order, event in _refusals(node):
            if event in top and (node.name, event) not in world.hostile.replayed:
                yield f"{node.name} was told that an event of {order} is refused, which is taken"


def _refusals(node: Node) -> Iterable[tuple[str, bytes]]:
    rows = node.disk.connection.execute("SELECT subject, body FROM ledger WHERE kind = 'refused'")
    for order, body in rows:
        yield order, bytes.fromhex(dict(Notice.decode(body).facts)["event"])


def _nothing_forged(world: World, ledgers: dict[str, VerifiedLedger]) -> Iterable[str]:
    for name, ledger in ledgers.items():
        for order, record in ledger.orders.items():
            if any(event.hash in world.hostile.forged for event in record.events):
                yield f"{name} took a forged event of {order}"


def _only_what_may_be_executed(world: World) -> Iterable[str]:
    entries = [
        body
        for (body,) in world.headquarters.disk.connection.execute(
            "SELECT body FROM ledger WHERE kind = 'event' ORDER BY entry"
        )
    ]
    orders, wrong = audit(entries, cast().authority.certificate)
    yield from (f"audit: {what}" for what in wrong)
    for order, lines in orders.items():
        yield from _check_second_person(world, order, lines)
    for order, times in Counter(execution.order for execution in world.equipment.executions).items():
        if times > 1:
            yield f"{order} was executed {times} times"
    for execution in world.equipment.executions:
        yield from _check_execution(execution, orders.get(execution.order, []))
    executed = {execution.order for execution in world.equipment.executions}
    for order, lines in orders.items():
        if order not in executed and any(line.input == "complete" for line in lines):
            yield f"{order} is reported complete and was never executed"


def _check_second_person(world: World, order: str, lines: list[Line]) -> Iterable[str]:
    """Where the posture asked for one, nothing goes on without one."""
    chain = [line for line in lines if line.input not in OFF_CHAIN]
    for before, line in pairwise(chain):
        posture = world.env.judged.get(before.hash, Posture.NORMAL)
        if line.input == "accept" and before.input != "approve" and posture >= Posture.HEIGHTENED:
            yield f"{order} was accepted without the second person for whom the posture asked"


def _check_execution(execution: Execution, lines: list[Line]) -> Iterable[str]:
    order = execution.order
    inputs = [line.input for line in lines]
    if "confirm" not in inputs or "begin" not in inputs:
        yield f"{order} was executed unconfirmed: {inputs}"
        return
    begin = lines[inputs.index("begin")]
    content = lines[0].fields["content"]
    if execution.plant != content["plant"]:
        yield f"{order} was executed at {execution.plant}"
    if execution.event not in {begin.hash, None} or (execution.event is None) != execution.is_resumed:
        yield f"{order} was executed under another event than its ledger says"
    if execution.asked_ms >= content["valid_until_ms"]:
        yield f"{order} was executed after its validity"


def _terms_only_grow(world: World) -> Iterable[str]:
    for node in world.nodes.values():
        for key, terms in node.disk.terms.items():
            if any(later <= earlier for earlier, later in pairwise(terms)):
                yield f"the {key} of {node.name} went {terms}"


def _plants_are_lost_once(world: World) -> Iterable[str]:
    """To be lost again a plant must first have been silent again for as long as the rules say."""
    if world.env.plan.is_hostile:  # a plant that lies about where it stands is lost as often as it lies
        return
    patience = world.env.plan.rules.lost_after_ms / 1000
    for order, times in world.env.lost_at.items():
        if any(later - earlier < patience for earlier, later in pairwise(times)):
            yield f"the plant of {order} was lost again and again: {times}"
