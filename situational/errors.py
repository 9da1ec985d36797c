"""Everything that can go wrong in here, by whose fault it is.

SituationalError
├── SampleError              the telemetry's fault: refuse the sample, keep the link
│   ├── SampleNotFiniteError
│   └── TimeWentBackwardsError
├── TooManyNodesError        the environment's: more nodes than memory was planned for
└── MisuseError              the caller's
    ├── WindowShapeError
    ├── BadSettingError
    ├── PlaybookIncompleteError
    └── PlaybookNotMonotoneError
"""

from __future__ import annotations

from typing_extensions import override


class SituationalError(Exception):
    """Base of every error that this package raises."""


class SampleError(SituationalError):
    """A sample that no series may take in."""


class SampleNotFiniteError(SampleError):
    def __init__(self, time_s: float, value: float) -> None:
        super().__init__(time_s, value)
        self.time_s = time_s
        self.value = value

    @override
    def __str__(self) -> str:
        return f"sample ({self.time_s} s, {self.value}) is not a finite number: drop it, check the sensor"


class TimeWentBackwardsError(SampleError):
    def __init__(self, last_s: float, got_s: float) -> None:
        super().__init__(last_s, got_s)
        self.last_s = last_s
        self.got_s = got_s

    @override
    def __str__(self) -> str:
        return (
            f"sample at {self.got_s} s is older than the last one at {self.last_s} s: "
            "stamp samples with one monotonic clock, or forget the series after a restart"
        )


class TooManyNodesError(SituationalError):
    def __init__(self, node: str, limit: int) -> None:
        super().__init__(node, limit)
        self.node = node
        self.limit = limit

    @override
    def __str__(self) -> str:
        return f"no room for node {self.node!r}: {self.limit} nodes are kept; forget one or raise the limit"


class MisuseError(SituationalError):
    """The calling code or its settings are wrong."""


class WindowShapeError(MisuseError):
    def __init__(self, times: tuple[int, ...], values: tuple[int, ...]) -> None:
        super().__init__(times, values)
        self.times = times
        self.values = values

    @override
    def __str__(self) -> str:
        return f"times of shape {self.times} do not belong to values of shape {self.values}"


class BadSettingError(MisuseError):
    def __init__(self, name: str, value: float, need: str) -> None:
        super().__init__(name, value, need)
        self.name = name
        self.value = value
        self.need = need

    @override
    def __str__(self) -> str:
        return f"{self.name} = {self.value} must be {self.need}"


class PlaybookIncompleteError(MisuseError):
    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__(missing)
        self.missing = missing

    @override
    def __str__(self) -> str:
        return f"the playbook names no posture for: {', '.join(self.missing)}"


class PlaybookNotMonotoneError(MisuseError):
    def __init__(self, lower: str, higher: str) -> None:
        super().__init__(lower, higher)
        self.lower = lower
        self.higher = higher

    @override
    def __str__(self) -> str:
        return f"the playbook's posture for {self.higher} is weaker than the one for {self.lower}"
