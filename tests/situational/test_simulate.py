import json

import numpy as np
import pytest

from situational import BadSettingError, Level
from situational.__main__ import main
from situational.simulation.report import Quiet, quiet, rows
from situational.simulation.run import Nodes, silent
from situational.simulation.scenarios import Kind, Told, play
from situational.simulation.telemetry import TICKS, Telemetry


def test_telemetry_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    first, again, other = (Telemetry(seed, 2).day(0) for seed in (1, 1, 2))
    assert np.array_equal(first, again, equal_nan=True)
    assert not np.array_equal(first, other, equal_nan=True)


def test_telemetry_has_gaps_whole_counts_shifts_and_serial_correlation() -> None:
    day = Telemetry(3, 20).day(0)
    missing = np.isnan(day)
    assert 0.001 < missing.mean() < 0.1
    assert (missing.all(axis=2) == missing.any(axis=2)).all()
    kept = day[~missing.any(axis=2)]
    assert (kept[:, [0, 2]] == np.round(kept[:, [0, 2]])).all()
    assert (kept > 0).all()
    night, morning = (
        np.nanmean(day[TICKS // 12 : TICKS // 4, :, 0]),
        np.nanmean(day[TICKS // 2 : 5 * TICKS // 8, :, 0]),
    )
    assert morning > 1.2 * night
    moves = np.diff(np.log(day[..., 3]), axis=0)
    spread = np.nanstd(np.log(day[..., 3]), axis=0)
    assert np.nanmedian(np.nanstd(moves, axis=0) / spread) < 0.5


def test_days_differ_but_the_same_job_comes_at_the_same_hour() -> None:
    telemetry = Telemetry(4, 1)
    days = [telemetry.day(i) for i in range(2)]
    assert not np.array_equal(days[0], days[1], equal_nan=True)


def test_half_an_hour_of_quiet_nodes_raises_nothing_high() -> None:
    measured = quiet(node_days=4, seed=5, warm_days=1, ticks=TICKS // 48)
    assert measured.node_days == pytest.approx(4 / 48)
    assert measured.raises[Level.HIGH] == 0
    assert measured.raises[Level.MAJOR] == 0


def test_rates_are_per_node_year() -> None:
    measured = Quiet(200.0, dict.fromkeys(Level, 2))
    assert measured.per_year(Level.HIGH) == pytest.approx(3.6525)


def test_a_storm_is_major_within_five_minutes_raised_once_and_told_to_lift() -> None:
    for told in play(Kind.STORM, nodes=2, seed=5, warm_days=1):
        major = told.first(Level.MAJOR)
        assert major is not None
        assert major <= 300.0
        assert told.raises(Level.MAJOR) == 1
        assert told.first_since(Level.LIFTING, 300.0) is not None


def test_a_scan_is_found_and_a_step_endangers_nobody() -> None:
    assert all(told.found_s is not None for told in play(Kind.SCAN, nodes=2, seed=6, warm_days=1))
    assert all(told.raises(Level.MEDIUM) == 0 for told in play(Kind.STEP, nodes=2, seed=7, warm_days=1))


def test_raises_are_counted_from_below_the_level() -> None:
    told = Told(
        (
            (0.0, Level.NORMAL),
            (5.0, Level.HIGH),
            (10.0, Level.MAJOR),
            (15.0, Level.HIGH),
            (20.0, Level.LIFTING),
            (25.0, Level.MAJOR),
        ),
        None,
    )
    assert (told.raises(Level.MEDIUM), told.raises(Level.MAJOR)) == (2, 2)
    assert told.first(Level.MAJOR) == 10.0
    assert told.first_since(Level.MAJOR, 11.0) == 25.0
    assert told.first(Level.MEDIUM) is None


@pytest.mark.parametrize(("node_days", "nodes"), [(0, 1), (1, 0)])
def test_a_simulation_of_nothing_is_refused(node_days: int, nodes: int) -> None:
    with pytest.raises(BadSettingError):
        list(rows(node_days=node_days, nodes=nodes, seed=0))
    assert len(Nodes(Telemetry(0, 1), silent, warm_days=0).names) == 1


def test_the_command_refuses_a_simulation_of_nothing_with_a_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["simulate", "--node-days", "0"]) == 2
    assert "node_days" in capsys.readouterr().err


@pytest.mark.long
def test_the_command_meets_every_target_and_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--node-days", "200", "--nodes", "20", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert all(row["passed"] for row in told)
