"""dispatch_server/crosscheck.py: the files of one deployment agree, or each contradiction is told by name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dispatch_server.__main__ import app
from tests.support.terminal import Told, run

Tables = dict[str, Any]
_SERVER: Mapping[str, str] = {
    "keys": '{ authority = "a", certificate = "c", key = "k" }',
    "identity": '{ store = "s", key = "i" }',
}


def link(node: str, role: str, number: int, **more: Any) -> Tables:
    return {"node": node, "role": role, "host": f"192.0.2.{number}", **more}


def listen(superior: str, **more: Any) -> Tables:
    return {"superior": superior, **more}


def deployment() -> dict[str, Tables]:
    """Headquarters, a desk, a plant, and two centers below each other, all in agreement."""
    south = link("south", "center", 31, serves=["plant-b", "west/plant-c"])
    return {
        "hq": {
            "role": "hq",
            "links": [link("desk-1", "desk", 11), link("plant-a", "plant", 21), south],
            "orders": {"lost_after_s": 20},
        },
        "south": {
            "role": "center",
            "listen": listen("hq", zone=9),
            "links": [link("plant-b", "plant", 41), link("west", "center", 51, zone=4, serves=["plant-c"])],
        },
        "west": {
            "role": "center",
            "zone": 4,
            "listen": listen("south", zone=5),
            "links": [link("plant-c", "plant", 61)],
        },
        "desk-1": {"role": "desk", "listen": listen("hq")},
        "plant-a": {"role": "plant", "listen": listen("hq")},
        "plant-b": {"role": "plant", "listen": listen("south")},
        "plant-c": {"role": "plant", "listen": listen("west")},
    }


def _toml(value: Any) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
        case list():
            return "[" + ", ".join(_toml(inner) for inner in value) + "]"
        case str():
            return f'"{value}"'
        case _:
            return str(value)


def check(folder: Path, nodes: Mapping[str, Tables], *options: str) -> Told:
    """Write the files and compare them."""
    paths = []
    for node, tables in nodes.items():
        lines = [
            f"{key} = {_toml(value)}" for key, value in ({"node": node, "deployment": "g"} | tables).items()
        ]
        lines += ['journal = "j"', 'control = "c"']
        if tables["role"] in {"hq", "center"}:
            lines += [f"{key} = {value}" for key, value in _SERVER.items()]
        (folder / f"{node}.toml").write_text("\n".join(lines), "utf-8")
        paths.append(folder / f"{node}.toml")
    return run(app, "check-config", *paths, *options)


def test_files_that_agree_are_drawn_as_a_tree(tmp_path: Path) -> None:
    told = check(tmp_path, deployment())
    assert told.exit_code == 0, told
    assert told.out.splitlines() == [
        "  hq (hq, zone 9)",
        "  ├─▶ desk-1 (desk, zone 1) at 192.0.2.11:20880",
        "  ├─▶ plant-a (plant, zone 1) at 192.0.2.21:20880",
        "  └─▶ south (center, zone 5) at 192.0.2.31:20880",
        "     ├─▶ plant-b (plant, zone 1) at 192.0.2.41:20880",
        "     └─▶ west (center, zone 4) at 192.0.2.51:20880",
        "        └─▶ plant-c (plant, zone 1) at 192.0.2.61:20880",
        "7 files: they agree; check each one also alone, on its own machine",
    ]


def test_a_file_that_is_not_there_is_said_and_refuses_nothing(tmp_path: Path) -> None:
    nodes = deployment()
    del nodes["hq"], nodes["plant-c"]
    told = check(tmp_path, nodes, "--json")
    assert told.exit_code == 0
    assert told.json["missing"] == [
        "the file of hq, who dials south, is not among those compared",
        "the file of plant-c, which west dials, is not among those compared",
        "the file of hq, who dials desk-1, is not among those compared",
        "the file of hq, who dials plant-a, is not among those compared",
    ]
    assert told.json["tree"][0] == "south (center, zone 5)"


def _links(nodes: dict[str, Tables], server: str, node: str) -> Tables:
    found: Tables = next(link for link in nodes[server]["links"] if link["node"] == node)
    return found


def other_deployment(nodes: dict[str, Tables]) -> None:
    nodes["plant-c"]["deployment"] = "elsewhere"


def another_superior(nodes: dict[str, Tables]) -> None:
    nodes["plant-c"]["listen"] = listen("south")


def a_superior_that_dials_nobody(nodes: dict[str, Tables]) -> None:
    nodes["plant-a"]["listen"] = listen("desk-1")


def another_role(nodes: dict[str, Tables]) -> None:
    _links(nodes, "hq", "plant-a")["role"] = "desk"


def another_port(nodes: dict[str, Tables]) -> None:
    _links(nodes, "west", "plant-c")["port"] = 20_881


def another_zone(nodes: dict[str, Tables]) -> None:
    nodes["west"]["zone"] = 3


def another_zone_above(nodes: dict[str, Tables]) -> None:
    nodes["west"]["listen"] = listen("south", zone=6)


def serves_too_much(nodes: dict[str, Tables]) -> None:
    _links(nodes, "hq", "south")["serves"].append("west/plant-x")


def serves_by_the_wrong_way(nodes: dict[str, Tables]) -> None:
    _links(nodes, "hq", "south")["serves"] = ["plant-b", "plant-c"]


def serves_too_little(nodes: dict[str, Tables]) -> None:
    nodes["west"]["links"].append(link("plant-d", "plant", 62))


def two_superiors(nodes: dict[str, Tables]) -> None:
    nodes["hq"]["links"].append(link("plant-x", "plant", 70))
    nodes["west"]["links"].append(link("plant-x", "plant", 71))


def one_address(nodes: dict[str, Tables]) -> None:
    _links(nodes, "west", "plant-c")["host"] = "192.0.2.41"


def too_slow_a_center(nodes: dict[str, Tables]) -> None:
    nodes["hq"]["timers"] = {"poll_interval_ms": 1000, "hold_ms": 400}
    nodes["hq"]["orders"] = {"lost_after_s": 6}


@pytest.mark.parametrize(
    ("spoil", "place", "reason"),
    [
        (other_deployment, "plant-c.toml: deployment", "'elsewhere' is not the 'g' of"),
        (another_superior, "plant-c.toml: listen.superior", "south.toml has no link to 'plant-c'"),
        (another_superior, "west.toml: links: plant-c", "it waits for 'south' and would turn 'west' away"),
        (
            a_superior_that_dials_nobody,
            "plant-a.toml: listen.superior",
            "'desk-1' is a desk, which dials nobody",
        ),
        (another_role, "hq.toml: links: plant-a", "plant-a.toml, not a desk"),
        (another_port, "west.toml: links: plant-c", "it listens at 20880"),
        (another_zone, "south.toml: links: west", "west.toml, not in zone 4"),
        (another_zone_above, "west.toml: listen.zone", "it says zone 6 of 'south', who is in zone 5"),
        (serves_too_much, "hq.toml: links: south", "'south' does not lead there"),
        (serves_by_the_wrong_way, "hq.toml: links: south", "serves 'plant-c', and by"),
        (serves_by_the_wrong_way, "hq.toml: links: south", "'west/plant-c' is missing in serves"),
        (serves_too_little, "south.toml: links: west", "'plant-d' is missing in serves"),
        (two_superiors, "hq.toml, ", "all of them dial 'plant-x'"),
        (one_address, "west.toml: links: plant-c", "is the address at which 'south' dials 'plant-b'"),
        (too_slow_a_center, "hq.toml: orders.lost_after_s", "through south and west, which may take 12 s"),
    ],
)
def test_each_contradiction_is_refused_with_its_place_and_a_remedy(
    tmp_path: Path, spoil: Callable[[dict[str, Tables]], None], place: str, reason: str
) -> None:
    nodes = deployment()
    spoil(nodes)
    told = check(tmp_path, nodes, "--json")
    assert told.exit_code == 1
    found = [refusal for refusal in told.json["refusals"] if reason in refusal["reason"]]
    assert [place in refusal["place"] for refusal in found] == [True], told.json["refusals"]
    assert found[0]["remedy"]


def test_centers_that_dial_each_other_in_a_circle_are_refused_though_each_file_looks_well(
    tmp_path: Path,
) -> None:
    def center(superior: str, below: str) -> Tables:
        return {"role": "center", "listen": listen(superior), "links": [link(below, "center", 1, zone=4)]}

    nodes = {"a": center("c", "b"), "b": center("a", "c"), "c": center("b", "a")}
    for name, tables in nodes.items():
        tables["links"][0]["host"] = f"192.0.2.{ord(name)}"
    told = check(tmp_path, nodes, "--json")
    assert told.exit_code == 1
    reasons = [refusal["reason"] for refusal in told.json["refusals"]]
    assert reasons.count("it would command itself: a is dialled by c is dialled by b is dialled by a") == 1
    assert sum("not in zone 4" in reason for reason in reasons) == 3


def test_two_files_of_one_node_are_refused(tmp_path: Path) -> None:
    check(tmp_path, deployment())
    (tmp_path / "copy.toml").write_bytes((tmp_path / "plant-a.toml").read_bytes())
    told = run(app, "check-config", tmp_path / "hq.toml", tmp_path / "plant-a.toml", tmp_path / "copy.toml")
    assert told.exit_code == 1
    assert "all of them configure 'plant-a'" in told.err


def test_what_is_wrong_in_one_file_alone_is_told_too(tmp_path: Path) -> None:
    nodes = deployment()
    nodes["south"]["zone"] = 9
    nodes["plant-a"]["listen"] = {}
    told = check(tmp_path, nodes)
    assert told.exit_code == 1
    assert "south.toml: zone: no zone is higher than 9" in told.err
    assert "plant-a.toml: listen.superior: Field required" in told.err
    (tmp_path / "south.toml").write_text("role =", "utf-8")
    (tmp_path / "hq.toml").write_text('role = "hq"\n', "utf-8")
    told = run(app, "check-config", tmp_path / "hq.toml", tmp_path / "south.toml", tmp_path / "none.toml")
    assert told.exit_code == 1
    for part in ("hq.toml: node: Field required", "south.toml: is not TOML", "none.toml: cannot be read"):
        assert part in told.err


@pytest.mark.parametrize("role", ["desk", "plant"])
def test_a_lower_node_that_would_dial_is_refused(tmp_path: Path, role: str) -> None:
    nodes = deployment()
    nodes["plant-b" if role == "plant" else "desk-1"]["links"] = [link("hq", "center", 1)]
    told = check(tmp_path, nodes)
    assert told.exit_code == 1
    assert f"links: a {role} dials nobody: only a superior opens connections. Remove [[links]]" in told.err


def test_a_file_that_is_refused_whole_is_named_as_not_compared(tmp_path: Path) -> None:
    nodes = deployment()
    nodes["hq"]["unknown"] = 1
    told = check(tmp_path, nodes)
    assert told.exit_code == 1
    assert f"not compared, as they are refused: {tmp_path / 'hq.toml'}" in told.out
    assert "not compared" not in check(tmp_path, deployment()).out
