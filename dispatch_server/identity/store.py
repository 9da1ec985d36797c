"""The durable side of identity: persons, enrolments, sessions and grants. Synchronous; call it off the loop.

Several processes may have the file open (the daemon and the admin commands): each method is one transaction.
"""

import hmac
import sqlite3
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from dispatch_server.identity.challenges import DIGEST_BYTES, Purpose
from dispatch_server.identity.database import Database
from dispatch_server.identity.errors import (
    GrantRefused,
    PersonExists,
    PersonUnknown,
    ReasonedError,
    SealBroken,
    SessionRefused,
    StoreRefused,
)
from dispatch_server.identity.lockout import LockoutState
from dispatch_server.identity.records import Account, Grant, Person, Proved, Session
from dispatch_server.identity.sealing import NONCE_BYTES, Sealer


class ProofOutdated(ReasonedError):
    """The account changed while the attempt was judged: nothing was stored."""


class IdentityStore:
    """`key`: the 32 bytes of the key file. `random_bytes`: n -> n unpredictable bytes.

    Raises StoreRefused when the file is not an identity store of that key.
    """

    def __init__(self, path: str | Path, key: bytes, random_bytes: Callable[[int], bytes]) -> None:
        self._sealer = Sealer(key)
        self._random_bytes = random_bytes
        self._db = Database(path)
        self.decoy_seed = self._sealer.decoy_seed
        self.pseudonym = self._sealer.pseudonym
        try:
            self._check_key()
        except StoreRefused:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    # Persons: for the admin functions

    def add_person(
        self,
        person: str,
        role: str,
        display_name: str,
        password: str,
        enrolments: Mapping[str, bytes],
        *,
        stations: Collection[str] = (),
    ) -> None:
        """`password` is a PHC string; `stations` the nodes where the person may act. Raises PersonExists."""
        with self._db.writing() as sql:
            try:
                sql.execute(
                    "INSERT INTO persons (person, role, display_name, password, stations)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (person, role, display_name, password, " ".join(sorted(stations))),
                )
            except sqlite3.IntegrityError:
                raise PersonExists(person) from None
            for kind, enrolment in enrolments.items():
                self._put_enrolment(sql, person, kind, enrolment)

    def persons(self) -> list[Person]:
        with self._db.reading() as sql:
            rows = sql.execute(
                "SELECT person, role, display_name, enabled, failures, locked_until_ms, attempts, stations,"
                " coalesce((SELECT group_concat(kind) FROM enrolments e WHERE e.person = p.person), '')"
                " FROM persons p ORDER BY person"
            ).fetchall()
        return [
            Person(
                person,
                role,
                name,
                bool(enabled),
                LockoutState(failures, until),
                attempts,
                _kinds(kinds),
                frozenset(stations.split()),
            )
            for person, role, name, enabled, failures, until, attempts, stations, kinds in rows
        ]

    def stranger_attempts(self) -> int:
        """How often both factors were tried for an id that nobody has."""
        with self._db.reading() as sql:
            (attempts,) = sql.execute("SELECT attempts FROM strangers").fetchone()
        return int(attempts)

    def set_password(self, person: str, password: str, now_ms: int) -> None:
        """Also ends the person's sessions. Raises PersonUnknown."""
        with self._db.writing() as sql:
            _change_one(sql, person, "UPDATE persons SET password = ? WHERE person = ?", (password, person))
            _end_everything(sql, now_ms, person)

    def set_enrolment(self, person: str, kind: str, enrolment: bytes, now_ms: int) -> None:
        """Replaces what the person had of that kind and ends the sessions. Raises PersonUnknown."""
        with self._db.writing() as sql:
            _change_one(sql, person, "UPDATE persons SET person = person WHERE person = ?", (person,))
            self._put_enrolment(sql, person, kind, enrolment)
            _end_everything(sql, now_ms, person)

    def disable(self, person: str, now_ms: int) -> None:
        """Also revokes every session of the person, for good. Raises PersonUnknown."""
        with self._db.writing() as sql:
            _change_one(sql, person, "UPDATE persons SET enabled = 0 WHERE person = ?", (person,))
            _end_everything(sql, now_ms, person)
            sql.execute(
                "UPDATE sessions SET revoked = 1, change = (SELECT max(change) + 1 FROM sessions)"
                " WHERE person = ?",
                (person,),
            )

    def enable(self, person: str) -> None:
        """Raises PersonUnknown."""
        with self._db.writing() as sql:
            _change_one(sql, person, "UPDATE persons SET enabled = 1 WHERE person = ?", (person,))

    def unlock(self, person: str) -> None:
        """Raises PersonUnknown."""
        with self._db.writing() as sql:
            unlocked = "UPDATE persons SET failures = 0, locked_until_ms = 0 WHERE person = ?"
            _change_one(sql, person, unlocked, (person,))

    # Attempts

    def account(self, person: str) -> Account | None:
        with self._db.reading() as sql:
            row = sql.execute(
                "SELECT role, display_name, enabled, password FROM persons WHERE person = ?", (person,)
            ).fetchone()
            sealed = sql.execute("SELECT kind, sealed FROM enrolments WHERE person = ?", (person,)).fetchall()
        if row is None:
            return None
        role, display_name, enabled, password = row
        return Account(person, role, display_name, bool(enabled), password, dict(sealed))

    def may_use(self, person: str, node: str) -> bool:
        """Whether the person may act on that node."""
        with self._db.reading() as sql:
            row = sql.execute("SELECT stations FROM persons WHERE person = ?", (person,)).fetchone()
        return row is not None and node in row[0].split()

    def unseal(self, account: Account, kind: str) -> bytes:
        """Raises SealBroken."""
        return self._sealer.open(account.person, kind, account.sealed[kind])

    def charge(self, person: str | None, step: Callable[[LockoutState], LockoutState]) -> LockoutState:
        """Count one attempt durably; None is somebody whom nobody knows. Returns the state *before* it."""
        with self._db.writing() as sql:
            row = sql.execute(
                "SELECT failures, locked_until_ms FROM persons WHERE person = ?", (person,)
            ).fetchone()
            if row is None:
                sql.execute("UPDATE strangers SET attempts = attempts + 1")
                return LockoutState()
            before = LockoutState(*row)
            after = step(before)
            sql.execute(
                "UPDATE persons SET failures = ?, locked_until_ms = ?, attempts = attempts + 1"
                " WHERE person = ?",
                (after.failures, after.locked_until_ms, person),
            )
            return before

    def open_session(self, proved: Proved, session: Session) -> None:
        """Accept a login; it ends the person's earlier session on that node. Raises ProofOutdated."""
        with self._db.writing() as sql:
            self._settle(sql, proved)
            _end_sessions(sql, session.started_ms, session.person, session.node)
            sql.execute(
                "INSERT INTO sessions (id, person, node, started_ms, expires_ms, change)"
                " VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(change), 0) + 1 FROM sessions))",
                (session.id, session.person, session.node, session.started_ms, session.expires_ms),
            )

    def issue_grant(self, proved: Proved, grant: Grant, now_ms: int) -> None:
        """Accept a proof for one order. Raises ProofOutdated, SessionRefused."""
        with self._db.writing() as sql:
            if grant.session is not None:
                _session(sql, grant.session).require_open(grant.person, grant.node, now_ms)
            self._settle(sql, proved)
            sql.execute(
                "INSERT INTO grants (challenge_id, person, session, node, digest, expires_ms)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    grant.challenge_id,
                    grant.person,
                    grant.session,
                    grant.node,
                    grant.digest,
                    grant.expires_ms,
                ),
            )

    # Sessions and grants

    def session(self, session_id: bytes) -> Session:
        """Raises SessionRefused when there is none."""
        with self._db.reading() as sql:
            return _session(sql, session_id)

    def sessions_since(self, change: int, expiring_after_ms: int) -> list[Session]:
        """Sessions changed after `change`, oldest change first."""
        with self._db.reading() as sql:
            rows = sql.execute(
                "SELECT id, person, node, started_ms, expires_ms, ended_ms, revoked, change FROM sessions"
                " WHERE change > ? AND expires_ms > ? ORDER BY change",
                (change, expiring_after_ms),
            ).fetchall()
        return [_to_session(row) for row in rows]

    def end_session(self, session_id: bytes, person: str, node: str, now_ms: int) -> None:
        """Ending one that has ended is fine. Raises SessionRefused when it is not theirs."""
        with self._db.writing() as sql:
            session = _session(sql, session_id)
            session.require_owner(person, node)
            if session.ended_ms is None and now_ms < session.expires_ms:
                _end_sessions(sql, now_ms, person, node)

    def revoke_sessions(self, person: str, before_ms: int, now_ms: int) -> int:
        """End for good, with unused grants, what the person opened before `before_ms`; gives how many."""
        with self._db.writing() as sql:
            ended = sql.execute(
                "UPDATE sessions SET revoked = 1, ended_ms = min(coalesce(ended_ms, ?), ?),"
                " change = (SELECT max(change) + 1 FROM sessions)"
                " WHERE person = ? AND started_ms < ? AND revoked = 0 AND expires_ms > ?",
                (now_ms, now_ms, person, before_ms, now_ms),
            )
            if ended.rowcount:
                sql.execute(
                    "UPDATE grants SET expires_ms = min(expires_ms, ?) WHERE person = ? AND used_by IS NULL",
                    (now_ms, person),
                )
            return ended.rowcount

    def use_grant(
        self,
        challenge_id: bytes,
        person: str,
        node: str,
        digest: bytes,
        event_hash: bytes,
        *,
        now_ms: int,
        purpose: Purpose = Purpose.ISSUE,
    ) -> None:
        """The first event that uses a grant owns it for good; the same event may come again at any time.

        Raises GrantRefused."""
        if len(event_hash) != DIGEST_BYTES:
            raise GrantRefused(f"event hash must have {DIGEST_BYTES} bytes")
        with self._db.writing() as sql:
            grant = _grant(sql, challenge_id)
            grant.require_for(person, node, digest, purpose)
            if grant.used_by is None:
                grant.require_unused(_session(sql, grant.session) if grant.session else None, now_ms)
                used = "UPDATE grants SET used_by = ? WHERE challenge_id = ?"
                sql.execute(used, (event_hash, challenge_id))
            elif not hmac.compare_digest(grant.used_by, event_hash):
                raise GrantRefused("grant was used by another event")

    def _settle(self, sql: sqlite3.Connection, proved: Proved) -> None:
        account, kind = proved.account, proved.kind
        updated = sql.execute(
            "UPDATE persons SET failures = 0, locked_until_ms = 0, password = ?"
            " WHERE person = ? AND enabled = 1 AND password = ?",
            (proved.new_password or account.password, account.person, account.password),
        )
        if updated.rowcount != 1:
            raise ProofOutdated("account was disabled, or its password changed, meanwhile")
        # Two attempts that ran side by side with the same code: the second finds another enrolment here.
        sealed = self._seal(account.person, kind, proved.enrolment)
        updated = sql.execute(
            "UPDATE enrolments SET sealed = ? WHERE person = ? AND kind = ? AND sealed = ?",
            (sealed, account.person, kind, account.sealed[kind]),
        )
        if updated.rowcount != 1:
            raise ProofOutdated("factor was used or replaced meanwhile")

    def _put_enrolment(self, sql: sqlite3.Connection, person: str, kind: str, enrolment: bytes) -> None:
        sql.execute(
            "INSERT OR REPLACE INTO enrolments (person, kind, sealed) VALUES (?, ?, ?)",
            (person, kind, self._seal(person, kind, enrolment)),
        )

    def _seal(self, person: str, kind: str, enrolment: bytes) -> bytes:
        return self._sealer.seal(person, kind, enrolment, self._random_bytes(NONCE_BYTES))

    def _check_key(self) -> None:
        with self._db.writing() as sql:
            row = sql.execute("SELECT sealed FROM key_check").fetchone()
            if row is None:
                sql.execute("INSERT INTO key_check VALUES (?)", (self._seal("", "key-check", b""),))
                return
            try:
                self._sealer.open("", "key-check", row[0])
            except SealBroken:
                raise StoreRefused("the key file does not belong to this identity store") from None


def _change_one(sql: sqlite3.Connection, person: str, update: str, values: tuple[object, ...]) -> None:
    if sql.execute(update, values).rowcount != 1:
        raise PersonUnknown(person)


def _end_everything(sql: sqlite3.Connection, now_ms: int, person: str) -> None:
    """Sessions, with the unused grants that hang on them, and unused grants that hang on no session."""
    _end_sessions(sql, now_ms, person)
    sql.execute(
        "UPDATE grants SET expires_ms = min(expires_ms, ?) WHERE person = ? AND session IS NULL",
        (now_ms, person),
    )


def _end_sessions(sql: sqlite3.Connection, now_ms: int, person: str, node: str | None = None) -> None:
    # A session that ran out by itself keeps no end: it was over before.
    sql.execute(
        "UPDATE sessions SET ended_ms = ?, change = (SELECT max(change) + 1 FROM sessions)"
        " WHERE person = ? AND node = coalesce(?, node) AND ended_ms IS NULL AND expires_ms > ?",
        (now_ms, person, node, now_ms),
    )


def _session(sql: sqlite3.Connection, session_id: bytes) -> Session:
    row = sql.execute(
        "SELECT id, person, node, started_ms, expires_ms, ended_ms, revoked, change FROM sessions"
        " WHERE id = ?",
        (session_id,),
    ).fetchone()
    if row is None:
        raise SessionRefused("no such session")
    return _to_session(row)


def _to_session(row: tuple[bytes, str, str, int, int, int | None, int, int]) -> Session:
    session_id, person, node, started_ms, expires_ms, ended_ms, revoked, change = row
    return Session(session_id, person, node, started_ms, expires_ms, ended_ms, bool(revoked), change)


def _grant(sql: sqlite3.Connection, challenge_id: bytes) -> Grant:
    row = sql.execute(
        "SELECT challenge_id, person, session, node, digest, expires_ms, used_by FROM grants"
        " WHERE challenge_id = ?",
        (challenge_id,),
    ).fetchone()
    if row is None:
        raise GrantRefused("no such grant")
    return Grant(*row)


def _kinds(joined: str) -> tuple[str, ...]:
    return tuple(sorted(filter(None, joined.split(","))))
