"""One command to the running program over its control socket, and what to print of the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from protocol.aio.control import CommandFailed, call
from protocol.terminal.program import ExitCode
from protocol.terminal.screen import complain, tell, tell_json
from protocol.texts import OUTCOMES, Language, say

_PATIENCE = {"status": 10.0}  # s; asked where something is wrong, answered from memory
_LONGEST = 60.0  # s
_UNKNOWN = "no-answer"  # the command may have been carried out: control.call says so


@dataclass(frozen=True, slots=True)
class Talk:
    """With one running program."""

    control: Path
    language: Language
    as_json: bool = False

    def ask(self, command: str, **arguments: Any) -> Any:
        """The result of a command. Raises CommandFailed."""
        return call(self.control, command, arguments, timeout=_PATIENCE.get(command, _LONGEST))

    def tell(self, result: Any, render: Callable[[Any], None]) -> None:
        """Print a result: as JSON, or as `render` does."""
        if self.as_json:
            tell_json(result)
        else:
            render(result)

    def act(self, command: str, **arguments: Any) -> None:
        """Sign something and tell what became of it: taken, refused or not known yet. Raises typer.Exit."""
        order = arguments["order"]
        try:
            result = self.ask(command, **arguments)
        except CommandFailed as failure:
            kind = "pending" if failure.code == _UNKNOWN else "refused"
            self._end(kind, order, {"code": failure.code, "reason": failure.message})
        else:
            self._end(result["outcome"], order, result)

    def _end(self, kind: str, order: str, facts: dict[str, Any]) -> None:
        word = say(OUTCOMES[kind], self.language, order=order)
        if self.as_json:
            tell_json({"outcome": kind, "order": order} | facts)
        if kind == "taken":
            if not self.as_json:
                tell(f"{order}: {word}")
            return
        why = f": {facts['reason']}" if "reason" in facts else ""
        complain(f"{order}: {word}{why}")
        raise typer.Exit(ExitCode.FAILED if kind == "refused" else ExitCode.NOT_KNOWN)
