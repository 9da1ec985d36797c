"""What the tests of operations share."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from prometheus_client.parser import text_string_to_metric_families


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that other tasks bring about."""
    async with asyncio.timeout(30):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


def samples_of(text: bytes) -> list[Any]:
    """Every value in a text of metrics, as Prometheus' own reader finds it; it raises for a bad text."""
    return [s for family in text_string_to_metric_families(text.decode()) for s in family.samples]


def values_of(text: bytes) -> dict[str, float]:
    """Of metrics without labels: name -> value."""
    return {sample.name: sample.value for sample in samples_of(text) if not sample.labels}


def by_label(text: bytes, name: str, label: str) -> dict[str, float]:
    """Of one metric: label -> value."""
    return {s.labels[label]: s.value for s in samples_of(text) if s.name == name}


def names_of(samples: Sequence[Any]) -> set[str]:
    """The names that an expression may use."""
    return {sample.name for sample in samples}
