"""dispatch-server ledger: what an auditor runs, with files alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, ValidationError

from protocol.aio.node import load_trust
from protocol.journal.verify import LedgerFault, VerifiedLedger, compare_ledgers, has_seen, verify_ledger
from protocol.keys import TrustStore
from protocol.models import Name
from protocol.settings import KeySettings, read_toml, refusals_of, resolve
from protocol.terminal.options import JsonOption, name
from protocol.terminal.program import ExitCode, command_group
from protocol.terminal.screen import complain, tell, tell_json
from protocol.terminal.tables import cell, show, table

app = command_group("Verify ledgers from their files, the authority's certificate and its revocations alone.")


class _NodeFacts(BaseModel):
    """What verifying needs of any node's configuration, a server's or a client's."""

    model_config = ConfigDict(frozen=True)

    node: Name
    deployment: Name
    journal: Path
    keys: KeySettings


@dataclass(frozen=True, slots=True)
class _Source:
    """Whom to believe, and which files to verify. `node`: whose the file has to be, where that is known."""

    trust: TrustStore
    deployment: str
    paths: tuple[Path, ...]
    node: str | None = None


@app.command()
def verify(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Journals; with several: the superior's first.")
    ] = None,
    *,
    authority: Annotated[Path | None, typer.Option(help="authority.crt of the deployment.")] = None,
    revocations: Annotated[Path | None, typer.Option(help="revocations.crl of the deployment.")] = None,
    deployment: Annotated[str | None, typer.Option(parser=name, help="The deployment's name.")] = None,
    config: Annotated[Path | None, typer.Option(help="Take all of that from a node's configuration.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify every file; with several, also that the others agree with the first. Ends at the first fault."""
    given = tuple(paths or ())
    if config and not (authority or revocations or deployment):
        source = _from_config(config, given)
    elif authority and deployment and given and not config:
        keys = TrustStore.from_pem(authority.read_bytes(), revocations.read_bytes() if revocations else None)
        source = _Source(keys, deployment, given)
    else:
        raise typer.BadParameter(
            "say PATH, --authority and --deployment; or --config alone (PATH may be added)"
        )
    _verify(source, as_json=as_json)


def _from_config(config: Path, paths: tuple[Path, ...]) -> _Source:
    try:
        facts = _NodeFacts.model_validate(read_toml(config))
    except ValidationError as error:
        raise refusals_of(config, error)[0] from None
    base = config.absolute().parent
    trust = load_trust(facts.keys, base)
    if paths:
        return _Source(trust, facts.deployment, paths)
    return _Source(trust, facts.deployment, (resolve(base, facts.journal),), facts.node)


def _verify(source: _Source, *, as_json: bool) -> None:
    rows: list[dict[str, Any]] = []
    fault: LedgerFault | None = None
    try:
        _verify_into(rows, source)
    except LedgerFault as error:
        fault = error
    if as_json:
        tell_json({"verified": rows, "fault": str(fault) if fault else None})
    elif rows:
        _show(rows)
    if fault:
        complain(str(fault))
        raise typer.Exit(ExitCode.FAILED)


def _verify_into(rows: list[dict[str, Any]], source: _Source) -> None:
    """Raises LedgerFault; `rows` then hold what was verified before."""
    first: VerifiedLedger | None = None
    for path in source.paths:
        ledger = verify_ledger(path, source.trust, source.deployment, node=source.node)
        shared = compare_ledgers(first, ledger) if first else None
        remarks = list(ledger.remarks)
        if first and first.node != ledger.node and not has_seen(first, ledger):
            remarks.append(
                f"'{first.node}' noted no end of this ledger: verify it with its own superior's; "
                "if that is this one, it was told of none yet, and a cut-off tail would not show"
            )
        first = first or ledger
        rows.append(
            {
                "file": str(path),
                "node": ledger.node,
                "entries": ledger.head.entry,
                "events": ledger.events,
                "orders": len(ledger.orders),
                "head": ledger.head.hash.hex(),
                "orders_agreeing_with_first": shared,
                "remarks": remarks,
            }
        )


def _show(rows: list[dict[str, Any]]) -> None:
    made = table("", ("file", "node", "entries", "events", "orders", "agree with the first", "head"))
    for row in rows:
        shared = row["orders_agreeing_with_first"]
        agree = "" if shared is None else shared
        values = (row["file"], row["node"], row["entries"], row["events"], row["orders"], agree, row["head"])
        made.add_row(*(cell(value) for value in values))
    show(made)
    for row in rows:
        for remark in row["remarks"]:
            complain(f"remark: {row['file']}: {remark}")
    tell(f"verified: {len(rows)}")
