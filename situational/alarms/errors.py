"""Everything that the alarms refuse. Nothing has changed when one of these is raised.

AlarmError (a SituationalError)
├── AlarmInputImpossibleError   the table has no such move
├── AlarmInputMisfitError       an input without what it needs, or with what it cannot take
├── PersonMissingError          who did it was not told
├── ReasonMissingError          why was not told
├── MajorShelvedError           a major alarm cannot be shelved
├── ShelfTimeError              a shelf without end, with an end that has passed, or too long
├── ShelfNotOverError           the shelf's time is not over yet
├── AlarmTextError              a name or text that cannot be recorded
├── AlarmInconsistentError      a record whose parts contradict each other
├── BoardFullError              no room for another alarm
├── AlarmClockError             time went back
├── AlarmStateError             a stored board or event that is not one
└── AlarmHistoryError           events that do not follow each other
"""

from __future__ import annotations

from typing_extensions import override

from situational.errors import SituationalError


class AlarmError(SituationalError):
    """Base of every error about alarms."""


class AlarmInputImpossibleError(AlarmError):
    def __init__(self, state: str, given: str) -> None:
        super().__init__(state, given)
        self.state = state
        self.given = given

    @override
    def __str__(self) -> str:
        return f"'{self.given}' is not possible for an alarm that is '{self.state}': look at its state afresh"


class AlarmInputMisfitError(AlarmError):
    def __init__(self, given: str, part: str, need: str) -> None:
        super().__init__(given, part, need)
        self.given = given
        self.part = part
        self.need = need

    @override
    def __str__(self) -> str:
        return f"{self.part} of '{self.given}' must be {self.need}"


class PersonMissingError(AlarmError):
    def __init__(self, given: str) -> None:
        super().__init__(given)
        self.given = given

    @override
    def __str__(self) -> str:
        return f"'{self.given}' needs the person who does it: log in and do it under your own name"


class ReasonMissingError(AlarmError):
    def __init__(self, given: str) -> None:
        super().__init__(given)
        self.given = given

    @override
    def __str__(self) -> str:
        return f"'{self.given}' needs a reason that the next shift understands: write one"


class MajorShelvedError(AlarmError):
    def __init__(self, node: str, kind: str) -> None:
        super().__init__(node, kind)
        self.node = node
        self.kind = kind

    @override
    def __str__(self) -> str:
        return f"{self.kind} of {self.node} is major and cannot be shelved: acknowledge it and act on it"


class ShelfTimeError(AlarmError):
    def __init__(self, until_ms: int | None, now_ms: int, longest_ms: int) -> None:
        super().__init__(until_ms, now_ms, longest_ms)
        self.until_ms = until_ms
        self.now_ms = now_ms
        self.longest_ms = longest_ms

    @override
    def __str__(self) -> str:
        return (
            f"a shelf until {self.until_ms} ms, set at {self.now_ms} ms: name an end that is ahead "
            f"and at most {self.longest_ms} ms away"
        )


class ShelfNotOverError(AlarmError):
    def __init__(self, until_ms: int, now_ms: int) -> None:
        super().__init__(until_ms, now_ms)
        self.until_ms = until_ms
        self.now_ms = now_ms

    @override
    def __str__(self) -> str:
        return (
            f"it is {self.now_ms} ms, the shelf lasts until {self.until_ms} ms: only a person ends it early"
        )


class AlarmTextError(AlarmError):
    """Carries the length of the text and not the text, which may be hostile."""

    def __init__(self, name: str, length: int, longest: int) -> None:
        super().__init__(name, length, longest)
        self.name = name
        self.length = length
        self.longest = longest

    @override
    def __str__(self) -> str:
        return (
            f"{self.name} of {self.length} characters: write one line of printable text, "
            f"not blank and at most {self.longest} characters"
        )


class AlarmInconsistentError(AlarmError):
    def __init__(self, state: str, need: str) -> None:
        super().__init__(state, need)
        self.state = state
        self.need = need

    @override
    def __str__(self) -> str:
        return f"an alarm that is '{self.state}' must have {self.need}"


class BoardFullError(AlarmError):
    def __init__(self, node: str, kind: str, limit: int) -> None:
        super().__init__(node, kind, limit)
        self.node = node
        self.kind = kind
        self.limit = limit

    @override
    def __str__(self) -> str:
        return (
            f"no room for {self.kind} of {self.node}: {self.limit} alarms are kept; "
            "return some to normal or raise the limit"
        )


class AlarmClockError(AlarmError):
    def __init__(self, last_ms: int, got_ms: int) -> None:
        super().__init__(last_ms, got_ms)
        self.last_ms = last_ms
        self.got_ms = got_ms

    @override
    def __str__(self) -> str:
        return f"{self.got_ms} ms is before {self.last_ms} ms: give times of one clock that never goes back"


class AlarmStateError(AlarmError):
    def __init__(self, where: str, need: str) -> None:
        super().__init__(where, need)
        self.where = where
        self.need = need

    @override
    def __str__(self) -> str:
        return f"stored alarms, {self.where}: must be {self.need}; restore an untouched copy"


class AlarmHistoryError(AlarmError):
    def __init__(self, node: str, kind: str, at_ms: int, found: str) -> None:
        super().__init__(node, kind, at_ms, found)
        self.node = node
        self.kind = kind
        self.at_ms = at_ms
        self.found = found

    @override
    def __str__(self) -> str:
        return (
            f"event of {self.kind} of {self.node} at {self.at_ms} ms does not follow: {self.found}; "
            "compare with another copy of the ledger"
        )
