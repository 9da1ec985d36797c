"""The configuration of headquarters or a regional center, and why some are refused.

Links point downward only. A superior's address stands nowhere; a center names the one superior whose
certificate its listener accepts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from protocol.errors import ConfigurationRefused
from protocol.keys import Role
from protocol.models import Name
from protocol.orders import OrderType
from protocol.settings import KeySettings, ListenSettings, LogSettings, Port, Settings, load_settings
from situational import Level, Playbook, Posture, SituationalError

# A higher number is a higher zone; a link leads from higher to lower, never level, never up.
ZONE = {Role.HQ: 3, Role.CENTER: 2, Role.DESK: 1, Role.PLANT: 1}


class LinkSettings(Settings):
    """A subordinate that this server dials. `serves`: the plants that a center leads to."""

    node: Name
    role: Annotated[Role, Field(strict=False)]
    host: Annotated[str, Field(min_length=1)]
    port: Port = 20_880
    serves: tuple[Name, ...] = ()


class TimerSettings(Settings):
    """The link timers that this server dictates (ms)."""

    poll_interval_ms: Annotated[int, Field(ge=20, le=5_000)] = 5_000
    hold_ms: Annotated[int, Field(ge=0, le=5_000)] = 4_800


class IdentitySettings(Settings):
    """Where this server keeps who may log in, and the key that seals their second factors."""

    store: Path
    key: Path


class OrderSettings(Settings):
    """How headquarters decides on orders."""

    answer_within_s: Annotated[float, Field(gt=0)] = 120
    lost_after_s: Annotated[float, Field(gt=0)] = 15
    max_validity_s: Annotated[float, Field(gt=0)] = 24 * 3600
    restricted_types: tuple[OrderType, ...] = (OrderType.OUTAGE_NOTICE, OrderType.MAINTENANCE_WORK)


LevelName = Literal["normal", "lifting", "advisory", "medium", "high", "major"]
PostureName = Literal["normal", "heightened", "restricted", "held"]


class PlaybookSettings(Settings):
    """What each level of hazard does to dispatching, and what ends that again.

    `by_person`: postures that only a person ends; the others end with the hazard, after `dwell_s`.
    """

    lifting: PostureName = "normal"
    advisory: PostureName = "normal"
    medium: PostureName = "heightened"
    high: PostureName = "restricted"
    major: PostureName = "held"
    by_person: tuple[Literal["heightened", "restricted", "held"], ...] = ("held",)
    dwell_s: Annotated[float, Field(ge=0, le=24 * 3600)] = 120.0


class AlarmSettings(Settings):
    """Who is called, and when. `from_level`: the least level of hazard that is an alarm."""

    from_level: Literal["advisory", "medium", "high", "major"] = "medium"
    operators: Annotated[int, Field(ge=1, le=100)] = 1
    on_delay_s: Annotated[float, Field(ge=0, le=600)] = 10.0
    off_delay_s: Annotated[float, Field(ge=0, le=3600)] = 120.0
    max_shelf_s: Annotated[float, Field(gt=0, le=7 * 24 * 3600)] = 8 * 3600.0


class TelemetrySettings(Settings):
    """Where curves are kept, and what is usual. Without a store both end with the process."""

    store: Path | None = None
    keep_days: Annotated[float, Field(gt=0, le=3660)] = 30.0


class RiskSettings(Settings):
    """The experts' intervals for the live risk board. Without them there is no board."""

    experts: Path | None = None


class ServerSettings(Settings):
    """One headquarters or regional center."""

    role: Literal["hq", "center"]
    node: Name
    deployment: Name
    journal: Path
    control: Path
    keys: KeySettings
    identity: IdentitySettings
    links: tuple[LinkSettings, ...]
    listen: ListenSettings | None = None
    timers: TimerSettings = TimerSettings()
    orders: OrderSettings = OrderSettings()
    playbook: PlaybookSettings = PlaybookSettings()
    alarms: AlarmSettings = AlarmSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    risk: RiskSettings = RiskSettings()
    log: LogSettings = LogSettings()
    telemetry_interval_s: Annotated[float, Field(ge=0.1, le=60)] = 5.0


def load_server_settings(path: Path) -> ServerSettings:
    """Read and check a server's configuration. Raises ConfigurationRefused."""
    settings = load_settings(path, ServerSettings)
    check_directions(settings, str(path))
    return settings


def check_directions(settings: ServerSettings, where: str) -> None:
    """Refuse what would let a lower zone dial a higher one, or make two ways to one plant.

    Raises ConfigurationRefused (P1 §2.1.2): the first of `refusals`.
    """
    for refusal in refusals(settings, where):
        raise refusal


def refusals(settings: ServerSettings, where: str) -> Iterator[ConfigurationRefused]:
    """Everything that must not be so."""
    own = Role(settings.role)
    for link in settings.links:
        if link.role not in ZONE:
            yield ConfigurationRefused(
                f"{where}: links: {link.node}",
                f"a {link.role.value} is a person, not a node",
                "Name the desk or plant where the person works",
            )
        elif ZONE[link.role] >= ZONE[own]:
            yield ConfigurationRefused(
                f"{where}: links: {link.node}",
                f"a {own.value} may not dial a {link.role.value}: only a superior opens connections",
                "Remove the link; configure it at the superior",
            )
        if link.serves and link.role is not Role.CENTER:
            yield ConfigurationRefused(
                f"{where}: links: {link.node}", "only a center serves other plants", "Remove 'serves'"
            )
    if settings.orders.lost_after_s * 1000 < 3 * settings.timers.poll_interval_ms:
        yield ConfigurationRefused(
            f"{where}: orders.lost_after_s",
            "it is shorter than three poll intervals, so a plant would be lost and found for ever",
            "Make it at least three times timers.poll_interval_ms",
        )
    yield from _playbook_refusals(settings.playbook, where)
    yield from _listener_refusals(settings, where)
    yield from _name_refusals(settings, where)
    if settings.timers.hold_ms > settings.timers.poll_interval_ms:
        yield ConfigurationRefused(
            f"{where}: timers", "hold_ms is longer than poll_interval_ms", "Make hold_ms the smaller one"
        )


def _playbook_refusals(playbook: PlaybookSettings, where: str) -> Iterator[ConfigurationRefused]:
    try:
        playbook_of(playbook)
    except SituationalError as error:
        yield ConfigurationRefused(
            f"{where}: playbook", str(error), "Let a higher level never ask for less care"
        )


def playbook_of(settings: PlaybookSettings) -> Playbook:
    """The playbook that was configured. Raises PlaybookNotMonotoneError."""
    given = {level: getattr(settings, level.name.lower(), "normal") for level in Level}
    return Playbook(
        postures={level: Posture[name.upper()] for level, name in given.items()},
        by_person=frozenset(Posture[name.upper()] for name in settings.by_person),
        dwell_s=settings.dwell_s,
    )


def _listener_refusals(settings: ServerSettings, where: str) -> Iterator[ConfigurationRefused]:
    if settings.role == "hq" and settings.listen:
        yield ConfigurationRefused(
            f"{where}: listen", "headquarters has no superior and listens to nobody", "Remove [listen]"
        )
    if settings.role == "center" and not settings.listen:
        yield ConfigurationRefused(
            f"{where}: listen", "a center waits for its superior", "Add [listen] with superior and port"
        )
    below = {settings.node}.union(*({link.node, *link.serves} for link in settings.links))
    if settings.listen and settings.listen.superior in below:
        yield ConfigurationRefused(
            f"{where}: listen.superior: {settings.listen.superior}",
            "a node cannot be superior and subordinate at once: that link would dial upward",
            "Name the superior, and remove any link to it",
        )


def _name_refusals(settings: ServerSettings, where: str) -> Iterator[ConfigurationRefused]:
    names = Counter([settings.node, *(link.node for link in settings.links)])
    names.update(plant for link in settings.links for plant in link.serves)
    for name, times in names.items():
        if times > 1:
            yield ConfigurationRefused(
                f"{where}: links: {name}",
                f"it is named {times} times",
                "Give each node one place and one way",
            )


def routes_of(links: Iterable[LinkSettings]) -> dict[str, str]:
    """Plant -> the direct subordinate that leads to it."""
    return {
        plant: link.node
        for link in links
        for plant in (link.serves if link.role is Role.CENTER else (link.node,))
        if link.role is not Role.DESK
    }
