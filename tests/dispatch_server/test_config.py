from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch_server.config import (
    ZONE,
    LinkSettings,
    ServerSettings,
    check_directions,
    load_server_settings,
    playbook_of,
    refusals,
    routes_of,
    ways_of,
)
from protocol.errors import ConfigurationRefused
from protocol.keys import NODE_ROLES, Role
from protocol.settings import read_toml, resolve
from situational import DEFAULT_PLAYBOOK, Level, Playbook, Posture
from tests.dispatch_server.support import CENTER, HQ, write_config


def link(node: str, role: str, *serves: str) -> str:
    names = ", ".join(f'"{name}"' for name in serves)
    return f'[[links]]\nnode = "{node}"\nrole = "{role}"\nhost = "192.0.2.99"\nserves = [{names}]\n'


def refused(path: Path) -> ConfigurationRefused:
    with pytest.raises(ConfigurationRefused) as caught:
        load_server_settings(path)
    return caught.value


def test_headquarters_and_center_load_with_their_defaults(tmp_path: Path) -> None:
    hq = load_server_settings(write_config(tmp_path, HQ))
    assert (hq.timers.poll_interval_ms, hq.timers.hold_ms) == (5_000, 4_800)
    assert [made.port for made in hq.links] == [20_880] * 3
    center = load_server_settings(write_config(tmp_path, CENTER))
    assert center.listen is not None
    assert (center.listen.superior, center.listen.port) == ("hq", 20_880)


@pytest.mark.parametrize(
    ("text", "node", "role"),
    [
        (HQ, "other-hq", "hq"),
        (CENTER, "main", "hq"),
        (CENTER, "north", "center"),
        (CENTER.replace('node = "south"', 'node = "south"\nzone = 4'), "north", "center"),
    ],
)
def test_an_upward_or_level_link_is_refused(tmp_path: Path, text: str, node: str, role: str) -> None:
    error = refused(write_config(tmp_path, text + link(node, role)))
    assert node in error.where
    assert "only a superior opens connections" in error.reason
    assert "superior" in error.remedy


@pytest.mark.parametrize("role", ["dispatcher", "supervisor", "operator"])
def test_a_person_cannot_be_dialled(tmp_path: Path, role: str) -> None:
    error = refused(write_config(tmp_path, HQ + link("wang", role)))
    assert "is a person, not a node" in error.reason
    assert "wang" in error.where


def test_headquarters_that_listens_is_refused(tmp_path: Path) -> None:
    error = refused(write_config(tmp_path, HQ + '[listen]\nsuperior = "heaven"\n'))
    assert error.where.endswith(": listen")
    assert error.remedy == "Remove [listen]"


def test_a_center_that_does_not_listen_is_refused(tmp_path: Path) -> None:
    error = refused(write_config(tmp_path, CENTER, '[listen]\nsuperior = "hq"\n', ""))
    assert error.where.endswith(": listen")
    assert "waits for its superior" in error.reason


@pytest.mark.parametrize("superior", ["plant-b", "south"])
def test_a_node_that_is_superior_and_subordinate_at_once_is_refused(tmp_path: Path, superior: str) -> None:
    error = refused(write_config(tmp_path, CENTER, 'superior = "hq"', f'superior = "{superior}"'))
    assert "superior and subordinate at once" in error.reason
    assert superior in error.where


@pytest.mark.parametrize(
    "more",
    [
        link("plant-a", "plant"),
        link("plant-b", "plant"),
        link("hq", "plant"),
        link("north", "center", "plant-a"),
        link("north", "center", "plant-b"),
        link("north", "center", "plant-c", "plant-c"),
        link("north", "center", "north"),
        link("north", "center", "hq"),
    ],
)
def test_a_name_that_stands_twice_is_refused(tmp_path: Path, more: str) -> None:
    error = refused(write_config(tmp_path, HQ + more))
    assert "named 2 times" in error.reason
    assert "one way" in error.remedy


@pytest.mark.parametrize("role", ["desk", "plant"])
def test_only_a_center_serves_others(tmp_path: Path, role: str) -> None:
    error = refused(write_config(tmp_path, HQ + link("x", role, "plant-c")))
    assert "only a center serves" in error.reason


def test_a_hold_that_is_longer_than_the_interval_is_refused(tmp_path: Path) -> None:
    timers = "[timers]\npoll_interval_ms = 1000\nhold_ms = 1001\n"
    assert "longer than poll_interval_ms" in refused(write_config(tmp_path, HQ + timers)).reason
    same = "[timers]\npoll_interval_ms = 1000\nhold_ms = 1000\n"
    load_server_settings(write_config(tmp_path, HQ + same))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[timers]\npoll_interval_ms = 5001\n", "timers.poll_interval_ms"),
        ("[timers]\npoll_interval_ms = 19\n", "timers.poll_interval_ms"),
        ("[timers]\nhold_ms = -1\n", "timers.hold_ms"),
        ("[timers]\npoll = 5\n", "timers.poll"),
        ("[orders]\nanswer_within_s = 0\n", "orders.answer_within_s"),
        ('[orders]\nrestricted_types = ["anything"]\n', "orders.restricted_types.0"),
        ('[playbook]\nhigh = "closed"\n', "playbook.high"),
        ('[playbook]\nnormal = "held"\n', "playbook.normal"),
        ('[playbook]\nby_person = ["normal"]\n', "playbook.by_person.0"),
        ("[playbook]\ndwell_s = -1\n", "playbook.dwell_s"),
        ("[playbook]\ndwell_s = inf\n", "playbook.dwell_s"),
        ("[playbook]\ndwell_s = nan\n", "playbook.dwell_s"),
        ('[alarms]\nfrom_level = "lifting"\n', "alarms.from_level"),
        ("[alarms]\noperators = 0\n", "alarms.operators"),
        ("[alarms]\non_delay_s = 601\n", "alarms.on_delay_s"),
        ("[alarms]\noff_delay_s = 3601\n", "alarms.off_delay_s"),
        ("[alarms]\nmax_shelf_s = 0\n", "alarms.max_shelf_s"),
        ("[alarms]\nmax_shelf_s = 604801\n", "alarms.max_shelf_s"),
        ("[alarms]\nshelf_s = 60\n", "alarms.shelf_s"),
        ("[telemetry]\nkeep_days = 0\n", "telemetry.keep_days"),
        ("[telemetry]\nkeep_days = nan\n", "telemetry.keep_days"),
        ("[telemetry]\nstore = 5\n", "telemetry.store"),
        ("[risk]\nexperts = true\n", "risk.experts"),
        (link("x", "server"), "links.3.role"),
        (link("x", "plant").replace("192.0.2.99", ""), "links.3.host"),
        ("[superior]\nhost = '192.0.2.1'\n", "superior"),
        ("[log]\nlevel = 'loud'\n", "log.level"),
        (link("x", "plant").replace("host", "hots"), "links.3.host"),
        (link("Plant_X", "plant"), "links.3.node"),
        (link("../x", "plant"), "links.3.node"),
        ('[[links]]\nnode = "x"\nrole = "plant"\nhost = "h"\nport = 65536\n', "links.3.port"),
    ],
)
def test_a_wrong_unknown_or_missing_setting_is_refused_by_its_place(
    tmp_path: Path, text: str, place: str
) -> None:
    error = refused(write_config(tmp_path, HQ + text))
    assert error.where.endswith(f"config.toml: {place}")
    assert "README of configs/" in error.remedy


def test_a_file_that_is_not_there_or_not_toml_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "none.toml").reason
    assert "is not TOML" in refused(write_config(tmp_path, "role =")).reason
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe")
    assert "is not TOML" in refused(path).reason
    assert "cannot be read" in refused(tmp_path).reason


def test_every_refusal_is_found_not_only_the_first(tmp_path: Path) -> None:
    text = HQ + link("up", "hq") + link("plant-a", "plant", "plant-c") + '[listen]\nsuperior = "plant-a"\n'
    settings = ServerSettings.model_validate(_tables(tmp_path, text))
    reasons = [refusal.reason for refusal in refusals(settings, "here")]
    assert len(reasons) == 6
    with pytest.raises(ConfigurationRefused) as caught:
        check_directions(settings, "here")
    assert caught.value.reason == reasons[0]


def _tables(folder: Path, text: str) -> object:
    return read_toml(write_config(folder, text))


def test_a_center_leads_to_its_plants_and_a_desk_to_none() -> None:
    links = [
        LinkSettings(node="plant-a", role=Role.PLANT, host="h"),
        LinkSettings(node="desk-1", role=Role.DESK, host="h"),
        LinkSettings(node="south", role=Role.CENTER, host="h", serves=("plant-b", "plant-c")),
    ]
    assert routes_of(links) == {"plant-a": "plant-a", "plant-b": "south", "plant-c": "south"}


ZONES = st.none() | st.integers(1, 9)


@given(st.sampled_from(sorted(NODE_ROLES)), st.sampled_from(["hq", "center"]), ZONES, ZONES)
def test_what_loads_never_leads_up_or_level(
    below: Role, own: str, zone: int | None, link_zone: int | None
) -> None:
    settings = ServerSettings.model_validate(
        {
            "role": own,
            "node": "here",
            "zone": zone,
            "deployment": "d",
            "journal": "j",
            "control": "c",
            "keys": {"authority": "a", "certificate": "c", "key": "k"},
            "identity": {"store": "s", "key": "k"},
            "links": [{"node": "there", "role": below, "host": "h", "zone": link_zone}],
            "listen": {"superior": "above"} if own == "center" else None,
        }
    )
    falls = (link_zone or ZONE[below]) < (zone or ZONE[Role(own)])
    is_possible = below is not Role.HQ and (own, below) != ("center", Role.DESK)
    has_superior = own == "hq" or zone != 9
    assert (not list(refusals(settings, "here"))) == (falls and is_possible and has_superior)


# Zones and centers below centers


WEST = link("west", "center", "plant-c").replace("serves", "zone = 4\nserves")


def test_a_center_may_dial_a_center_of_a_lower_zone(tmp_path: Path) -> None:
    settings = load_server_settings(write_config(tmp_path, CENTER + WEST))
    assert (settings.in_zone, settings.links[1].in_zone) == (5, 4)
    assert routes_of(settings.links) == {"plant-b": "plant-b", "plant-c": "west"}
    assert ways_of(settings.links) == {"plant-b": (), "west": (), "plant-c": ("west",)}


def test_headquarters_knows_the_centers_on_the_way_to_each_plant(tmp_path: Path) -> None:
    deep = HQ.replace('["plant-b"]', '["plant-b", "west/plant-c", "west/far/plant-d"]')
    settings = load_server_settings(write_config(tmp_path, deep + "[orders]\nlost_after_s = 25\n"))
    assert routes_of(settings.links) == {
        "plant-a": "plant-a",
        "plant-b": "south",
        "plant-c": "south",
        "plant-d": "south",
    }
    assert ways_of(settings.links) == {
        "desk-1": (),
        "plant-a": (),
        "south": (),
        "plant-b": ("south",),
        "west": ("south",),
        "plant-c": ("south", "west"),
        "far": ("south", "west"),
        "plant-d": ("south", "west", "far"),
    }


def test_the_remedy_for_a_center_in_the_same_zone_is_a_lower_zone(tmp_path: Path) -> None:
    error = refused(write_config(tmp_path, CENTER + link("west", "center", "plant-c")))
    assert "a center in zone 5 may not dial a center in zone 5" in error.reason
    assert "give it a zone below 5, here and in its own file" in error.remedy


@pytest.mark.parametrize("zone", [1, 4, 5])
def test_a_superior_of_no_higher_zone_is_refused(tmp_path: Path, zone: int) -> None:
    text = CENTER.replace('superior = "hq"', f'superior = "hq"\nzone = {zone}')
    error = refused(write_config(tmp_path, text))
    assert error.where.endswith(": listen.zone")
    assert error.reason == f"zone {zone} is not higher than zone 5, where this center is"
    load_server_settings(write_config(tmp_path, text.replace(f"zone = {zone}", "zone = 6")))


def test_a_center_in_the_highest_zone_is_refused(tmp_path: Path) -> None:
    error = refused(write_config(tmp_path, CENTER, 'node = "south"', 'node = "south"\nzone = 9'))
    assert "can have no superior" in error.reason
    assert error.where.endswith(": zone")


def test_headquarters_is_dialled_by_nobody_whatever_its_zone(tmp_path: Path) -> None:
    error = refused(write_config(tmp_path, HQ + link("low", "hq").replace("serves", "zone = 1\nserves")))
    assert "only a superior opens connections" in error.reason


def test_a_desk_below_a_center_is_refused(tmp_path: Path) -> None:
    error = refused(write_config(tmp_path, CENTER + link("desk-2", "desk")))
    assert "a center decides nothing about orders" in error.reason
    assert error.remedy == "Let headquarters dial the desk"


def test_more_centers_than_there_are_zones_are_refused(tmp_path: Path) -> None:
    deep = link("west", "center", "a/b/plant-c").replace("serves", "zone = 3\nserves")
    error = refused(write_config(tmp_path, CENTER + deep + "[orders]\nlost_after_s = 25\n"))
    assert "no room for 2 more centers and a plant" in error.reason
    higher = deep.replace("zone = 3", "zone = 4")
    load_server_settings(write_config(tmp_path, CENTER + higher + "[orders]\nlost_after_s = 25\n"))


def test_two_nodes_at_one_address_are_refused(tmp_path: Path) -> None:
    error = refused(write_config(tmp_path, HQ + link("plant-x", "plant") + link("plant-y", "plant")))
    assert error.where.endswith(": links: plant-y")
    assert error.reason == "192.0.2.99:20880 is the address of 'plant-x'"
    apart = link("plant-x", "plant") + link("plant-y", "plant").replace("serves", "port = 20881\nserves")
    load_server_settings(write_config(tmp_path, HQ + apart))


def test_a_center_that_would_dial_itself_is_refused(tmp_path: Path) -> None:
    own = CENTER.replace('superior = "hq"', 'superior = "hq"\nhost = "192.0.2.41"')
    error = refused(write_config(tmp_path, own))
    assert error.reason == "192.0.2.41:20880 is the address of this server itself"


def test_a_link_to_port_0_is_refused(tmp_path: Path) -> None:
    error = refused(write_config(tmp_path, HQ + link("x", "plant").replace("serves", "port = 0\nserves")))
    assert error.reason == "nobody listens at port 0"


@pytest.mark.parametrize(("way", "polls"), [("plant-b", 3), ("west/plant-b", 4), ("west/far/plant-b", 5)])
def test_the_deeper_a_plant_lies_the_longer_its_signs_of_life_may_take(
    tmp_path: Path, way: str, polls: int
) -> None:
    deep = HQ.replace('"plant-b"', f'"{way}"')
    error = refused(write_config(tmp_path, f"{deep}[orders]\nlost_after_s = {5 * polls - 1}\n"))
    assert error.reason.startswith(f"it is shorter than {polls} poll intervals")
    assert f"at least {5 * polls} (s)" in error.remedy
    load_server_settings(write_config(tmp_path, f"{deep}[orders]\nlost_after_s = {5 * polls}\n"))


@pytest.mark.parametrize(
    "serves",
    [
        '["west/plant-a"]',
        '["west/plant-b", "plant-b"]',
        '["west/plant-b", "north/west/plant-c"]',
        '["west/plant-b", "west"]',
        '["desk-1/plant-b"]',
        '["south/plant-b"]',
    ],
)
def test_a_name_on_two_ways_is_refused(tmp_path: Path, serves: str) -> None:
    text = HQ.replace('["plant-b"]', serves) + "[orders]\nlost_after_s = 25\n"
    assert "named 2 times" in refused(write_config(tmp_path, text)).reason


@pytest.mark.parametrize("way", ["/plant-b", "west/", "west//plant-b", "West/plant-b", "", "../plant-b"])
def test_a_way_that_is_none_is_refused_by_its_place(tmp_path: Path, way: str) -> None:
    assert refused(write_config(tmp_path, HQ, '"plant-b"', f'"{way}"')).where.endswith("links.2.serves.0")


@pytest.mark.parametrize(
    ("zone", "place"), [("zone = 0", "zone"), ("zone = 10", "zone"), ('zone = "low"', "zone")]
)
def test_a_zone_that_there_is_not_is_refused(tmp_path: Path, zone: str, place: str) -> None:
    assert refused(write_config(tmp_path, HQ, 'node = "hq"', f'node = "hq"\n{zone}')).where.endswith(place)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    assert resolve(tmp_path, Path("keys/x")) == tmp_path / "keys" / "x"
    assert resolve(tmp_path, Path("/etc/x")) == Path("/etc/x")


# Awareness


def playbook(text: str, folder: Path) -> Playbook:
    return playbook_of(load_server_settings(write_config(folder, f"{HQ}[playbook]\n{text}")).playbook)


def test_the_playbook_that_is_not_configured_is_the_one_of_situational(tmp_path: Path) -> None:
    assert playbook("", tmp_path) == DEFAULT_PLAYBOOK


def test_a_playbook_is_what_was_configured(tmp_path: Path) -> None:
    made = playbook(
        'lifting = "heightened"\nhigh = "held"\nby_person = ["held", "restricted"]\ndwell_s = 7\n', tmp_path
    )
    assert made.postures[Level.LIFTING] is Posture.HEIGHTENED
    assert made.postures[Level.HIGH] is Posture.HELD
    assert made.postures[Level.NORMAL] is Posture.NORMAL
    assert made.by_person == {Posture.HELD, Posture.RESTRICTED}
    assert made.dwell_s == 7


_RISING = ("advisory", "medium", "high", "major")


@given(st.tuples(*[st.sampled_from(["normal", "heightened", "restricted", "held"])] * 4))
def test_exactly_the_playbooks_that_never_ease_while_a_hazard_grows_are_taken(names: tuple[str, ...]) -> None:
    tables = {
        "role": "hq",
        "node": "hq",
        "deployment": "d",
        "journal": "j",
        "control": "c",
        "keys": {"authority": "a", "certificate": "c", "key": "k"},
        "identity": {"store": "s", "key": "k"},
        "links": [],
        "playbook": dict(zip(_RISING, names, strict=True)),
    }
    found = list(refusals(ServerSettings.model_validate(tables), "here"))
    strength = [Posture[name.upper()] for name in names]
    assert (not found) == (strength == sorted(strength))
    assert all(refusal.where == "here: playbook" and refusal.remedy for refusal in found)


def test_without_a_word_nothing_is_kept_and_no_risk_is_ranked(tmp_path: Path) -> None:
    settings = load_server_settings(write_config(tmp_path))
    assert settings.telemetry.store is None
    assert settings.risk.experts is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1"])
def test_metrics_may_be_served_on_loopback(tmp_path: Path, host: str) -> None:
    text = f'{HQ}\n[metrics]\nport = 9464\nhost = "{host}"\n'
    assert load_server_settings(write_config(tmp_path, text)).metrics.port == 9464


@pytest.mark.parametrize("host", ["10.0.0.1", "::", "192.0.2.1", "localhost", "metrics.example", ""])
def test_metrics_are_not_served_to_other_machines_by_accident(tmp_path: Path, host: str) -> None:
    text = f'{HQ}\n[metrics]\nport = 9464\nhost = "{host}"\n'
    with pytest.raises(ConfigurationRefused, match=r"metrics\.host"):
        load_server_settings(write_config(tmp_path, text))


def test_metrics_are_served_to_other_machines_when_that_is_said(tmp_path: Path) -> None:
    text = f'{HQ}\n[metrics]\nport = 9464\nhost = "192.0.2.1"\nbeyond_loopback = true\n'
    assert load_server_settings(write_config(tmp_path, text)).metrics.host == "192.0.2.1"


def test_metrics_are_served_nowhere_unless_a_port_is_named(tmp_path: Path) -> None:
    assert load_server_settings(write_config(tmp_path, HQ)).metrics.port is None
