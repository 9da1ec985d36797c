"""An order as a control socket shows it."""

from typing import Any

HEAD = "ab" * 32
OFF_CHAIN = "cd" * 32


def event(given: str, signer: str, role: str, text: str = "", **more: Any) -> dict[str, Any]:
    facts = {"input": given, "on_chain": True, "signer": signer, "role": role, "at_ms": 1_800_000_000_000}
    return facts | {"signed_ms": None, "seen_ms": None, "hash": HEAD, "text": text} | more


def row(order: str = "t-1", state: str = "read-back", **more: Any) -> dict[str, Any]:
    facts = {"order": order, "type": "direct-operation", "type_zh": "直接操作", "state": state}
    custody = {"custody": "headquarters", "desk": "desk-1", "plant": "plant-a", "title": "Open breaker 5012"}
    return facts | custody | {"valid_until_ms": 1_800_003_600_000, "digest": "00" * 32} | more


def view(state: str = "read-back", words: str = "breaker 5012: open", **more: Any) -> dict[str, Any]:
    """An order of one step, drafted by wang, read back by li."""
    events = [
        event("draft", "wang", "dispatcher", "Open breaker 5012", hash="01" * 32),
        event("read-back", "li", "operator", words),
        event("no-answer", "hq", "hq", hash=OFF_CHAIN, on_chain=False),
    ]
    steps = [{"device": "breaker 5012", "action": "open"}]
    return row(state=state) | {"ticket": "T-1", "steps": steps, "events": events} | more
