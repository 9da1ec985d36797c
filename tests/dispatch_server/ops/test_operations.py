"""dispatch_server/ops: what a server in memory tells of itself."""

import asyncio
import os
import socket
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import pytest_asyncio

from dispatch_server.config import LinkSettings, MetricsSettings
from dispatch_server.counters import HISTOGRAMS
from dispatch_server.links.ports import LinkState
from dispatch_server.ops.machine import Machine
from dispatch_server.ops.metrics import MAX_LISTED
from dispatch_server.ops.operations import Operations
from dispatch_server.ops.status import MOST_ROWS, status
from dispatch_server.ops.survey import Surveyor
from protocol.errors import OrderRefused, RefusalCode
from protocol.keys import Role
from protocol.requests import LogoutRequest
from situational import Posture, Stance
from tests.dispatch_server.house import DESK_LINK, House, center, headquarters
from tests.dispatch_server.ops.support import by_label, samples_of, until, values_of
from tests.protocol.parties import HQ, Chain
from tests.support.virtual_loop import run

GOOD = b"GET /metrics HTTP/1.1\r\n\r\n"


def house_of(plants: int) -> House:
    names = (f"plant-{i}" for i in range(1, plants + 1))
    links = (LinkSettings(node=name, role=Role.PLANT, host="-") for name in names)
    return House(HQ, DESK_LINK, *links)


def connect(house: House, *nodes: str) -> None:
    for link in house.server.links:
        if not nodes or link.node in nodes:
            link.status.state = LinkState.CONNECTED


@pytest_asyncio.fixture
async def hq() -> AsyncIterator[House]:
    with closing(headquarters()) as house:
        yield house


# Metrics


async def test_everything_that_is_counted_is_exported(hq: House) -> None:
    counters = hq.server.counters
    counters.add("polls", 17)
    counters.add("link_down_s", 2.5)
    values = values_of(await Operations(hq.server).render())
    assert values["dispatch_polls_total"] == 17
    assert values["dispatch_link_down_seconds_total"] == 2.5
    spelt = {"link_s": "link_seconds", "link_down_s": "link_down_seconds"}
    names = {spelt.get(name, name) for name in counters.snapshot()}
    assert {f"dispatch_{name}_total" for name in names} <= values.keys()


async def test_every_histogram_is_exported_in_base_units(hq: House) -> None:
    for name in HISTOGRAMS:
        hq.server.counters.histogram(name).observe(2.0)
    values = values_of(await Operations(hq.server).render())
    for name in ("poll_round_trip_seconds", "handshake_seconds", "commit_seconds", "loop_lag_seconds"):
        assert (values[f"dispatch_{name}_count"], values[f"dispatch_{name}_sum"]) == (1, 2)
    assert values["dispatch_commit_batches_count"] == 1


async def test_no_metric_stands_twice_and_none_hides_another(hq: House) -> None:
    settings = MetricsSettings(links="all")
    text = await Operations(hq.server, settings, None, without={"curves": "no disk"}).render()
    names = [line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    series = [(sample.name, *sorted(sample.labels.items())) for sample in samples_of(text)]
    assert len(series) == len(set(series))
    assert all(name.startswith(("dispatch_", "process_")) for name in names)


async def test_links_are_told_by_state_and_only_those_that_are_down_by_name(hq: House) -> None:
    states = LinkState.CONNECTED, LinkState.DIALLING, LinkState.WAITING
    for link, state in zip(hq.server.links, states, strict=True):
        link.status.state = state
    text = await Operations(hq.server).render()
    assert by_label(text, "dispatch_links", "state") == {"connected": 1, "dialling": 1, "waiting": 1}
    assert values_of(text)["dispatch_handshakes_in_flight"] == 1
    assert by_label(text, "dispatch_link_down_for_seconds", "peer").keys() == {"plant-1", "center-1"}


async def test_a_link_is_down_since_it_was_lost_or_since_the_server_started(hq: House) -> None:
    operations = Operations(hq.server, clock=lambda: 1000.0)
    operations.started_s = 400.0
    hq.server.links[1].status.since_s = 970.0
    down = by_label(await operations.render(), "dispatch_link_down_for_seconds", "peer")
    assert (down["plant-1"], down["center-1"]) == (30.0, 600.0)


async def test_many_links_are_not_many_series() -> None:
    with closing(house_of(2_000)) as house:
        operations = Operations(house.server)
        text = await operations.render()
        few = len(samples_of(text))
        assert len(by_label(text, "dispatch_link_down_for_seconds", "peer")) == MAX_LISTED
        assert values_of(text)["dispatch_links_down_unlisted"] == 2_001 - MAX_LISTED
        assert few < 400 + MAX_LISTED


@pytest.mark.parametrize(
    ("links", "named"), [("none", set()), ("down", {"plant-1"}), ("all", {"desk-1", "plant-1"})]
)
async def test_which_links_have_series_of_their_own_is_a_setting(links: str, named: set[str]) -> None:
    with closing(house_of(1)) as house:
        connect(house, "desk-1")
        settings = MetricsSettings.model_validate({"links": links})
        text = await Operations(house.server, settings).render()
        assert {s.labels["peer"] for s in samples_of(text) if "peer" in s.labels} == named
        if links == "all":
            assert by_label(text, "dispatch_link_up", "peer") == {"desk-1": 1, "plant-1": 0}


async def test_queues_orders_and_refusals_are_told(hq: House) -> None:
    text = await Operations(hq.server).render()
    assert values_of(text)["dispatch_orders_open"] == 0
    assert set(by_label(text, "dispatch_orders", "state").values()) == {0}
    await hq.issue(Chain())
    hq.server._count_refusal("desk-1", OrderRefused(RefusalCode.STALE, "tests"))
    text = await Operations(hq.server).render()
    values = values_of(text)
    assert values["dispatch_orders_open"] == 1
    assert sum(by_label(text, "dispatch_orders", "state").values()) == 1
    assert values["dispatch_outbox_items"] >= values["dispatch_outbox_items_max"] > 0
    assert values["dispatch_journal_entries"] == hq.node.station.ledger_head.entry
    assert by_label(text, "dispatch_order_refusals_total", "code")["stale"] == 1


async def test_a_change_waits_for_the_journal_until_it_is_durable(hq: House) -> None:
    operations, station = Operations(hq.server), hq.node.station
    work = station.work()
    work.note("tests", "hq")
    done = station.commit(work)
    assert station.uncommitted == 1
    await done
    assert values_of(await operations.render())["dispatch_journal_queue"] == 0
    assert sum(hq.server.counters.histogram("commit").counts) == hq.counted("journal_commits") == 1


async def test_postures_alarms_and_revocations_are_told(hq: House) -> None:
    hq.server.awareness._stances["plant-1"] = Stance(Posture.HELD, 0.0)
    text = await Operations(hq.server).render()
    assert by_label(text, "dispatch_posture_nodes", "posture")["held"] == 1
    assert values_of(text)["dispatch_alarms_unacknowledged"] == 0
    assert values_of(text)["dispatch_revocations_lists"] == len(hq.node.station.trust.revocations)


async def test_a_center_says_whether_its_superior_is_there(hq: House) -> None:
    with closing(center()) as south:
        assert values_of(await Operations(south.server).render())["dispatch_superior_connected"] == 0
    assert "dispatch_superior_connected" not in values_of(await Operations(hq.server).render())


async def test_questions_that_wait_are_counted_until_they_are_answered_or_given_up(
    hq: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(node: str, request: object) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(hq.people, "answer", never)
    asked = asyncio.get_running_loop().create_task(
        hq.server.answer("desk-1", LogoutRequest(person="wang", session=bytes(16)))
    )
    await asyncio.sleep(0)
    assert values_of(await Operations(hq.server).render())["dispatch_requests_open"] == 1
    asked.cancel()
    await asyncio.wait([asked])
    assert values_of(await Operations(hq.server).render())["dispatch_requests_open"] == 0


async def test_the_process_and_its_journal_are_told(hq: House, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    journal.write_bytes(b"x" * 3000)
    (tmp_path / "journal.db-wal").write_bytes(b"x" * 500)
    values = values_of(await Operations(hq.server, None, journal).render())
    assert values["dispatch_journal_size_bytes"] == 3500
    assert values["dispatch_journal_free_bytes"] > 0
    assert values["process_resident_memory_bytes"] > 10_000_000
    assert 3 < values["process_open_fds"] < values["process_max_fds"]
    assert values["process_cpu_seconds_total"] > 0


async def test_a_disk_that_hangs_costs_its_own_figures_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatch_server.ops.machine._PATIENCE", 0.05)
    machine = Machine(tmp_path / "journal.db")
    known = await machine.usage()
    reading, writing = os.pipe()
    monkeypatch.setattr(machine, "_read", lambda: os.read(reading, 1))
    assert await machine.usage() is known
    assert await machine.usage() is known  # no second thread waits behind the first
    os.write(writing, b"x")
    machine.close()
    os.close(reading)
    os.close(writing)


# The survey


async def test_however_many_ask_at_once_one_survey_is_made(hq: House) -> None:
    surveyor = Surveyor(hq.server)
    first, *others = await asyncio.gather(*(surveyor.survey() for _ in range(5)))
    assert all(other is first for other in others)


async def test_a_large_survey_lets_the_loop_turn_between() -> None:
    with closing(house_of(2_000)) as house:
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        turning = asyncio.get_running_loop().create_task(turn())
        survey = await Surveyor(house.server).survey()
        turning.cancel()
        assert sum(survey.links.values()) == 2_001
        assert turns >= 4


# The status


async def test_a_small_server_tells_of_every_link_in_its_order(hq: House) -> None:
    connect(hq, "plant-1")
    told = await status(Operations(hq.server))
    assert [row["node"] for row in told["links"]] == ["desk-1", "plant-1", "center-1"]
    assert (told["total"]["links"], told["total"]["up"]) == (3, 1)


async def test_a_large_server_tells_of_the_links_that_are_down_then_of_those_that_had_faults() -> None:
    with closing(house_of(MOST_ROWS + 10)) as house:
        connect(house)
        assert (await status(Operations(house.server)))["links"] == []
        house.server.links[7].status.faults = 2
        house.server.links[9].status.state = LinkState.WAITING
        told = await status(Operations(house.server))
        assert [row["node"] for row in told["links"]] == ["plant-9", "plant-7"]
        assert told["total"]["links"] == MOST_ROWS + 11
        for link in house.server.links:
            link.status.state = LinkState.WAITING
        told = await status(Operations(house.server))
        assert len(told["links"]) == MOST_ROWS


async def test_the_status_tells_since_when_by_the_wall_clock(hq: House) -> None:
    now = asyncio.get_running_loop().time()
    hq.server.links[0].status.since_s = now - 60
    hq.server.links[0].status.round_trip_s = 0.012
    first, second, _ = (await status(Operations(hq.server)))["links"]
    assert first["since_ms"] in range(hq.node.clock.ms - 61_000, hq.node.clock.ms - 59_999)
    assert first["round_trip_s"] == 0.012
    assert (second["since_ms"], second["round_trip_s"]) == (None, None)


async def test_a_plant_behind_a_center_is_told_by_its_signs_of_life(hq: House) -> None:
    (row,) = (await status(Operations(hq.server)))["behind"]
    assert (row["superior"], row["node"], row["heard_s"]) == ("center-1", "plant-3", None)
    assert (row["reachable"], row["is_silent"]) == (False, True)
    connect(hq)
    hq.server.awareness.heard("plant-3", asyncio.get_running_loop().time())
    (row,) = (await status(Operations(hq.server)))["behind"]
    assert (row["reachable"], row["is_silent"]) == (True, False)
    hq.server.awareness.heard("plant-3", asyncio.get_running_loop().time() - 3600)
    (row,) = (await status(Operations(hq.server)))["behind"]
    assert row["is_silent"]


async def test_a_disk_that_takes_no_curves_is_told_until_it_takes_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(headquarters(store=tmp_path / "telemetry.db")) as house:
        operations, recorder = Operations(house.server), house.server.awareness._recorder
        assert operations.impaired == {}

        def full(*_: object, **__: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(recorder._store, "add", full)
            await house.server.awareness.save(0)
        assert operations.impaired == {"curves": "database or disk is full"}
        assert (await status(operations))["impaired"] == operations.impaired
        assert by_label(await operations.render(), "dispatch_impaired", "what") == {"curves": 1}
        await house.server.awareness.save(0)
        assert operations.impaired == {}
        await house.server.close()


async def test_what_was_missing_at_the_start_stays_told(hq: House) -> None:
    operations = Operations(hq.server, without={"experts": "row 3 has no source"})
    assert (await status(operations))["impaired"] == {"experts": "row 3 has no source"}


# All together


@asynccontextmanager
async def operating(operations: Operations) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part) for part in operations.parts()]
        yield
        for task in tasks:
            task.cancel()


async def test_it_measures_serves_and_stops(hq: House) -> None:
    operations = Operations(hq.server, MetricsSettings(port=0))
    assert operations.endpoint
    endpoint = operations.endpoint
    async with operating(operations):
        await until(lambda: endpoint.port)
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        writer.write(GOOD)
        text = (await reader.read()).partition(b"\r\n\r\n")[2]
        writer.close()
        assert values_of(text)["dispatch_metrics_scrapes_total"] == 1
        await until(lambda: sum(hq.server.counters.histogram("loop_lag").counts) > 1)
    assert endpoint.port is None


def test_a_server_under_a_virtual_clock_has_no_watchdog() -> None:
    """Its loop turns only when something is to be done; what runs beside it is the real program's alone."""

    async def a_while() -> set[str]:
        with closing(headquarters()) as house:
            task = house.start()
            await asyncio.sleep(30)
            task.cancel()
            return {thread.name for thread in threading.enumerate()}

    assert "watchdog" not in run(a_while())


async def test_without_a_port_nothing_listens(hq: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "listen", lambda *_: pytest.fail("it listens"))
    operations = Operations(hq.server)
    assert operations.endpoint is None
    async with operating(operations):
        await asyncio.sleep(0.01)


async def test_a_taken_port_is_told_as_missing_and_the_server_goes_on(hq: House) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        operations = Operations(hq.server, MetricsSettings(port=other.getsockname()[1]))
        async with operating(operations):
            await until(lambda: operations.impaired)
            assert "in use" in operations.impaired["metrics"]
