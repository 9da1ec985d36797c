"""protocol/aio/keyring.py: what a node shows and whom it trusts, renewed while it runs."""

import asyncio
import base64
import shutil
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from dispatch_server import pki
from protocol.aio.keyring import Keyring
from protocol.aio.node import wall_ms
from protocol.errors import ConfigurationRefused, DispatchError, KeyRefused
from protocol.keys import Role
from tests.protocol.aio.hall import PATIENCE, Hall, echo, until
from tests.protocol.aio.keyfiles import CLIENT, SERVER, KeyRoom, context_of, der_of, settings_of

FILES = ("authority.crt", "node.crt", "node.key")


@pytest.fixture
def keys(tmp_path: Path) -> KeyRoom:
    return KeyRoom(tmp_path)


def ring_of(place: Path, name: str = "plant-1", role: Role = Role.PLANT, crl: Path | None = None) -> Keyring:
    settings = settings_of(place).model_copy(update={"revocations": crl})
    return Keyring(settings, Path(), name, role, wall_ms)


def put(place: Path, made: Path, *files: str) -> None:
    for file in files or FILES:
        shutil.copy(made / file, place / file)


def newer(keys: KeyRoom, holder: str = "newer") -> Path:
    return keys.make(holder, Role.PLANT, "plant-1")


def test_a_renewed_pair_counts_and_whoever_asked_is_told_once(keys: KeyRoom) -> None:
    ring, told = ring_of(keys.plant()), []
    ring.on_renewed.append(lambda: told.append(ring.key.certificate.serial))
    before, trust, context = ring.key.certificate, ring.trust, ring.context(SERVER)
    put(keys.plant(), newer(keys))
    prepared = ring.prepare()
    assert ring.key.certificate == before  # nothing yet
    assert ring.renew(prepared)
    assert ring.key.certificate.der == der_of(newer(keys)) != before.der
    assert told == [ring.key.certificate.serial]
    assert ring.trust is trust
    assert ring.context(SERVER) is not context
    context = ring.context(SERVER)
    assert not ring.renew(ring.prepare())
    assert (len(told), ring.context(SERVER)) == (1, context)


def test_a_pair_that_is_renewed_while_a_program_starts_is_not_shown_beside_the_old_key(keys: KeyRoom) -> None:
    ring = ring_of(keys.plant())
    put(keys.plant(), newer(keys))
    with pytest.raises(KeyRefused, match="being changed"):
        ring.context(SERVER)


def test_a_key_that_is_taken_away_while_it_is_read_is_refused_by_name(
    keys: KeyRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anything else would end the daemon that was asked to reload."""
    ring, key = ring_of(keys.plant()), keys.plant() / "node.key"
    read = Path.read_bytes

    def read_and_lose(path: Path) -> bytes:
        data = read(path)
        if path == key:
            path.unlink()
        return data

    monkeypatch.setattr(Path, "read_bytes", read_and_lose)
    with pytest.raises(ConfigurationRefused, match="cannot be read"):
        ring.prepare()


def of_another(keys: KeyRoom, place: Path) -> None:
    put(place, keys.make("other", Role.PLANT, "plant-2"))


def of_another_role(keys: KeyRoom, place: Path) -> None:
    put(place, keys.make("other", Role.DESK, "plant-1"))


def over(keys: KeyRoom, place: Path) -> None:
    put(place, keys.make("over", Role.PLANT, "plant-1", age=timedelta(days=9), days=8))


def too_early(keys: KeyRoom, place: Path) -> None:
    put(place, keys.make("early", Role.PLANT, "plant-1", age=-timedelta(days=1)))


def foreign(keys: KeyRoom, place: Path) -> None:
    put(place, keys.make("foreign", Role.PLANT, "plant-1", authority="theirs"))


def half(keys: KeyRoom, place: Path) -> None:
    put(place, newer(keys), "node.crt")


def readable(keys: KeyRoom, place: Path) -> None:
    put(place, newer(keys))
    (place / "node.key").chmod(0o640)


def gone(keys: KeyRoom, place: Path) -> None:
    (place / "node.key").unlink()


def garbage(keys: KeyRoom, place: Path) -> None:
    (place / "node.crt").write_text("-----BEGIN")


def of_an_authority_that_goes(keys: KeyRoom, place: Path) -> None:
    put(place, keys.make("other trust", Role.PLANT, "plant-1", trusts="theirs"), "authority.crt")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (of_another, "it names plant 'plant-2', the configuration says plant 'plant-1'"),
        (of_another_role, "it names desk 'plant-1'"),
        (over, "the certificate is not valid at this time"),
        (too_early, "check the clocks"),
        (foreign, "not issued by this deployment's authority"),
        (half, "the private key does not belong to the certificate"),
        (readable, "others may read this private key"),
        (gone, "cannot be read"),
        (garbage, "PEM cannot be read"),
        (of_an_authority_that_goes, "not issued by this deployment's authority"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_used_is_refused_by_name_and_nothing_has_changed(
    keys: KeyRoom, change: Callable[[KeyRoom, Path], None], why: str
) -> None:
    place = keys.plant()
    ring = ring_of(place)
    ring.on_renewed.append(lambda: pytest.fail("nothing was renewed"))
    held = (ring.key, ring.trust.anchors, ring.context(SERVER))
    change(keys, place)
    with pytest.raises((KeyRefused, ConfigurationRefused), match=why):
        ring.prepare()
    assert (ring.key, ring.trust.anchors, ring.context(SERVER)) == held


def test_files_that_change_while_they_are_read_are_refused(
    keys: KeyRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS reads the files by itself: what it took must be what was checked."""
    place = keys.plant()
    ring = ring_of(place)
    ring.context(SERVER)
    put(place, newer(keys))
    make = ring._make_context

    def meanwhile(side: "ssl._SSLMethod") -> ssl.SSLContext:
        put(place, newer(keys, "newest"))
        return make(side)

    monkeypatch.setattr(ring, "_make_context", meanwhile)
    with pytest.raises(KeyRefused, match="it was being changed: reload again"):
        ring.prepare()


def crl(keys: KeyRoom, path: Path, *revoked: Path, after: int = 0) -> Path:
    rows = [pki.Revocation(serial_of(place), keys.now) for place in revoked]
    made = pki.revocation_list(keys.authorities["ours"], rows, keys.now, 30, after=after)
    path.write_bytes(pki.certificate_pem(made))
    return path


def serial_of(place: Path) -> int:
    return x509.load_pem_x509_certificate((place / "node.crt").read_bytes()).serial_number


def test_revocations_are_taken_without_looking_at_the_rest(keys: KeyRoom, tmp_path: Path) -> None:
    place = keys.plant()
    path = crl(keys, tmp_path / "list.crl")
    ring = ring_of(place, crl=path)
    of_another(keys, place)  # somebody is in the middle of another change
    crl(keys, path, keys.hq(), after=10**15)
    ring.trust.renew(ring.prepare_revocations())
    with pytest.raises(KeyRefused, match="hq: the certificate is revoked"):
        ring.trust.identify(der_of(keys.hq()), wall_ms())
    crl(keys, path)
    with pytest.raises(KeyRefused, match="is older than the one in force"):
        ring.prepare_revocations()
    path.unlink()
    with pytest.raises(ConfigurationRefused, match="cannot be read"):
        ring.prepare_revocations()


def test_a_pair_that_has_run_out_does_not_keep_new_revocations_away(keys: KeyRoom, tmp_path: Path) -> None:
    place = keys.plant()
    path = crl(keys, tmp_path / "list.crl")
    now = [wall_ms()]
    settings = settings_of(place).model_copy(update={"revocations": path})
    ring = Keyring(settings, Path(), "plant-1", Role.PLANT, lambda: now[0])
    now[0] += 400 * 24 * 3_600_000
    crl(keys, path, keys.hq(), after=10**15)
    assert not ring.renew(ring.prepare())
    assert len(ring.trust.anchors.revoked()) == 1


def test_without_a_configured_list_there_is_nothing_to_take(keys: KeyRoom) -> None:
    ring = ring_of(keys.plant())
    assert ring.prepare_revocations() is ring.trust.anchors


# --- TLS truly uses it ---


@asynccontextmanager
async def door(ring: Keyring) -> AsyncIterator[Hall]:
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        room = Hall(stack)
        await room.open(ring.context(SERVER))
        yield room


async def shown_to(room: Hall, context: ssl.SSLContext) -> bytes:
    stream = await room.dial(context)
    assert await echo(stream) == b"hello"
    certificate = stream.peer_certificate
    stream.close()
    return certificate


async def test_new_handshakes_show_the_new_certificate_and_open_streams_go_on(keys: KeyRoom) -> None:
    place, dialling = keys.plant(), ring_of(keys.hq(), "hq", Role.HQ)
    ring, old = ring_of(place), der_of(place)
    async with door(ring) as room:
        stream = await room.dial(dialling.context(CLIENT))
        assert await echo(stream) == b"hello"
        assert stream.peer_certificate == old
        put(place, newer(keys))
        ring.renew(ring.prepare())
        room.door.context = ring.context(SERVER)
        assert await shown_to(room, dialling.context(CLIENT)) == der_of(newer(keys)) != old
        assert await echo(stream) == b"hello"
        before = der_of(keys.hq())
        put(keys.hq(), keys.make("hq newer", Role.HQ, "hq"))
        dialling.renew(dialling.prepare())
        await shown_to(room, dialling.context(CLIENT))
        assert room.certificates == [before, before, der_of(keys.hq())]
        assert await echo(stream) == b"hello"


def shake(client: ssl.SSLContext, server: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLObject:
    """A whole handshake in memory and what follows it: the client's end."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, session=session)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for step in (near, far, near, far):
        try:
            step.do_handshake()
        except ssl.SSLWantReadError:
            continue
    far.write(b"x")  # behind the tickets
    assert near.read(1) == b"x"
    return near


@pytest.mark.parametrize("way", ["the context in use", "a new context"])
def test_why_a_renewal_makes_a_new_context(keys: KeyRoom, way: str) -> None:
    """With a new certificate in the context in use a resumed session still shows the old one."""
    place, client = keys.plant(), ring_of(keys.hq(), "hq", Role.HQ).context(CLIENT)
    ring, old = ring_of(place), der_of(place)
    server = ring.context(SERVER)
    session = shake(client, server, None).session
    put(place, newer(keys))
    if way == "a new context":
        ring.renew(ring.prepare())
        server = ring.context(SERVER)
    else:
        server.load_cert_chain(place / "node.crt", place / "node.key")
    assert shake(client, server, None).getpeercert(binary_form=True) == der_of(place) != old
    again = shake(client, server, session)
    resumed = way == "the context in use"
    assert again.session_reused == resumed
    assert (again.getpeercert(binary_form=True) == old) == resumed


async def test_a_handshake_that_was_under_way_during_a_renewal_is_not_served(keys: KeyRoom) -> None:
    """A Welcome that the new key signs would not fit the certificate that TLS has shown."""
    ring, context = ring_of(keys.plant()), context_of(CLIENT, keys.hq())
    async with door(ring) as room:
        reader, writer = await room.connect()
        await until(lambda: room.door.visits == 1)
        put(keys.plant(), newer(keys))
        ring.renew(ring.prepare())
        room.door.context = ring.context(SERVER)
        await writer.start_tls(context, server_hostname="")
        assert await reader.read() == b""
        writer.close()
        assert (room.certificates, room.faults) == ([], [])
        assert await shown_to(room, context) == der_of(newer(keys))


async def test_two_authorities_of_one_name_are_told_apart_by_tls(keys: KeyRoom) -> None:
    """As in a change of authority: the certificates of both are let in, then only those of the new one."""
    place, both = (
        keys.plant(),
        b"".join(pki.certificate_pem(a.certificate) for a in keys.authorities.values()),
    )
    ring = ring_of(place)
    strange = keys.make("hq theirs", Role.HQ, "hq", authority="theirs")
    (strange / "authority.crt").write_bytes(both)
    context = ring_of(strange, "hq", Role.HQ).context(CLIENT)
    async with door(ring) as room:
        (place / "authority.crt").write_bytes(both)
        ring.renew(ring.prepare())
        room.door.context = ring.context(SERVER)
        assert await shown_to(room, context) == der_of(place)
        assert await shown_to(room, ring_of(keys.hq(), "hq", Role.HQ).context(CLIENT)) == der_of(place)
        assert room.certificates == [der_of(strange), der_of(keys.hq())]


async def test_dates_are_left_to_the_trust_store_which_can_name_them(keys: KeyRoom) -> None:
    place = keys.make("hq early", Role.HQ, "hq", age=-timedelta(days=1))
    ring = ring_of(keys.plant())
    async with door(ring) as room:
        await shown_to(room, context_of(CLIENT, place))
        (shown,) = room.certificates
    with pytest.raises(DispatchError, match=r"it begins at .* UTC: check the clocks"):
        ring.trust.identify(shown, wall_ms())


@pytest.mark.parametrize("file", [*FILES, "list.crl"])
def test_no_damage_to_a_file_ends_the_program(keys: KeyRoom, file: str) -> None:
    """It is refused by name, or it changes nothing that we look at: any byte of what the PEM holds."""
    place = keys.plant()
    ring = ring_of(place, crl=crl(keys, place / "list.crl", keys.hq()))
    head, *lines, tail = (place / file).read_text().splitlines()
    content = base64.b64decode("".join(lines))
    for at in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        text = base64.encodebytes(damaged).decode()
        (place / file).write_text(f"{head}\n{text}{tail}\n")
        with warnings.catch_warnings(action="ignore"), suppress(KeyRefused, ConfigurationRefused):
            ring.renew(ring.prepare())
