"""What `reload` and `status` of both programs tell of keys and revocation lists."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from protocol.terminal.screen import local_time, tell
from protocol.texts import Language, Words, say

_WORDS: Mapping[str, Words] = MappingProxyType(
    {
        "key": ("证书：有效期至 {until}", "certificate: valid until {until}"),
        "new key": (
            "证书已更新，有效期至 {until}；现有链路保持",
            "certificate: renewed, valid until {until}; links that are up stay up",
        ),
        "authorities": ("证书机构：{count} 个", "authorities: {count}"),
        "list": (
            "吊销列表 {number}：{at} 签发，吊销 {revoked} 个",
            "revocation list {number}: of {at}, {revoked} revoked",
        ),
        "no list": ("未配置吊销列表", "no revocation list is configured"),
        "moved": ("已改址：{to}", "moved: {to}"),
        "overdue": (
            "吊销列表 {number} 已于 {next} 到期，仍在使用：请取新表",
            "revocation list {number} was to be replaced by {next}; it stays in force: carry a new one here",
        ),
        "problem": (
            "本节点证书无效，对端均会拒绝：{why}",
            "this node's own certificate does not count, every peer refuses it: {why}",
        ),
        "refused": ("更新被拒绝：{why}", "the last renewal was refused: {why}"),
    }
)


def tell_reload(result: Mapping[str, Any], language: Language) -> None:
    """Print what is in force after a reload."""
    keys = result["keys"]
    until = local_time(keys["valid_until_ms"])
    tell(say(_WORDS["new key" if result["key"] else "key"], language, until=until))
    if keys["authorities"] > 1:
        tell(say(_WORDS["authorities"], language, count=keys["authorities"]))
    for each in keys["revocations"]:
        facts = {"number": _number(each), "at": local_time(each["at_ms"]), "revoked": each["revoked"]}
        tell(say(_WORDS["list"], language, **facts))
    if not keys["revocations"]:
        tell(say(_WORDS["no list"], language))
    for to in result["moved"]:
        tell(say(_WORDS["moved"], language, to=to))
    for warning in key_warnings(keys, language):
        tell(warning)


def key_warnings(keys: Mapping[str, Any] | None, language: Language) -> list[str]:
    """What people have to mend: lists that are overdue, and why the last renewal was refused."""
    if keys is None:
        return []
    warnings = [
        say(_WORDS["overdue"], language, number=_number(each), next=local_time(each["next_ms"]))
        for each in keys["revocations"]
        if each["overdue"]
    ]
    if keys["problem"]:
        warnings.append(say(_WORDS["problem"], language, why=keys["problem"]))
    if keys["last_refusal"]:
        warnings.append(say(_WORDS["refused"], language, why=keys["last_refusal"]))
    return warnings


def _number(revocations: Mapping[str, Any]) -> str:
    return "—" if revocations["number"] is None else str(revocations["number"])
