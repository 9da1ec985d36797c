"""P2's five links and nineteen factors, and which of them this system's own counters can see.

A source's probability score is its events per trial, with 10 (the top of the experts' scale) at `full_scale`.
The full scales are this project's judgement, not P2's; README.md gives the formula.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from situational.texts import Language


@dataclass(frozen=True, slots=True)
class Source:
    """Counters that only grow: `events` are summed; `per` of `exposure` make a trial."""

    events: tuple[str, ...]
    exposure: str
    full_scale: float  # events per trial
    per: float = 1.0

    @property
    def counters(self) -> tuple[str, ...]:
        return (*self.events, self.exposure)


@dataclass(frozen=True, slots=True)
class Factor:
    code: str
    zh: str
    en: str
    source: Source | None = None

    def name(self, language: Language) -> str:
        return self.zh if language is Language.ZH else self.en


@dataclass(frozen=True, slots=True)
class Link:
    """`common`: the factors are common to all links; P2 gives it no place among the links."""

    code: str
    zh: str
    en: str
    factors: tuple[Factor, ...]
    common: bool = False

    def name(self, language: Language) -> str:
        return self.zh if language is Language.ZH else self.en


LINKS: tuple[Link, ...] = (
    Link(
        "C1",
        "信息采集",
        "acquisition",
        (
            Factor(
                "C11",
                "感知终端数据被覆盖",
                "data overwritten at sensing terminals",
                Source(("stale_or_replayed",), "readings", 0.01),
            ),
            Factor(
                "C12",
                "终端遭受网络攻击",
                "network attack on terminals",
                Source(("handshake_refused",), "handshakes", 0.1),
            ),
        ),
    ),
    Link(
        "C2",
        "信息传输",
        "transmission",
        (
            Factor(
                "C21",
                "通信设备拒绝服务",
                "denial of service on communication equipment",
                # Seconds of one outage are one event, not many: a minute is the trial.
                Source(("link_down_s",), "link_s", 0.05, per=60.0),
            ),
            Factor(
                "C22",
                "协议不匹配",
                "protocol mismatch",
                Source(("version_mismatch", "malformed_frames"), "frames_received", 0.001),
            ),
            Factor("C23", "网络拥塞", "network congestion", Source(("poll_overruns",), "polls", 0.05)),
            Factor("C24", "网络不稳定", "unstable network", Source(("reconnects",), "polls", 0.01)),
        ),
    ),
    Link(
        "C3",
        "信息存储与处理",
        "storage and processing",
        (
            Factor("C31", "数据被窃取", "data theft"),
            Factor(
                "C32",
                "数据被篡改",
                "data tampering",
                Source(("seal_failed", "signature_failed"), "sealed_received", 0.0001),
            ),
            Factor(
                "C33",
                "数据处理失控",
                "processing out of control",
                Source(("load_stall", "clock_steps"), "loop_ticks", 0.01),
            ),
            Factor(
                "C34",
                "噪声数据未识别",
                "noise data not recognised",
                Source(("readings_refused",), "readings", 0.01),
            ),
            Factor(
                "C35",
                "大数据处理方式不当",
                "unsuitable big-data processing",
                Source(("journal_latency_high",), "journal_commits", 0.05),
            ),
        ),
    ),
    Link(
        "C4",
        "信息应用",
        "application",
        (
            Factor(
                "C41",
                "用户访问管理不善",
                "poor user access management",
                Source(("factor_failed", "lockouts"), "factor_checks", 0.2),
            ),
            Factor(
                "C42",
                "系统互联性差",
                "poor interconnection of systems",
                Source(("orders_unknown", "illegal_transition"), "order_events", 0.01),
            ),
            Factor(
                "C43",
                "应用接口遭受攻击",
                "attack on application interfaces",
                Source(("control_denied",), "control_requests", 0.05),
            ),
        ),
    ),
    Link(
        "C5",
        "共性环节",
        "common to all links",
        (
            Factor(
                "C51",
                "设备自然损坏",
                "natural damage of equipment",
                Source(("storage_faults",), "journal_commits", 0.0001),
            ),
            Factor("C52", "设备人为损坏", "man-made damage"),
            Factor("C53", "公众不接受", "public non-acceptance"),
            Factor("C54", "技术进步带来的安全风险", "security risk from technical progress"),
            Factor("C55", "管理不善", "poor management"),
        ),
        common=True,
    ),
)

FACTORS: Mapping[str, Factor] = MappingProxyType({f.code: f for link in LINKS for f in link.factors})
SOURCES: Mapping[str, Source] = MappingProxyType(
    {code: factor.source for code, factor in FACTORS.items() if factor.source is not None}
)
COUNTERS: tuple[str, ...] = tuple(
    dict.fromkeys(name for source in SOURCES.values() for name in source.counters)
)
