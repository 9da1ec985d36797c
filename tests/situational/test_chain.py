"""The whole chain, from samples to posture: an attack, and what follows it."""

import numpy as np

from situational import METRICS, Cause, Change, Posture, Sample, Stance, Watch, decide, release
from situational.posture import Playbook

QUIET, SURGE = np.ones(70), np.exp(np.arange(60) / 20.0)
ATTACK = np.concatenate([QUIET, SURGE, SURGE[::-1], np.ones(120)])


def dispatched(playbook: Playbook) -> tuple[Stance, list[tuple[int, Change]]]:
    """The attack on one plant, judged and answered every five seconds."""
    rng, watch, stance, changes = np.random.default_rng(9), Watch(max_nodes=1), Stance(), []
    for tick, factor in enumerate(ATTACK):
        noisy = 1e9 * factor * rng.normal(1.0, 0.02, len(METRICS))
        watch.record("plant-1", Sample(5.0 * tick, dict(zip(METRICS, noisy.tolist(), strict=True))))
        hazard = watch.tick(5.0 * tick, 1.7e9 + 5.0 * tick, 28_800.0)["plant-1"]
        stance, change = decide(stance, hazard, 5.0 * tick, playbook)
        if change is not None:
            changes.append((tick, change))
    return stance, changes


def test_a_surge_of_all_four_metrics_holds_issuing_until_a_person_releases_it() -> None:
    stance, changes = dispatched(Playbook())
    assert stance.posture is Posture.HELD
    assert all(change.cause is Cause.HAZARD for _, change in changes)
    assert len(QUIET) < changes[-1][0] < len(QUIET) + len(SURGE)
    freed, change = release(stance, "li", 2000.0)
    assert freed.posture is Posture.NORMAL
    assert change is not None
    assert change.person == "li"


def test_where_the_playbook_says_so_the_end_of_the_danger_releases_it() -> None:
    stance, changes = dispatched(Playbook(by_person=frozenset()))
    assert stance.posture is Posture.NORMAL
    (last, change) = changes[-1]
    assert (change.before, change.cause, change.judged) == (Posture.HELD, Cause.HAZARD_END, len(METRICS))
    assert last > len(QUIET) + 2 * len(SURGE)
