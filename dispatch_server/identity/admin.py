"""What administrators do with persons, for the commands of the daemon. Blocking."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dispatch_server.identity.audit import Action, AuditRecord, Trail
from dispatch_server.identity.challenges import require_person_id
from dispatch_server.identity.errors import IdentityError
from dispatch_server.identity.passwords import (
    SALT_BYTES,
    Argon2Parameters,
    check_new_password,
    hash_password,
)
from dispatch_server.identity.records import Person
from dispatch_server.identity.store import IdentityStore
from dispatch_server.identity.totp import KIND, SECRET_BYTES, TotpEnrolment, provisioning_uri


@dataclass(frozen=True, slots=True)
class Provisioned:
    """`uri` holds the TOTP secret: show it to the person once, never store it."""

    person: str
    uri: str = field(repr=False)


class IdentityAdmin:
    """`actor`: who does it, for the audit log. `issuer`: the name that authenticator apps show.
    `blocklist`: common passwords in lower case."""

    def __init__(
        self,
        store: IdentityStore,
        parameters: Argon2Parameters,
        *,
        actor: str,
        issuer: str,
        wall_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        audit: Callable[[AuditRecord], None],
        blocklist: Collection[str] = frozenset(),
    ) -> None:
        self._store = store
        self._parameters = parameters
        self._actor = actor
        self._issuer = issuer
        self._wall_ms = wall_ms
        self._random_bytes = random_bytes
        self._audit = audit
        self._blocklist = blocklist

    def persons(self) -> list[Person]:
        return self._store.persons()

    def add_person(
        self, person: str, role: str, display_name: str, password: str, *, stations: Collection[str] = ()
    ) -> Provisioned:
        """`stations`: the nodes where the person may act; none means nowhere.

        Raises PersonExists, PasswordRefused, PersonIdRefused."""
        with self._recording("add-person", person):
            require_person_id(person)
            stored = self._hash_new(person, password)
            enrolment = self._new_enrolment()
            sealed = {KIND: enrolment.to_bytes()}
            self._store.add_person(person, role, display_name, stored, sealed, stations=stations)
        return Provisioned(person, provisioning_uri(enrolment, person, self._issuer))

    def set_password(self, person: str, password: str) -> None:
        """Also ends the person's sessions. Raises PersonUnknown, PasswordRefused."""
        with self._recording("set-password", person):
            self._store.set_password(person, self._hash_new(person, password), self._wall_ms())

    def re_enrol(self, person: str) -> Provisioned:
        """A new TOTP secret; the old one and the sessions end. Raises PersonUnknown."""
        with self._recording("re-enrol", person):
            enrolment = self._new_enrolment()
            self._store.set_enrolment(person, KIND, enrolment.to_bytes(), self._wall_ms())
        return Provisioned(person, provisioning_uri(enrolment, person, self._issuer))

    def disable(self, person: str) -> None:
        """Also revokes every session of the person. Raises PersonUnknown."""
        with self._recording("disable", person):
            self._store.disable(person, self._wall_ms())

    def enable(self, person: str) -> None:
        """Raises PersonUnknown."""
        with self._recording("enable", person):
            self._store.enable(person)

    def unlock(self, person: str) -> None:
        """Raises PersonUnknown."""
        with self._recording("unlock", person):
            self._store.unlock(person)

    def _hash_new(self, person: str, password: str) -> str:
        check_new_password(password, person=person, blocklist=self._blocklist)
        return hash_password(password, self._parameters, self._random_bytes(SALT_BYTES))

    def _new_enrolment(self) -> TotpEnrolment:
        return TotpEnrolment(secret=self._random_bytes(SECRET_BYTES))

    @contextmanager
    def _recording(self, action: Action, person: str) -> Iterator[None]:
        trail = Trail(action, f"admin:{self._actor}", person, known=True)
        try:
            yield
            trail.reasons = ()
        except IdentityError as error:
            trail.note_refusal(error)
            raise
        finally:
            self._audit(trail.finish(self._wall_ms(), self._store.pseudonym))
