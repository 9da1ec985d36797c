"""A deployment whose programs really run: start, stop, freeze and kill them, and look at what they say."""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dispatch_client.keyfile import WrappingCost, create_key
from dispatch_server import pki
from dispatch_server.demo.deployment import DEPLOYMENT, DemoPerson, Deployment, Node, enrol, make_deployment
from dispatch_server.demo.processes import Processes
from dispatch_server.demo.verify import verify_all
from dispatch_server.identity.passwords import Argon2Parameters
from protocol.aio.control import CommandFailed, call
from protocol.journal.batch import Notice
from protocol.keys import Role

T = TypeVar("T")

WITHIN = 60.0  # s: a state that is not reached by then never is; far beyond what a loaded machine needs
_PAUSES = (0.005, 0.1)  # s between two looks at a state: the first one, and the longest that it grows to
_PASSWORD = "a long password of this test"
_CHEAP_KEY = WrappingCost(memory_kib=64, iterations=1, lanes=1)
_CHEAP_HASH = Argon2Parameters(memory_kib=64, iterations=1, production=False)

Person = tuple[str, Role, str, str]  # name, role, station, the server that knows them
Topology = Sequence[tuple[str, Role, str | None]]

WHOLE: Topology = (
    ("hq", Role.HQ, None),
    ("south", Role.CENTER, "hq"),
    ("desk-1", Role.DESK, "hq"),
    ("plant-a", Role.PLANT, "hq"),
    ("plant-b", Role.PLANT, "south"),
)


def until(look: Callable[[], T | None], what: str) -> T:
    """Wait until `look` finds something. Fails with `what` when it does not."""
    deadline = time.monotonic() + WITHIN
    pause, longest = _PAUSES
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {WITHIN:g} s for: {what}")
        time.sleep(pause)
        pause = min(1.5 * pause, longest)


class Grid:
    """The deployment with its processes; its authority is kept, so that a test can issue what it likes."""

    def __init__(self, folder: Path, people: Iterable[Person], topology: Topology = WHOLE) -> None:
        folder.mkdir(mode=0o700)
        self.authority = pki.create_authority(DEPLOYMENT, datetime.now(UTC), days=1)
        self.deployment: Deployment = make_deployment(
            folder, topology=topology, people=(), authority=self.authority
        )
        self.processes = Processes(self.deployment)
        for person in people:
            self._add(person)
        for node in self.nodes.values():  # readings of a busy test machine must not hold back orders
            self.configure(node.name, "telemetry_interval_s = 0.5", "telemetry_interval_s = 60")

    @property
    def nodes(self) -> Mapping[str, Node]:
        return self.deployment.nodes

    def _add(self, given: Person) -> None:
        name, role, station, server = given
        person = DemoPerson(name, name.title(), role, station, server, _PASSWORD)
        folder = self.nodes[station].folder / "people"
        request = create_key(name, _PASSWORD, folder, os.urandom, _CHEAP_KEY)
        certificate = pki.issue(
            self.authority,
            pki.read_request(request.read_bytes()),
            role,
            name,
            stations=[station],
            now=datetime.now(UTC),
            days=1,
        )
        (folder / f"{name}.crt").write_bytes(pki.certificate_pem(certificate))
        self.deployment.people[name] = person
        self.deployment.tokens[name] = enrol(self.deployment, person, _CHEAP_HASH)

    def configure(self, node: str, old: str, new: str) -> None:
        """Change a node's configuration before it starts."""
        config = self.nodes[node].config
        text = config.read_text("utf-8")
        assert text.count(old) == 1, (node, old)
        config.write_text(text.replace(old, new), "utf-8")

    # --- processes ---

    def start(self, *names: str) -> None:
        """Start these programs, all if none is named, and wait until they answer."""
        names = names or tuple(self.nodes)
        for name in sorted(names, key=lambda name: self.nodes[name].superior is None):
            self.processes.start(self.nodes[name])
        for name in names:
            until(partial(self._answers, name), f"{name} answers")

    def _answers(self, name: str) -> bool:
        log = self.processes.log_of(self.nodes[name])
        assert self.processes.of(name).poll() is None, log.read_text("utf-8").splitlines()[-1:]
        try:
            self.call(name, "status")
        except CommandFailed:
            return False
        return True

    def kill(self, name: str) -> None:
        """End a program without any warning."""
        self.processes.of(name).kill()
        self.processes.of(name).wait()

    def stop(self, name: str) -> int:
        """SIGTERM; gives the exit status."""
        self.processes.of(name).send_signal(signal.SIGTERM)
        return self.processes.of(name).wait(WITHIN)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """The program gets no processor: its sockets live, it takes and says nothing."""
        process = self.processes.of(name)
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop everything that runs."""
        self.processes.stop_all()

    # --- what they say ---

    def call(self, node: str, command: str, **arguments: Any) -> Any:
        return call(self.nodes[node].control, command, arguments, timeout=WITHIN + 10)

    def status(self, node: str) -> Mapping[str, Any]:
        status: Mapping[str, Any] = self.call(node, "status")
        return status

    def link(self, node: str) -> Mapping[str, Any]:
        """The link to this node, as its superior sees it."""
        links = self.status(str(self.nodes[node].superior))["links"]
        found: Mapping[str, Any] = next(link for link in links if link["node"] == node)
        return found

    def wait_link(self, node: str, **wanted: object) -> Mapping[str, Any]:
        """Until the link to this node has these values."""

        def look() -> Mapping[str, Any] | None:
            link = self.link(node)
            return link if all(link[key] == value for key, value in wanted.items()) else None

        return until(look, f"link to {node}: {wanted}")

    def wait_linked(self, *names: str) -> None:
        """Until both ends of the links to these nodes, all if none is named, say that they stand."""
        for name in names or [node.name for node in self.nodes.values() if node.superior]:
            self.wait_link(name, state="connected")
            until(partial(self.has_superior, name), f"{name} has its superior")

    def has_superior(self, name: str) -> bool:
        """Whether the node says that its superior has a session with it."""
        status = self.status(name)
        superior = status["superior"]
        return bool(superior["connected"] if isinstance(superior, dict) else status["connected"])

    def logged(self, node: str) -> Sequence[Mapping[str, Any]]:
        """The lines that a program has logged so far."""
        text = self.processes.log_of(self.nodes[node]).read_text("utf-8")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def wait_logged(self, node: str, event: str, *words: str, after: int = 0) -> Mapping[str, Any]:
        """Until a line after the first `after` ones has this event and says these words."""

        def look() -> Mapping[str, Any] | None:
            for line in self.logged(node)[after:]:
                if line["event"] == event and all(word in json.dumps(line) for word in words):
                    return line
            return None

        return until(look, f"{node} logs '{event}' with {words}")

    def noted(self, node: str, kind: str) -> Sequence[Mapping[str, str]]:
        """What stands in a node's ledger about things of this kind that are no order events."""
        with closing(sqlite3.connect(f"{self.nodes[node].journal.as_uri()}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT subject, body FROM ledger WHERE kind = ? ORDER BY entry", (kind,))
            return [{"subject": subject, **dict(Notice.decode(body).facts)} for subject, body in rows]

    def wait_noted(self, node: str, kind: str, **wanted: str) -> None:
        """Until a line in the ledger says all this; a value may be a part of what stands there."""

        def look() -> bool:
            return any(
                all(value in note.get(key, "") for key, value in wanted.items())
                for note in self.noted(node, kind)
            )

        until(look, f"{node}'s ledger notes {kind} {wanted}")

    def ledger_is_sound(self) -> None:
        """Every ledger holds alone and against its superior's."""
        failed = [f"{check.what}: {check.detail}" for check in verify_all(self.deployment) if not check.ok]
        assert not failed, failed

    # --- people ---

    def log_in(self, person: str) -> Any:
        """Password and second factor at the person's own station."""
        known = self.deployment.people[person]
        return self.call(
            known.station, "login", person=person, password=known.password, response=self.code(person)
        )

    def code(self, person: str) -> str:
        """A second factor that was not used before."""
        return self.deployment.tokens[person].next_code()

    def password(self, person: str) -> str:
        return self.deployment.people[person].password
