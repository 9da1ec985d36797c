"""How fast the cipher is, as ratios to ChaCha20 and AES-CTR of `cryptography` in the same run."""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES, ChaCha20
from cryptography.hazmat.primitives.ciphers.modes import CTR

from chaos_cipher.cache import MAX_CAPACITY, KeystreamCache
from chaos_cipher.cipher import LogisticCipher
from chaos_cipher.schedule import NONCE_BYTES

ORDER_BYTES: Final = 256
BULK_BYTES: Final = 1 << 20
_CALLS: Final = MAX_CAPACITY  # per round: as many messages as can be prepared before the clock starts

Nonces = list[bytes]
Subject = Callable[[Nonces, bytes], Callable[[bytes], object]]
"""Given a round's nonces and the message, does what need not be timed and gives what is: a call per nonce."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: CPU microseconds of a call, and how many times the time of the standard ciphers."""

    name: str
    size: int
    microseconds: float
    megabytes_per_s: float
    times_chacha20: float
    times_aes_ctr: float
    target: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds; their median counts (15)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    if arguments.rounds < 1:
        sys.stderr.write("--rounds must be at least 1\n")
        return 2
    rows = measure(arguments.rounds)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}"
    if arguments.json:
        text = json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2)
    else:
        text = f"{_table(rows)}\n{machine}; CPU time, medians of interleaved rounds"
    sys.stdout.write(text + "\n")
    return 0


def measure(rounds: int) -> list[Row]:
    """Time everything in interleaved rounds: a busy moment of the machine then meets all alike."""
    return _compare(_ORDER, ORDER_BYTES, _CALLS, rounds) + _compare(_BULK, BULK_BYTES, 1, rounds)


def _compare(subjects: Mapping[str, tuple[Subject, str]], size: int, calls: int, rounds: int) -> list[Row]:
    numbers = count(1)
    message = os.urandom(size)
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, (subject, _) in subjects.items():
            nonces = [next(numbers).to_bytes(NONCE_BYTES, "big") for _ in range(calls)]
            taken[name].append(_seconds(subject(nonces, message), nonces) / calls)
    median = {name: statistics.median(seconds) for name, seconds in taken.items()}
    return [
        Row(
            name,
            size,
            median[name] * 1e6,
            size / median[name] / 1e6,
            median[name] / median[_CHACHA20],
            median[name] / median[_AES_CTR],
            target,
        )
        for name, (_, target) in subjects.items()
    ]


def _seconds(call: Callable[[bytes], object], nonces: Nonces) -> float:
    began = time.process_time()
    for nonce in nonces:
        call(nonce)
    return time.process_time() - began


def _standard(cipher: Callable[[bytes, bytes], Cipher[None] | Cipher[CTR]]) -> Subject:
    key = os.urandom(32)

    def subject(_: Nonces, message: bytes) -> Callable[[bytes], object]:
        hidden = bytearray(len(message) + 15)  # reused: fresh pages would be most of a bulk call

        def call(nonce: bytes) -> None:
            encryptor = cipher(key, nonce).encryptor()
            encryptor.update_into(message, hidden)
            encryptor.finalize()

        return call

    return subject


def _cold(_: Nonces, message: bytes) -> Callable[[bytes], object]:
    cipher = LogisticCipher(os.urandom(32))
    return lambda nonce: cipher.apply(nonce, message)


def _cold_sealed(_: Nonces, message: bytes) -> Callable[[bytes], object]:
    cipher, aead = LogisticCipher(os.urandom(32)), AESGCM(os.urandom(32))
    return lambda nonce: aead.encrypt(nonce[-12:], cipher.apply(nonce, message), b"")


def _prepared_sealed(nonces: Nonces, message: bytes) -> Callable[[bytes], object]:
    cache, aead = KeystreamCache(os.urandom(32), capacity=_CALLS), AESGCM(os.urandom(32))
    for nonce in nonces:
        cache.prepare(nonce)
    return lambda nonce: aead.encrypt(nonce[-12:], cache.apply(nonce, message), b"")


_CHACHA20: Final = "ChaCha20"
_AES_CTR: Final = "AES-256-CTR"
_STANDARD: Mapping[str, tuple[Subject, str]] = {
    _CHACHA20: (_standard(lambda key, nonce: Cipher(ChaCha20(key, nonce), None)), ""),
    _AES_CTR: (_standard(lambda key, nonce: Cipher(AES(key), CTR(nonce))), ""),
}
_ORDER: Mapping[str, tuple[Subject, str]] = {
    **_STANDARD,
    "LM256, cold": (_cold, ""),
    "LM256, cold, and AES-256-GCM": (_cold_sealed, "at most 30 x ChaCha20"),
    "LM256, prepared, and AES-256-GCM": (_prepared_sealed, "at most 3 x ChaCha20"),
}
_BULK: Mapping[str, tuple[Subject, str]] = {
    **_STANDARD,
    "LM256, bulk": (_cold, "at least 30 MB/s or at most 150 x ChaCha20"),
}


def _table(rows: list[Row]) -> str:
    lines = [f"{'':33}{'bytes':>9}{'µs':>11}{'MB/s':>9}{'x ChaCha20':>12}{'x AES-CTR':>11}  target"]
    lines += [
        f"{row.name:33}{row.size:9,}{row.microseconds:11,.1f}{row.megabytes_per_s:9,.1f}"
        f"{row.times_chacha20:12,.1f}{row.times_aes_ctr:11,.1f}  {row.target}".rstrip()
        for row in rows
    ]
    return "\n".join(lines)
