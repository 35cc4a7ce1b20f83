"""Tables, figures and sentences show what the runs hold. All runs here are made up."""

import io
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import matplotlib as mpl
import pytest
from rich.console import Console

from nodeport_lab.claims import Argument, Claim, Expectation, Report, Status, statuses
from nodeport_lab.documented import DocumentedOutcome, Foundation, Label, Source
from nodeport_lab.errors import LabError
from nodeport_lab.model import Direction, Observation, Protocol, Relation, Run, Verdict
from nodeport_lab.report import claim_tables, tables, terminal
from nodeport_lab.report.dependence import node_dependence
from nodeport_lab.report.figure import describe, heat_map
from nodeport_lab.report.grid import grid, outcomes, summary
from nodeport_lab.report.table import Cell, Group, Note, Table
from nodeport_lab.report.words import listed, provenance, title

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
    seen_destination="172.18.0.3:30000",
    hook="forward",
)
ANN: dict[str, Any] = {"client": "ann", "client_node": "node-1"}
BOB: dict[str, Any] = {"client": "bob", "client_node": "node-2"}
OWN_1: dict[str, Any] = {"relation": Relation.OWN_NODE, "dialled_node": "node-1"}
OWN_2: dict[str, Any] = {"relation": Relation.OWN_NODE, "dialled_node": "node-2"}
OTHER_2: dict[str, Any] = {"relation": Relation.OTHER_NODE, "dialled_node": "node-2"}
THIRD_1: dict[str, Any] = {"relation": Relation.THIRD_NODE, "dialled_node": "node-1"}
THIRD_3: dict[str, Any] = {"relation": Relation.THIRD_NODE, "dialled_node": "node-3"}
POD: dict[str, Any] = {"relation": None, "dialled_node": None, "route": "pod-ip", "port": 8080}

# In an order in which no table shows them.
WAYS = [
    *({**ANN, **way} for way in (POD, THIRD_3, OTHER_2, OWN_1)),
    *({**BOB, **way} for way in (POD, OWN_2, THIRD_1, THIRD_3)),
]


def made_up(*, blocked: tuple[Relation | None, ...] = (), **changes: Any) -> Run:  # noqa: ANN401  # fields of a run
    """A run with a control and one policy, which blocks the given relations."""
    cells = [
        replace(
            BASE,
            **way,
            policy=policy,
            verdict=Verdict.TIMEOUT
            if policy == "fence" and way["relation"] in blocked
            else Verdict.ALLOWED,
        )
        for policy in ("no-policy", "fence")
        for way in WAYS
    ]
    run = Run("embedded", "plane", {"mode": "a"}, "modelled", {}, tuple(cells))
    return replace(run, **changes)


def with_cell(run: Run, position: int, **changes: Any) -> Run:  # noqa: ANN401  # fields of a cell
    """The run with one cell changed."""
    cells = list(run.observations)
    cells[position] = replace(cells[position], **changes)
    return replace(run, observations=tuple(cells))


def printed(renderable: Any, width: int = 80) -> str:  # noqa: ANN401  # anything Rich can show
    """What a terminal without colours shows."""
    console = Console(file=io.StringIO(), width=width, color_system=None, force_jupyter=False)
    console.print(renderable)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO
    return text


# --- arrangement --------------------------------------------------------------------------


def test_columns_go_from_near_to_far_for_each_client() -> None:
    """Own node, other node, third nodes, then the routes without a node."""
    columns = [(column.client, column.target, column.node) for column in grid(made_up()).columns]

    assert columns == [
        ("ann", "own-node", "node-1"),
        ("ann", "other-node", "node-2"),
        ("ann", "third-node", "node-3"),
        ("ann", "pod-ip", None),
        ("bob", "own-node", "node-2"),
        ("bob", "third-node", "node-1"),
        ("bob", "third-node", "node-3"),
        ("bob", "pod-ip", None),
    ]


def test_rows_keep_the_order_of_the_run() -> None:
    """The control stands where the run has it: first."""
    assert grid(made_up()).policies == ("no-policy", "fence")


def test_the_grid_holds_every_observation() -> None:
    """Nothing is lost and nothing is put in twice."""
    run = made_up()

    assert sorted(map(repr, grid(run).cells.values())) == sorted(map(repr, run.observations))


def test_columns_that_look_alike_say_what_sets_them_apart() -> None:
    """The same client and target over two protocols are two columns with their own headings."""
    tcp = replace(BASE, **ANN, **POD)
    udp = replace(tcp, protocol=Protocol.UDP)
    run = made_up(observations=(tcp, udp))

    assert [column.extra for column in grid(run).columns] == ["TCP 8080", "UDP 8080"]
    assert [column.extra for column in grid(made_up()).columns] == [""] * 8


def test_two_observations_of_one_cell_are_refused() -> None:
    """A table would have to hide one of them."""
    with pytest.raises(LabError, match="two observations of ann to own-node under no-policy"):
        grid(made_up(observations=(BASE, replace(BASE, verdict=Verdict.TIMEOUT))))


def test_a_pod_behind_two_services_is_one_column() -> None:
    """Its address was asked for once for each Service; equal answers are one cell."""
    pod = replace(BASE, **ANN, **POD, service=None)

    assert len(grid(made_up(observations=(pod, pod))).columns) == 1


def test_services_and_pods_with_one_heading_are_told_apart() -> None:
    """Two ClusterIPs, or two pods of one server, are columns of their own."""
    cluster_ip = replace(BASE, **ANN, **{**POD, "route": "cluster-ip"})
    pod = replace(BASE, **ANN, **POD)
    cells = (
        cluster_ip,
        replace(cluster_ip, service="callee-too"),
        pod,
        replace(pod, backend_node="node-1"),
    )

    assert [column.extra for column in grid(made_up(observations=cells)).columns] == [
        "by callee",
        "by callee-too",
        "at node-2",
        "at node-1",
    ]


def test_a_summary_shows_every_answer_that_the_clients_got() -> None:
    """Clients that agree are one; clients that do not are both shown."""
    run = with_cell(made_up(), 8, verdict=Verdict.TIMEOUT)  # ann, pod-ip, fence

    assert summary(run).outcomes("fence", "pod-ip") == ("allowed", "timeout")
    assert summary(run).outcomes("fence", "own-node") == ("allowed",)
    assert summary(run).outcomes("fence", "cluster-ip") == ()
    assert outcomes([run]) == ("allowed", "timeout")


@pytest.mark.parametrize(
    ("run", "dependent"),
    [
        (made_up(), ()),
        (made_up(blocked=(Relation.OWN_NODE,)), ("fence",)),
        (made_up(blocked=tuple(Relation)), ()),
        (made_up(blocked=(None,)), ()),
    ],
)
def test_a_policy_depends_on_the_node_if_one_client_gets_two_answers(
    run: Run, dependent: tuple[str, ...]
) -> None:
    """Other routes do not count, nor does the control."""
    assert node_dependence(run).policies == ("fence",)
    assert node_dependence(run).dependent == dependent


def test_cells_that_say_nothing_about_policy_make_no_dependence() -> None:
    """A missing path or a failed probe is not another answer."""
    run = with_cell(made_up(), 10, verdict=Verdict.ERROR)
    run = with_cell(run, 11, verdict=Verdict.TIMEOUT, control=Verdict.TIMEOUT)

    assert node_dependence(run).dependent == ()


def test_one_node_alone_is_no_comparison() -> None:
    """Who dials a single node cannot know whether the node matters."""
    run = made_up(observations=(replace(BASE, policy="fence"),))

    assert node_dependence(run).policies == ()


# --- tables -------------------------------------------------------------------------------


def test_the_verdict_table_as_text() -> None:
    """Words and symbols, nodes by name, one part per client."""
    text = repr(tables.verdict_table(made_up(blocked=(Relation.OWN_NODE,))))

    assert text.splitlines() == [
        "Verdicts on plane (mode=a)",
        "",
        "ann on node-1",
        "",
        "             own-node    other-node   third-node",
        " policy      node-1      node-2       node-3       pod-ip",
        " ───────────────────────────────────────────────────────────",
        " no-policy   ✓ allowed   ✓ allowed    ✓ allowed    ✓ allowed",
        " fence       ✗ timeout   ✓ allowed    ✓ allowed    ✓ allowed",
        "",
        "bob on node-2",
        "",
        "             own-node    third-node   third-node",
        " policy      node-2      node-1       node-3       pod-ip",
        " ───────────────────────────────────────────────────────────",
        " no-policy   ✓ allowed   ✓ allowed    ✓ allowed    ✓ allowed",
        " fence       ✗ timeout   ✓ allowed    ✓ allowed    ✓ allowed",
    ]


def test_every_outcome_has_its_own_symbol_and_word() -> None:
    """What failed and what has no path cannot be taken for a denial."""
    run = made_up()
    for position, verdict in enumerate(Verdict):
        run = with_cell(run, position, verdict=verdict)
    run = with_cell(run, 7, control=Verdict.TIMEOUT)
    text = repr(tables.verdict_table(run))

    for words in ("✓ allowed", "✗ timeout", "⊘ refused", "– no path", "! error"):  # noqa: RUF001
        assert words in text


def test_the_verdict_table_is_the_same_on_every_testbed() -> None:
    """Addresses, times, versions and the basis differ between testbeds and stay out."""
    run = made_up()
    elsewhere = replace(run, testbed="kind", basis="live", versions={"kernel": "9"})
    elsewhere = with_cell(elsewhere, 0, seen_destination="10.9.9.9:1", elapsed_ms=77.0, hook="?")
    here, there = tables.verdict_table(run), tables.verdict_table(elsewhere)

    assert repr(here) == repr(there)
    assert here._repr_html_() == there._repr_html_()


def test_the_verdict_table_can_say_that_it_is_modelled() -> None:
    """Where the table stands alone, it says what kind of evidence it is."""
    table = tables.verdict_table(made_up(), with_provenance=True)

    assert provenance(made_up()) in repr(table)
    assert "Modelled on the embedded testbed" in table._repr_html_()


@pytest.mark.parametrize(
    ("basis", "words"),
    [("emulated", "Emulated"), ("modelled", "Not observed live"), ("live", "Observed on the")],
)
def test_provenance_tells_the_kinds_of_evidence_apart(basis: str, words: str) -> None:
    """Only a live run is said to be one."""
    assert words in provenance(made_up(basis=basis))


def test_policies_under_which_the_same_was_seen_share_a_row() -> None:
    """The evidence is short where policy has no part in it, and complete where it differs."""
    same = made_up()
    other = with_cell(same, 8, seen_destination=None)

    assert [heading for heading, _ in tables.seen_table(same).rows] == ["every policy"]
    assert [heading for heading, _ in tables.seen_table(other).rows] == ["no-policy", "fence"]
    assert "172.18.0.3:30000" in repr(tables.seen_table(same))
    assert "not evaluated" in repr(tables.seen_table(other))


def stated(**changes: Any) -> DocumentedOutcome:  # noqa: ANN401  # fields of an outcome
    """That the fence lets pods be reached at their own address."""
    foundation = Foundation(
        (Label.DOC,), (Source("s", "a <page>", "https://example.org/?a=1&b=2"),), "1.x", "So."
    )
    outcome = DocumentedOutcome(
        "plane", {}, Direction.EGRESS, "fence", "pod-ip", Verdict.ALLOWED, foundation
    )
    return replace(outcome, **changes)


def cell_of(table: Table, row: str, column: str) -> Cell:
    """The cell in a row and column."""
    return dict(table.rows)[row][table.headings.index(column)]


def test_observed_and_documented_stand_in_one_cell() -> None:
    """Agreement, disagreement and silence are told apart, and lead to the source."""
    table = tables.documented_table(
        made_up(), [stated(), stated(target="own-node", outcome=Verdict.TIMEOUT)]
    )

    assert cell_of(table, "fence", "pod-ip") == Cell("✓ allowed", "documented [1]", "agrees")
    assert cell_of(table, "fence", "own-node") == Cell(
        "✓ allowed", "differs: documented timeout [1]", "differs"
    )
    assert cell_of(table, "fence", "third-node") == Cell("✓ allowed", "undocumented", "untested")
    assert table.notes == (
        Note("[1] documentation; 1.x. So.", (("a <page>", "https://example.org/?a=1&b=2"),)),
    )


def test_groups_of_clients_stand_apart_beside_what_is_documented() -> None:
    """What is documented for some clients is compared with those clients alone."""
    table = tables.documented_table(
        made_up(), [stated(clients=("ann",))], {"ann": "first", "bob": "second"}
    )

    assert [(group.words, group.span) for group in table.groups] == [("first", 4), ("second", 3)]
    fence = dict(table.rows)["fence"]
    assert [cell.detail for cell in fence] == [*["undocumented"] * 3, "documented [1]"] + [
        "undocumented"
    ] * 3


def test_a_cell_says_how_much_of_it_is_undocumented() -> None:
    """What is stated of one client is not claimed of the other."""
    table = tables.documented_table(made_up(), [stated(clients=("ann",))])

    assert cell_of(table, "fence", "pod-ip") == Cell(
        "✓ allowed", "documented [1], 1 of 2 undocumented", "agrees"
    )


def test_what_is_assumed_is_printed_as_assumed() -> None:
    """An unsure statement is never called documented."""
    unsure = replace(stated().foundation, labels=(Label.UNSURE,))
    table = tables.documented_table(made_up(), [stated(foundation=unsure)])

    assert cell_of(table, "fence", "pod-ip").detail == "assumed [1]"
    assert table.notes[0].words.startswith("[1] assumed;")


def test_clients_that_differ_are_named_beside_what_is_documented() -> None:
    """One client that differs is enough for the cell to differ."""
    run = with_cell(made_up(), 8, verdict=Verdict.TIMEOUT)  # ann, pod-ip, fence

    found = cell_of(tables.documented_table(run, [stated()]), "fence", "pod-ip")

    assert found.kind == "differs"
    assert found.words == "✗ timeout (ann)\n✓ allowed (bob)"


def test_the_claims_table_shows_status_basis_and_configurations() -> None:
    """Each claim with all that its status rests on."""
    expectation = Expectation(
        Direction.EGRESS, policies=("fence",), targets=("pod-ip",), outcome=Verdict.ALLOWED
    )
    claims = [
        Claim("X1", "So it is.", "e", (expectation,), note="Look here."),
        Claim("P1", "So be it.", "e", argument=Argument(Status.REFINED, "Because.", {})),
        Claim("R1", "So do it.", "e", needs="A test."),
    ]
    runs = [made_up(), made_up(blocked=(None,), options={}, testbed="kind", basis="live")]
    rows = dict(claim_tables.claims_table(statuses(claims, runs)).rows)

    assert rows["X1"] == (
        Cell("So it is.", "Look here."),
        Cell("◐ refined", "modelled, live", "refined"),
        Cell(
            "plane (mode=a): confirmed (2 of 2 as claimed)\n"
            "plane on kind: refuted (0 of 2 as claimed)"
        ),
    )
    assert rows["P1"] == (
        Cell("So be it.", "Because."),
        Cell("◐ refined", "argued", "refined"),
        Cell(""),
    )
    assert rows["R1"] == (
        Cell("So do it.", "Needs: A test."),
        Cell("? untested", "", "untested"),
        Cell(""),
    )


def test_the_ledger_names_who_says_it_and_links_to_the_runs() -> None:
    """The report where no source is named; the runs seen from the page."""
    source = Source("s", "a page", "https://example.org/2")
    claims = [
        Claim("X1", "So it is.", "A walk", runs=("one", "two")),
        Claim("G1", "So they say.", "A try", needs="A test.", sources=(source,)),
    ]
    told = Report("t", "e", "a", "2025-01-31", "somewhere#1", "https://example.org/1")

    rows = dict(claim_tables.ledger_table(statuses(claims, []), told, "../runs").rows)

    said, *_, shown = rows["X1"]
    assert said.links == (("the report, after somewhere#1", "https://example.org/1"),)
    assert shown == Cell("A walk", links=(("one", "../runs/one.html"), ("two", "../runs/two.html")))
    said, status, _ = rows["G1"]
    assert said == Cell("So they say.", "Needs: A test.", links=((source.name, source.url),))
    assert status.words == "? untested"


def test_many_configurations_share_a_line_where_they_agree() -> None:
    """It names what sets them apart, and how many of the dataplane's they are."""
    expectation = Expectation(
        Direction.EGRESS, policies=("fence",), targets=("pod-ip",), outcome=Verdict.ALLOWED
    )
    runs = [
        made_up(blocked=(None,) if old else (), options={"age": age, "size": size})
        for age, old in (("new", False), ("old", True))
        for size in ("big", "small")
    ]
    (found,) = statuses([Claim("X1", "So it is.", "e", (expectation,))], runs)

    assert claim_tables.configurations(found.runs) == (
        "plane (age=new), 2 of 4 configurations: confirmed (4 of 4 as claimed)",
        "plane (age=old), 2 of 4 configurations: refuted (0 of 4 as claimed)",
    )
    assert claim_tables.configurations(found.runs[:2]) == (
        "plane (age=new, size=big): confirmed (2 of 2 as claimed)",
        "plane (age=new, size=small): confirmed (2 of 2 as claimed)",
    )


TRICKY = Table(
    caption="<b>caption</b>",
    corner="<corner>",
    headings=("a&b\nsecond", 'q"'),
    rows=(
        (
            "<row>",
            (
                Cell("<script>", "x\ny", "no path"),
                Cell("fine", links=(("<link>", 'https://example.org/?"><script>'), ("b", "c"))),
            ),
        ),
    ),
    groups=(Group("<group>", 2),),
    notes=(Note("<note>", (("<name>", 'https://example.org/?"><script>'),)),),
)


class _Tags(HTMLParser):
    """Collects tags, and checks that they close in order."""

    void = frozenset({"br"})

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.all: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.all.append(tag)
        if tag not in self.void:
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag


def test_html_escapes_whatever_stands_in_a_table() -> None:
    """No name in a manifest can become markup of a page."""
    html = TRICKY._repr_html_()

    assert "<script>" not in html
    for words in ("<b>caption", "<corner>", "<row>", "<group>", "<note>", "<name>", "<link>"):
        assert words not in html
    assert "a&amp;b<br>second" in html


@pytest.mark.parametrize(
    "table", [TRICKY, replace(TRICKY, groups=(), notes=()), tables.verdict_table(made_up())]
)
def test_html_is_balanced_and_has_header_cells(table: Table) -> None:
    """Every tag closes, and every row and column has a heading that a screen reader finds."""
    tags = _Tags()
    tags.feed(table._repr_html_())

    assert tags.opened == []
    assert tags.all.count("th") == len(table.headings) + len(table.parts()) * (1 + len(table.rows))
    assert tags.all.count("td") == len(table.headings) * len(table.rows)
    assert tags.all.count("caption") == len(table.groups)


def test_links_stand_below_the_words_of_a_cell() -> None:
    """On a line of their own, each with its name; plain text has the names."""
    table = replace(TRICKY, rows=(("row", (Cell("words", links=(("a", "/a"), ("b", "/b"))),)),))

    assert 'words<br><a href="/a">a</a> · <a href="/b">b</a></td>' in table._repr_html_()
    below = [line.strip() for line in repr(table).splitlines() if len(line.strip()) == 1]
    assert below == ["a", "b"]


def test_kinds_become_class_names() -> None:
    """An outcome of two words is one class."""
    assert 'class="no-path short"' in TRICKY._repr_html_()


def test_text_does_not_depend_on_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same table on a narrow terminal, with colours forced, is the same text."""
    before = repr(TRICKY)
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert before == repr(TRICKY)


# --- figure -------------------------------------------------------------------------------


def test_the_same_data_gives_the_same_bytes() -> None:
    """A committed figure changes when, and only when, the data does."""
    one, same = heat_map([made_up()]), heat_map([made_up()])
    other = heat_map([made_up(blocked=(None,))])

    assert one.png() == same.png()
    assert one.svg() == same.svg()
    assert one.png() != other.png()
    assert one.svg() != other.svg()


def test_a_figure_does_not_depend_on_the_users_settings() -> None:
    """Somebody's dark style changes no committed figure, and the figure changes no settings."""
    before = heat_map([made_up()]).png()
    with mpl.rc_context({"figure.facecolor": "black", "font.size": 20, "savefig.dpi": 50}):
        assert before == heat_map([made_up()]).png()
        assert mpl.rcParams["font.size"] == 20


def test_a_figure_is_svg_without_a_date() -> None:
    """The SVG carries no time of its making."""
    svg = heat_map([made_up()]).svg().decode()

    assert svg.startswith("<?xml")
    assert "dc:date" not in svg


def texts(run: Run) -> list[str]:
    """All symbols that a heat map of the run draws into its cells."""
    (axes,) = heat_map([run]).figure.axes
    return [text.get_text() for text in axes.texts]


def test_every_cell_of_a_heat_map_has_its_symbol() -> None:
    """The colours are never needed."""
    assert texts(made_up(blocked=(Relation.OTHER_NODE,))) == ["✓"] * 5 + ["✗"] + ["✓"] * 2


def test_a_cell_in_which_clients_disagree_shows_both_symbols() -> None:
    """No answer is hidden."""
    run = with_cell(made_up(), 8, verdict=Verdict.TIMEOUT)  # ann, pod-ip, fence

    assert texts(run)[-2:] == ["✓", "✗"]


def test_runs_stand_side_by_side_and_say_what_they_are() -> None:
    """Each part is headed by its dataplane, options and basis."""
    runs = [made_up(), made_up(options={}, basis="live", dataplane="train")]
    titles = [axes.get_title(loc="left") for axes in heat_map(runs).figure.axes]

    assert titles == ["plane\nmode=a\nmodelled, not live", "train\nlive"]


def test_a_heat_map_is_described_in_words() -> None:
    """The text alternative has the numbers, the sentence that matters, and no markup."""
    runs = [made_up(blocked=(Relation.OWN_NODE,)), made_up(options={})]

    assert describe(runs) == repr(heat_map(runs))
    assert describe(runs) == (
        "Heat map of 2 policies by 4 ways to reach the server; allowed connections: "
        "14 of 16 on plane (mode=a) and 16 of 16 on plane. Which node's NodePort is dialled "
        "changes the answer under 1 of 1 policy on plane (mode=a) and under none of 1 on plane."
    )


def test_a_heat_map_of_nothing_is_drawn() -> None:
    """A run without observations is an empty picture, not an error."""
    assert heat_map([made_up(observations=())]).png().startswith(b"\x89PNG")


# --- terminal -----------------------------------------------------------------------------


def test_one_run_is_printed_in_words() -> None:
    """Both clients share a column; the order is the table's."""
    text = printed(terminal.report([made_up(blocked=(Relation.OWN_NODE,))]))

    assert "plane (mode=a), modelled, not live" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["policy", "own-node", "other-node", "third-node", "pod-ip"] in rows
    assert ["fence", "✗", "timeout", *["✓", "allowed"] * 3] in rows


def test_several_runs_are_printed_side_by_side() -> None:
    """A policy is one line, with the symbols of every run, explained below."""
    runs = [made_up(blocked=(Relation.OWN_NODE,)), made_up(options={}, basis="live")]
    text = printed(terminal.report(runs))

    assert ["fence", *"✗✓✓✓", *"✓✓✓✓"] in [line.split() for line in text.splitlines()]
    assert "✓ allowed   ✗ timeout" in text
    assert "modelled, not live" in text
    assert max(map(len, map(str.rstrip, text.splitlines()))) <= 80


def test_runs_that_do_not_fit_follow_each_other() -> None:
    """On a narrow terminal no line is broken."""
    runs = [made_up(), made_up(options={}), made_up(dataplane="train")]
    text = printed(terminal.report(runs, width=60), width=60)

    assert sum(line.startswith("fence") for line in text.splitlines()) == 2
    assert max(map(len, map(str.rstrip, text.splitlines()))) <= 60


@pytest.mark.parametrize("others", [[], [made_up(options={})]])
def test_clients_that_disagree_are_named(others: list[Run]) -> None:
    """One column for all clients must not hide that they got different answers."""
    run = with_cell(made_up(), 11, verdict=Verdict.TIMEOUT)  # ann, own node, fence
    text = printed(terminal.report([run, *others]), width=200)

    assert (
        "plane (mode=a), fence, own-node: ann to node-1 ✗ timeout, bob to node-2 ✓ allowed" in text
    )


def test_no_runs_print_nothing_but_fail_neither() -> None:
    """There may be nothing to show."""
    assert printed(terminal.report([])).strip() == ""


def test_the_closing_line_counts_what_depends_on_the_node() -> None:
    """The numbers come from the runs, and the reader learns how to see more."""
    runs = [made_up(blocked=(Relation.OWN_NODE,)), made_up(options={})]

    assert terminal.closing_line(runs) == (
        "Which node's NodePort is dialled changes the answer under 1 of 1 policy on "
        "plane (mode=a) and under none of 1 on plane. "
        "What policy saw, packet by packet: nodeport-lab run --json -"
    )


def test_the_closing_line_claims_nothing_without_a_comparison() -> None:
    """No second node, no sentence about nodes."""
    line = terminal.closing_line([made_up(observations=())])

    assert line.startswith("No NodePort was dialled on more than one node")


# --- words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "expected"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), ("abc", "a, b and c")]
)
def test_lists_read_like_lists(parts: list[str], expected: str) -> None:
    """Commas, and one `and`."""
    assert expected == listed(parts)


def test_a_run_is_called_by_its_dataplane_and_options() -> None:
    """Without options there are no empty parentheses."""
    assert title(made_up()) == "plane (mode=a)"
    assert title(made_up(options={})) == "plane"
