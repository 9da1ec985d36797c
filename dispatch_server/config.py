"""The configuration of headquarters or a regional center, and why some are refused.

Links point downward only: the zone, a number, falls along each link, so no lower node can dial a higher one
and no circle can arise (P1 §2.1.2). A superior's address stands nowhere; a center names the one superior
whose certificate its listener accepts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from protocol.errors import ConfigurationRefused
from protocol.keys import Role
from protocol.models import Name
from protocol.orders import OrderType
from protocol.settings import KeySettings, ListenSettings, LogSettings, Port, Settings, load_settings
from situational import Level, Playbook, Posture, SituationalError

HIGHEST_ZONE = 9
# What holds where no zone is given. A higher number is a higher zone; between two of these there is room.
ZONE = {Role.HQ: HIGHEST_ZONE, Role.CENTER: 5, Role.DESK: 1, Role.PLANT: 1}

_NAME = r"[a-z0-9][a-z0-9-]{0,31}"
Zone = Annotated[int, Field(ge=1, le=HIGHEST_ZONE)]
# A plant behind a center; the sub-centers between them stand before it: "plant-b", "west/plant-c".
Way = Annotated[str, Field(pattern=rf"^{_NAME}(/{_NAME}){{0,{HIGHEST_ZONE}}}$")]


class LinkSettings(Settings):
    """A subordinate that this server dials. `serves`: the plants that a center leads to, with the way."""

    node: Name
    role: Annotated[Role, Field(strict=False)]
    host: Annotated[str, Field(min_length=1)]
    port: Port = 20_880
    zone: Zone | None = None
    serves: tuple[Way, ...] = ()

    @property
    def in_zone(self) -> int:
        """The zone of the subordinate, as given or by its role; 0 for a person, who has none."""
        return self.zone or ZONE.get(self.role, 0)

    @property
    def way_to(self) -> dict[str, tuple[str, ...]]:
        """Each node behind this link -> the centers on the way to it, this link's own first."""
        found: dict[str, tuple[str, ...]] = {self.node: ()}
        for way in self.serves:
            names = way.split("/")
            found |= {name: (self.node, *names[:place]) for place, name in enumerate(names)}
        return found


class SuperiorSettings(ListenSettings):
    """Where a center waits for its superior. `zone`: the superior's."""

    zone: Zone | None = None


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


class MetricsSettings(Settings):
    """Where this server's metrics are served, if anywhere; without a port nothing listens.

    `beyond_loopback`: other machines are meant to read them. `links`: which have series of their own.
    """

    host: str = "127.0.0.1"
    port: Port | None = None
    beyond_loopback: bool = False
    links: Literal["none", "down", "all"] = "down"


class ServerSettings(Settings):
    """One headquarters or regional center."""

    role: Literal["hq", "center"]
    node: Name
    zone: Zone | None = None
    deployment: Name
    journal: Path
    control: Path
    keys: KeySettings
    identity: IdentitySettings
    links: tuple[LinkSettings, ...]
    listen: SuperiorSettings | None = None
    timers: TimerSettings = TimerSettings()
    orders: OrderSettings = OrderSettings()
    playbook: PlaybookSettings = PlaybookSettings()
    alarms: AlarmSettings = AlarmSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    risk: RiskSettings = RiskSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()
    telemetry_interval_s: Annotated[float, Field(ge=0.1, le=60)] = 5.0

    @property
    def in_zone(self) -> int:
        """The zone of this server, as given or by its role."""
        return self.zone or ZONE[Role(self.role)]


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
    for link in settings.links:
        yield from _link_refusals(settings, link, f"{where}: links: {link.node}")
    yield from _timer_refusals(settings, where)
    yield from _playbook_refusals(settings.playbook, where)
    yield from _metrics_refusals(settings.metrics, where)
    yield from _listener_refusals(settings, where)
    yield from _name_refusals(settings, where)
    yield from _address_refusals(settings, where)


def _link_refusals(
    settings: ServerSettings, link: LinkSettings, where: str
) -> Iterator[ConfigurationRefused]:
    if link.role not in ZONE:
        yield ConfigurationRefused(
            where,
            f"a {link.role.value} is a person, not a node",
            "Name the desk or plant where the person works",
        )
    elif link.role is Role.HQ or link.in_zone >= settings.in_zone:
        yield _upward(settings, link, where)
    elif link.role is Role.DESK and settings.role == "center":
        yield ConfigurationRefused(
            where,
            "a center decides nothing about orders, so nobody could issue one at this desk",
            "Let headquarters dial the desk",
        )
    if link.serves and link.role is not Role.CENTER:
        yield ConfigurationRefused(where, "only a center serves other plants", "Remove 'serves'")
    between = max((way.count("/") for way in link.serves), default=0)
    if link.role is Role.CENTER and between and between >= link.in_zone - 1:
        yield ConfigurationRefused(
            where,
            f"in zone {link.in_zone} there is no room for {between} more centers and a plant below it",
            "Give it a higher zone, here and in its own file",
        )
    if not link.port:
        yield ConfigurationRefused(where, "nobody listens at port 0", "Name the port of its [listen]")


def _upward(settings: ServerSettings, link: LinkSettings, where: str) -> ConfigurationRefused:
    mend = "Remove the link; configure it at the superior"
    if link.role is Role.CENTER and settings.in_zone > 1:
        mend = (
            f"If it is a center below this one, give it a zone below {settings.in_zone}, here and in its own "
            "file; else remove the link and configure it at the superior"
        )
    zones = f"zone {settings.in_zone} may not dial a {link.role.value} in zone {link.in_zone}"
    return ConfigurationRefused(
        where,
        f"a {settings.role} in {zones}: only a superior opens connections, from a higher zone to a lower",
        mend,
    )


def _timer_refusals(settings: ServerSettings, where: str) -> Iterator[ConfigurationRefused]:
    timers = settings.timers
    if timers.hold_ms > timers.poll_interval_ms:
        yield ConfigurationRefused(
            f"{where}: timers", "hold_ms is longer than poll_interval_ms", "Make hold_ms the smaller one"
        )
    needed = timers.poll_interval_ms * polls_until_lost(settings.links)
    if settings.orders.lost_after_s * 1000 < needed:
        polls = needed // timers.poll_interval_ms
        yield ConfigurationRefused(
            f"{where}: orders.lost_after_s",
            f"it is shorter than {polls} poll intervals, so a plant would be lost and found for ever",
            f"Make it at least {needed / 1000:g} (s), or the poll intervals on the way shorter",
        )


def polls_until_lost(links: Iterable[LinkSettings]) -> int:
    """How many missed polls may mean that a plant is lost.

    Each hop polls in its own time, so a sign of life through n hops may come n intervals after the last one.
    """
    hops = max((2 + way.count("/") for link in links for way in link.serves), default=1)
    return max(3, hops + 1)


def _metrics_refusals(metrics: MetricsSettings, where: str) -> Iterator[ConfigurationRefused]:
    try:
        address = ip_address(metrics.host)
    except ValueError:
        yield ConfigurationRefused(
            f"{where}: metrics.host", f"'{metrics.host}' is no IP address", "Write one, such as 127.0.0.1"
        )
        return
    if not address.is_loopback and not metrics.beyond_loopback:
        yield ConfigurationRefused(
            f"{where}: metrics.host",
            "other machines could read the names and states of all nodes, without proof of who they are",
            "Use 127.0.0.1, or set metrics.beyond_loopback = true behind a firewall",
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
    if settings.role == "center" and settings.in_zone == HIGHEST_ZONE:
        yield ConfigurationRefused(
            f"{where}: zone",
            f"no zone is higher than {HIGHEST_ZONE}, so this center can have no superior",
            "Give it a zone below that of its superior",
        )
    if settings.listen and settings.listen.zone and settings.listen.zone <= settings.in_zone:
        yield ConfigurationRefused(
            f"{where}: listen.zone",
            f"zone {settings.listen.zone} is not higher than zone {settings.in_zone}, where this center is",
            "Only a superior in a higher zone may dial it: correct 'zone' or 'listen.zone'",
        )
    below = {settings.node}.union(*(link.way_to for link in settings.links))
    if settings.listen and settings.listen.superior in below:
        yield ConfigurationRefused(
            f"{where}: listen.superior: {settings.listen.superior}",
            "a node cannot be superior and subordinate at once: that link would dial upward",
            "Name the superior, and remove any link to it",
        )


def _name_refusals(settings: ServerSettings, where: str) -> Iterator[ConfigurationRefused]:
    names = Counter([settings.node, *(link.node for link in settings.links)])
    for link in settings.links:
        ways = [tuple(way.split("/")) for way in link.serves]
        names.update(way[-1] for way in ways)
        names.update(center[-1] for center in {way[:place] for way in ways for place in range(1, len(way))})
    for name, times in names.items():
        if times > 1:
            yield ConfigurationRefused(
                f"{where}: links: {name}",
                f"it is named {times} times",
                "Give each node one place and one way",
            )


def _address_refusals(settings: ServerSettings, where: str) -> Iterator[ConfigurationRefused]:
    taken = {}
    if settings.listen:
        taken[settings.listen.host, settings.listen.port] = "this server itself"
    for link in settings.links:
        other = taken.setdefault((link.host, link.port), f"'{link.node}'")
        if other != f"'{link.node}'":
            yield ConfigurationRefused(
                f"{where}: links: {link.node}",
                f"{link.host}:{link.port} is the address of {other}",
                "Give each node its own address and port",
            )


def routes_of(links: Iterable[LinkSettings]) -> dict[str, str]:
    """Plant -> the direct subordinate that leads to it."""
    direct = {link.node: link.node for link in links if link.role is Role.PLANT}
    behind = {
        way.rpartition("/")[2]: link.node for link in links if link.role is Role.CENTER for way in link.serves
    }
    return direct | behind


def ways_of(links: Iterable[LinkSettings]) -> dict[str, tuple[str, ...]]:
    """Each node below -> the centers on the way to it, the nearest to this server first."""
    found: dict[str, tuple[str, ...]] = {}
    for link in links:
        found |= link.way_to
    return found
