"""The end of the demo: every ledger verified from its file and the authority's certificate alone."""

from collections.abc import Iterator
from dataclasses import dataclass

from dispatch_server.demo.deployment import DEPLOYMENT, Deployment
from protocol.errors import DispatchError
from protocol.journal.verify import VerifiedLedger, compare_ledgers, has_seen, verify_ledger
from protocol.keys import TrustStore


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was verified, or the reason why it does not hold."""

    what: str
    ok: bool
    detail: str = ""


def verify_all(deployment: Deployment) -> Iterator[Check]:
    """Verify each ledger, then each against its superior's."""
    trust = TrustStore.from_pem(deployment.authority.read_bytes(), deployment.revocations.read_bytes())
    verified: dict[str, VerifiedLedger] = {}
    for node in deployment.nodes.values():
        try:
            ledger = verified[node.name] = verify_ledger(node.journal, trust, DEPLOYMENT, node=node.name)
        except DispatchError as error:
            yield Check(f"ledger of {node.name}", ok=False, detail=str(error))
            continue
        detail = f"{ledger.head.entry} entries, {ledger.events} signed events, orders: {len(ledger.orders)}"
        yield Check(f"ledger of {node.name}", ok=True, detail=detail)
    for node in deployment.nodes.values():
        superior, own = verified.get(node.superior or ""), verified.get(node.name)
        if superior and own:
            yield _compare(superior, own)


def _compare(superior: VerifiedLedger, own: VerifiedLedger) -> Check:
    what = f"ledger of {own.node} against {superior.node}"
    try:
        shared = compare_ledgers(superior, own)
    except DispatchError as error:
        return Check(what, ok=False, detail=str(error))
    if own.orders and not has_seen(superior, own):
        return Check(what, ok=False, detail=f"{superior.node} noted no end of it, so its tail may be missing")
    return Check(what, ok=True, detail=f"orders agreeing: {shared}, no tail missing")
