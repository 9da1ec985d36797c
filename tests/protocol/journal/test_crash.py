"""A daemon that is killed in the middle of its work has kept all that it told anybody."""

import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from dispatch_server import pki
from tests.protocol.journal.ledgers import open_journal, verify
from tests.protocol.parties import PLANT

ROOT = Path(__file__).parents[3]
TOLD = 60  # commits that the daemon told of before it is killed
DAEMON = """
import asyncio, sys
from pathlib import Path
from protocol.journal.batch import Batch, Entry, Notice
from protocol.journal.file import JournalFile
from protocol.journal.writer import ThreadedWriter
from protocol.keys import load_signing_key

async def work(writer, name):
    for number in range(1_000_000):
        facts = (("worker", name), ("number", str(number)))
        entries = [Entry("test", name, 1_795_176_000_000, Notice(facts=facts).encode())] * 2
        await writer.commit(Batch(entries=entries, meta={name: number.to_bytes(8)}))
        print(name, number, flush=True)

async def main(folder):
    key = load_signing_key((folder / "key").read_bytes(), (folder / "certificate").read_bytes())
    writer = ThreadedWriter(JournalFile.open(folder / "journal", key))
    await asyncio.gather(*(work(writer, f"worker-{number}") for number in range(4)))

asyncio.run(main(Path(sys.argv[1])))
"""


def write_key(folder: Path) -> None:
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(PLANT.certificate.der)
    (folder / "certificate").write_bytes(pki.certificate_pem(certificate))
    (folder / "key").write_bytes(pki.private_pem(PLANT._private))


@pytest.mark.system
def test_what_was_told_to_be_durable_outlives_the_daemon(tmp_path: Path) -> None:
    write_key(tmp_path)
    command = [sys.executable, "-c", DAEMON, str(tmp_path)]
    told: dict[str, int] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as daemon:
        assert daemon.stdout
        for count, line in enumerate(daemon.stdout, 1):
            if count == TOLD:
                daemon.send_signal(signal.SIGKILL)
            name, number = line.split()
            told[name] = int(number)
    assert daemon.returncode == -signal.SIGKILL
    assert sum(told.values()) >= TOLD - len(told)

    ledger = verify(tmp_path / "journal", node="plant-1")
    with open_journal(tmp_path / "journal") as file:
        kept = {name: int.from_bytes(value) for name, value in file.load().meta.items()}
        rows = file._db.execute("SELECT subject, count(*) FROM ledger GROUP BY subject").fetchall()
    assert all(kept[name] >= number for name, number in told.items())
    assert dict(rows) == {name: 2 * (number + 1) for name, number in kept.items()}  # whole batches only
    assert all(after == before + 1 for before, after in pairwise(ledger.hashes))
