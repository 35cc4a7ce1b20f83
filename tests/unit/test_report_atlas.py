"""The atlas, and what one thing changes: computed from runs. All runs here are made up."""

from dataclasses import replace
from html.parser import HTMLParser
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from nodeport_lab.model import (
    Client,
    ClientKind,
    ContainerPort,
    Direction,
    Network,
    Observation,
    Pod,
    Protocol,
    Relation,
    Run,
    Scenario,
    Verdict,
)
from nodeport_lab.report.atlas import (
    Atlas,
    Kind,
    Part,
    Seen,
    Way,
    client_groups,
    from_json,
    node_dependence,
    part,
)
from nodeport_lab.report.changes import (
    Comparison,
    change_values,
    changes,
    changes_table,
    comparisons,
    count,
    placement_table,
)
from nodeport_lab.report.seen import NOT_EVALUATED, direction, names, seen_name

BASE = Observation(
    policy="no-policy",
    direction=Direction.EGRESS,
    namespace="default",
    client="ann",
    client_node="node-1",
    server="callee",
    service="callee",
    protocol=Protocol.TCP,
    port=30000,
    route="nodeport",
    dialled_node="node-1",
    backend_node="node-2",
    relation=Relation.OWN_NODE,
    verdict=Verdict.ALLOWED,
    control=Verdict.ALLOWED,
    seen_source="10.0.1.2:40000",
    seen_destination="172.18.0.1:30000",
)
SERVER = Pod("default", "callee-0", "node-2", ports=(ContainerPort(8080),))
ANN = Client("ann", ClientKind.POD, "node-1", Pod("default", "ann", "node-1"))
BOB = Client("bob", ClientKind.POD, "node-2", Pod("default", "bob", "node-2"))
HOST = Client("host:node-1", ClientKind.HOST, "node-1")
OUTSIDE = Client("external", ClientKind.EXTERNAL)
SELF = Client("callee-0", ClientKind.POD, "node-2", SERVER)
CLIENTS = (ANN, BOB, HOST, OUTSIDE, SELF)

OWN: dict[str, Any] = {"relation": Relation.OWN_NODE}
THIRD: dict[str, Any] = {"relation": Relation.THIRD_NODE, "dialled_node": "node-3"}
POD: dict[str, Any] = {"relation": None, "dialled_node": None, "route": "pod-ip", "port": 8080}


def cell(client: Client = ANN, way: dict[str, Any] = OWN, **changes: Any) -> Observation:  # noqa: ANN401  # fields of a cell
    """One connection of a client."""
    own = {"dialled_node": client.node} if way is OWN else {}
    return replace(
        BASE, **{"client": client.name, "client_node": client.node, **way, **own, **changes}
    )


def fenced(client: Client, way: dict[str, Any], verdict: Verdict) -> list[Observation]:
    """A connection without a policy, and under one."""
    return [cell(client, way), cell(client, way, policy="fence", verdict=verdict)]


def run(*observations: Observation, **changes: Any) -> Run:  # noqa: ANN401  # fields of a run
    """A run of nothing but these."""
    return replace(Run("embedded", "plane", {}, "modelled", {}, observations, "egress"), **changes)


def atlas(*runs: Run) -> Atlas:
    """The atlas of runs in which anybody may have called."""
    return Atlas(tuple(part(one, CLIENTS) for one in runs))


def shape(found: Atlas) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Who shares a table, and which ways share a column."""
    return {group.words: group.columns for group in found.groups}


# --- who and which way --------------------------------------------------------------------


def test_clients_are_told_apart_by_kind_and_by_the_servers_node() -> None:
    """The node from which answers came is the server's; outside there is none."""
    kinds = {way.kind for way in part(run(*(cell(one) for one in CLIENTS)), CLIENTS).ways}

    assert kinds == {
        Kind("pod", "on another node"),
        Kind("pod", "on the server's node"),
        Kind("host process", "on another node"),
        Kind("machine on the nodes' network"),
        Kind("the server itself"),
    }


def test_a_way_is_told_apart_by_client_and_target() -> None:
    """Ways are what a part is asked by."""
    found = part(run(cell(ANN), cell(ANN, THIRD)), CLIENTS)

    assert found.ways == (
        Way(Kind("pod", "on another node"), "own-node"),
        Way(Kind("pod", "on another node"), "third-node"),
    )
    assert repr(found) == "atlas of egress: 2 connections on plane"


def test_clients_and_ways_with_the_same_answers_are_put_together() -> None:
    """One table for pods on any node, one column for what makes no difference."""
    cells = [
        observed
        for client in (ANN, BOB)
        for way, verdict in (
            (OWN, Verdict.ALLOWED),
            (THIRD, Verdict.TIMEOUT),
            (POD, Verdict.TIMEOUT),
        )
        for observed in fenced(client, way, verdict)
    ]

    assert shape(atlas(run(*cells))) == {
        "pod on any node": (("own-node",), ("third-node", "pod-ip"))
    }


def test_one_different_answer_on_one_dataplane_keeps_clients_apart() -> None:
    """Nothing is put together that differs anywhere."""
    same = [one for client in (ANN, BOB) for one in fenced(client, OWN, Verdict.ALLOWED)]
    other = [*fenced(ANN, OWN, Verdict.ALLOWED), *fenced(BOB, OWN, Verdict.TIMEOUT)]

    assert set(shape(atlas(run(*same)))) == {"pod on any node"}
    assert set(shape(atlas(run(*same), run(*other)))) == {
        "pod on another node",
        "pod on the server's node",
    }


def test_only_kindred_clients_share_a_table() -> None:
    """A pod and a machine outside may get the same answers and are still not one client."""
    cells = [one for who in (ANN, OUTSIDE, HOST) for one in fenced(who, THIRD, Verdict.ALLOWED)]

    assert set(shape(atlas(run(*cells)))) == {
        "pod or host process on another node",
        "machine on the nodes' network",
    }


def test_what_nobody_asked_is_no_answer() -> None:
    """A way that a client has not shares no column with one that it has."""
    cells = (cell(ANN, OWN), cell(ANN, THIRD, policy="fence"))

    (group,) = atlas(run(*cells)).groups

    assert group.columns == (("own-node",), ("third-node",))
    assert (
        atlas(run(*cells)).outcomes(part(run(*cells), CLIENTS), group, ("own-node",), "fence") == []
    )


def test_each_client_knows_its_table() -> None:
    """Other tables can arrange clients as the atlas does."""
    cells = [*fenced(ANN, OWN, Verdict.ALLOWED), *fenced(BOB, OWN, Verdict.TIMEOUT)]

    groups = client_groups(run(*cells), CLIENTS)

    assert (groups["ann"], groups["bob"]) == ("pod on another node", "pod on the server's node")


@pytest.mark.parametrize(
    ("verdict", "dependent"), [(Verdict.TIMEOUT, ("fence",)), (Verdict.ALLOWED, ())]
)
def test_the_node_decides_where_one_kind_gets_two_answers(
    verdict: Verdict, dependent: tuple[str, ...]
) -> None:
    """Ways without a node do not count, nor do other kinds of clients."""
    cells = [
        *fenced(ANN, OWN, Verdict.ALLOWED),
        *fenced(ANN, THIRD, verdict),
        *fenced(ANN, POD, Verdict.REFUSED),
        *fenced(HOST, OWN, Verdict.REFUSED),
    ]

    found = node_dependence(part(run(*cells), CLIENTS), "pod")

    assert (found.policies, found.dependent) == (("fence",), dependent)


# --- what is shown ------------------------------------------------------------------------


def test_the_atlas_as_text() -> None:
    """Clients, ways, policies and dataplanes, one symbol for each answer."""
    one = run(*fenced(ANN, OWN, Verdict.ALLOWED), *fenced(ANN, THIRD, Verdict.TIMEOUT))
    other = run(*fenced(ANN, OWN, Verdict.ALLOWED), dataplane="train", options={"mode": "a"})

    assert repr(atlas(one, other)).splitlines() == [
        "✓ allowed   ✗ timeout",
        "",
        "pod on another node: own-node | third-node",
        "           plane  train",
        "no-policy  ✓ ✓    ✓ ·",
        "fence      ✓ ✗    ✓ ·",
    ]


def test_answers_that_differ_within_a_place_are_all_shown() -> None:
    """No client's answer is hidden by another's."""
    both = atlas(run(cell(), cell(verdict=Verdict.TIMEOUT)))

    assert "no-policy  ✓✗" in repr(both)


class _Cells(HTMLParser):
    """Collects the words and classes of a page's table cells, and checks that tags close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.labels: list[str] = []
        self.classes: list[str] = []
        self.headings = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag != "br":
            self.opened.append(tag)
        if tag == "td":
            self.classes.append(found.get("class", ""))
        self.headings += tag == "th" and "scope" in found
        if "aria-label" in found and found.get("role") == "img":
            self.labels.append(found["aria-label"])

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag


def test_every_symbol_has_its_word_and_every_line_its_heading() -> None:
    """Neither colours nor symbols are needed to read the atlas."""
    found = _Cells(
        atlas(
            run(*fenced(ANN, OWN, Verdict.TIMEOUT), *fenced(ANN, POD, Verdict.ALLOWED))
        )._repr_html_()
    )

    assert found.opened == []
    assert found.labels == ["allowed", "allowed", "timeout", "allowed"]
    assert found.classes == [
        "answer allowed first",
        "answer allowed",
        "answer timeout first",
        "answer allowed",
    ]
    assert found.headings == 1 + 1 + 2 + 2  # corner, dataplane, ways, policies


def test_what_policy_saw_is_there_on_demand_only() -> None:
    """Without it the atlas belongs to no testbed; with it each way has its line."""
    seen = from_json(part(run(cell()), CLIENTS).to_json(), [["dialled <node>"]])

    assert "<details>" not in atlas(run(cell()))._repr_html_()
    assert "dialled &lt;node&gt;" in Atlas((seen,))._repr_html_()


def test_a_part_survives_being_written_and_read() -> None:
    """What a notebook hands on is all that the page needs."""
    whole = part(run(*fenced(ANN, OWN, Verdict.TIMEOUT), cell(BOB, POD)), CLIENTS, KNOWN)

    assert from_json(whole.to_json(), Seen(whole).to_json()) == whole
    assert from_json(whole.to_json()) == replace(whole, seen={})
    assert isinstance(whole, Part)


# --- what policy saw ----------------------------------------------------------------------

NETWORK = Network(
    node_cidr=IPv4Network("172.18.0.0/24"),
    pod_cidr=IPv4Network("10.0.0.0/16"),
    service_cidr=IPv4Network("10.96.0.0/16"),
    nodes={f"node-{number}": IPv4Address(f"172.18.0.{number}") for number in (1, 2, 3)},
    node_pod_cidrs={},
    pods={"default/ann": IPv4Address("10.0.1.2"), "default/callee-0": IPv4Address("10.0.2.2")},
    cluster_ips={"default/callee": IPv4Address("10.96.0.10")},
    tunnels={"node-3": IPv4Address("10.0.3.1")},
    load_balancers={"default/callee": IPv4Address("172.18.0.230")},
)
KNOWN = names(Scenario("dev", (), (), (SERVER,), (), ()), NETWORK)


@pytest.mark.parametrize(
    ("seen", "way", "expected"),
    [
        ("10.0.2.2:8080", OWN, "server pod:8080"),
        ("172.18.0.1:30000", OWN, "dialled node:30000"),
        ("172.18.0.3:30000", THIRD, "dialled node:30000"),
        ("10.96.0.10:80", POD, "ClusterIP:80"),
        ("172.18.0.230:80", POD, "load balancer:80"),
        ("192.0.2.1:80", POD, "192.0.2.1:80"),
        (None, POD, NOT_EVALUATED),
    ],
)
def test_a_destination_is_called_by_whose_it_is(
    seen: str | None, way: dict[str, Any], expected: str
) -> None:
    """An address that nobody has stays an address."""
    assert seen_name(cell(ANN, way, seen_destination=seen), KNOWN) == expected


@pytest.mark.parametrize(
    ("seen", "client", "expected"),
    [
        ("10.0.1.2:40000", ANN, "client pod"),
        ("172.18.0.1:40000", ANN, "client's node"),
        ("172.18.0.3:40000", ANN, "dialled node"),
        ("10.0.3.1:40000", ANN, "dialled node (tunnel)"),
        ("10.0.2.2:40000", SELF, "server pod"),
        ("203.0.113.10:40000", OUTSIDE, "client"),
    ],
)
def test_a_source_is_called_by_whose_it_is(seen: str, client: Client, expected: str) -> None:
    """Without the client's own port, which is another one each time."""
    observed = cell(client, THIRD, direction=Direction.INGRESS, seen_source=seen)

    assert seen_name(observed, KNOWN) == expected


def test_the_side_of_a_run_is_that_of_its_policies() -> None:
    """The control has no policy and so no side of its own."""
    guarded = cell(policy="guard", direction=Direction.INGRESS)

    assert direction(run(cell(), guarded)) is Direction.INGRESS
    assert direction(run(cell(), guarded, cell(policy="fence"))) is Direction.EGRESS
    assert direction(run(cell())) is Direction.EGRESS


# --- what one thing changes ---------------------------------------------------------------


def pair(before: list[Observation], after: list[Observation]) -> Comparison:
    """Two runs that differ in one thing."""
    return Comparison("mode=b", run(*before), run(*after))


def test_a_change_names_policy_way_and_both_answers() -> None:
    """What stayed the same is not told, only counted."""
    before = [*fenced(ANN, OWN, Verdict.TIMEOUT), *fenced(ANN, POD, Verdict.ALLOWED)]
    after = [*fenced(ANN, OWN, Verdict.ALLOWED), *fenced(ANN, POD, Verdict.ALLOWED)]
    compared = pair(before, after)

    (found,) = changes(compared)

    assert (found.policy, found.target, found.words(), found.who) == (
        "fence",
        "own-node",
        "timeout → allowed",
        (),
    )
    assert count(compared) == (1, 4)
    assert change_values([compared]) == {
        "mode=b/changed": "1 of 4",
        "mode=b/fence/own-node": "timeout → allowed",
    }


def test_clients_are_named_where_not_all_are_meant() -> None:
    """With the node, where a client dialled several and not all came out differently."""
    near, far = cell(BOB, THIRD), cell(BOB, THIRD, dialled_node="node-4")
    before = [cell(ANN), cell(BOB), near, far]
    after = [cell(ANN), cell(BOB, verdict=Verdict.TIMEOUT), near]
    after.append(replace(far, verdict=Verdict.TIMEOUT))

    assert [(one.target, one.who) for one in changes(pair(before, after))] == [
        ("own-node", ("bob",)),
        ("third-node", ("bob to node-4",)),
    ]


def test_questions_are_the_same_if_the_node_is_whatever_it_is_called() -> None:
    """A server that moves turns another's third node into its own."""
    before = [cell(ANN, THIRD)]
    after = [cell(ANN, THIRD, relation=Relation.OTHER_NODE, verdict=Verdict.TIMEOUT)]

    assert [one.target for one in changes(pair(before, after))] == ["other-node"]


def test_a_lost_path_is_told_once_and_blames_no_policy() -> None:
    """Under a policy it is the same loss again."""
    before = fenced(ANN, OWN, Verdict.ALLOWED)
    after = [replace(one, control=Verdict.TIMEOUT) for one in before]

    assert [(one.policy, one.words()) for one in changes(pair(before, after))] == [
        ("no-policy", "allowed → no path")
    ]


def test_the_table_of_changes_has_columns_for_policies_that_changed() -> None:
    """The others are named below, so that nobody takes them for untried."""
    before = [*fenced(ANN, OWN, Verdict.TIMEOUT), cell(ANN, POD, policy="gate")]
    after = [*fenced(ANN, OWN, Verdict.ALLOWED), cell(ANN, POD, policy="gate")]
    table = changes_table([pair(before, after)], "Changes", "set")

    assert table.headings == ("connections changed", "fence")
    assert [[one.words for one in cells] for _, cells in table.rows] == [
        ["1 of 3", "own-node: ✗ → ✓"]
    ]
    assert table.notes[-1].words == "Nothing changes under no-policy and gate."


def test_runs_are_compared_with_the_first_under_the_name_of_what_was_set() -> None:
    """The label is the setting, not the whole configuration."""
    default = run(cell(), options={"backend": "as-placed"})
    moved = run(cell(), options={"backend": "moved"})

    assert [(one.label, one.before) for one in comparisons([default, moved])] == [
        ("backend=moved", default)
    ]


def test_every_place_of_the_server_has_its_part_of_the_table() -> None:
    """Headed by where the server was, as observed."""
    placed = run(cell(), options={"backend": "as-placed"})
    both = run(cell(), cell(ANN, THIRD, backend_node="node-3"), options={"backend": "both"})
    table = placement_table([placed, both])

    assert [(group.words, group.span) for group in table.groups] == [
        ("as-placed: server on node-2", 1),
        ("both: server on node-2 and node-3", 2),
    ]
    assert table.headings == ("own-node", "own-node", "third-node")
