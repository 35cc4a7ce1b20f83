"""What is told of answers: dependence on places, differences between dataplanes, reports."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console
from support.users import manifests, pod, service

from nodeport_lab import observations
from nodeport_lab.check.answers import SPREAD, Answer
from nodeport_lab.check.changes import compare
from nodeport_lab.check.checker import SUITE, Check
from nodeport_lab.check.differences import dependences, difference_finding, differences, failures
from nodeport_lab.check.findings import FAILING, Finding, Kind, Remedy, chosen_kinds
from nodeport_lab.check.plan import Plan
from nodeport_lab.check.questions import Question, all_questions
from nodeport_lab.errors import UnknownNameError
from nodeport_lab.model import Action, Decision, Direction, Run, Verdict
from nodeport_lab.report import changes_of_checks, check_junit, check_page, check_record, check_text
from nodeport_lab.testbeds.embedded.addressing import plan_network
from nodeport_lab.testbeds.interface import ProbeResult

MADE = manifests(
    pod("web", port=8080),
    pod("client"),
    service("web", "{type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}"),
)
NETWORK = plan_network(MADE.scenario)
QUESTIONS = tuple(
    question
    for question in all_questions(MADE.scenario, NETWORK)
    if question.client.name == "client" and question.target.node is not None
)
OWN = next(one for one in QUESTIONS if one.target.node == one.client.node)
(WEB, CLIENT) = MADE.scenario.pods
ALLOWED, DENIED, FAILED = Verdict.ALLOWED, Verdict.TIMEOUT, Verdict.ERROR


def decision(action: Action, destination: str) -> Decision:
    """An egress decision of the client's policy."""
    rule = "egress[0].to[0]" if action is Action.ALLOW else "default-deny"
    source = f"{NETWORK.pods[CLIENT.key]}:40000"
    return Decision(
        Direction.EGRESS, CLIENT.node, "hook", source, destination, "p", rule, action, "shop"
    )


def answer(question: Question, verdict: Verdict, control: Verdict = ALLOWED) -> Answer:
    """An answer: allowed where policy saw the pod, denied where it saw the node."""
    if verdict is ALLOWED:
        told = decision(Action.ALLOW, f"{NETWORK.pods[WEB.key]}:8080")
    else:
        told = decision(Action.DENY, f"{question.target.address}:30080")
    result = ProbeResult(verdict, WEB.key, None, (told,), 1.0, "it broke")
    return Answer(question, SPREAD, WEB, result, control)


def everywhere(verdict: Verdict) -> list[Answer]:
    """The same verdict by every node."""
    return [answer(question, verdict) for question in QUESTIONS]


UNEVEN = [answer(one, ALLOWED if one is OWN else DENIED) for one in QUESTIONS]


def test_an_answer_that_depends_on_the_node_is_told_with_its_dataplanes() -> None:
    """And which dataplanes give one answer everywhere."""
    (found,) = dependences({"uneven": UNEVEN, "even": everywhere(ALLOWED)})

    assert Kind.NODE is found.kind
    assert "shop/client to Service shop/web by node port 30080/TCP" in found.title
    assert any(detail.startswith("uneven: ") for detail in found.details)
    assert "the same everywhere on even" in found.details


@pytest.mark.parametrize("verdict", [ALLOWED, DENIED])
def test_answers_that_are_the_same_everywhere_are_no_finding(verdict: Verdict) -> None:
    """Whatever they are."""
    assert [] == dependences({"even": everywhere(verdict)})


def test_what_has_no_path_says_nothing_of_policy() -> None:
    """Neither does a probe that failed; that one is told apart."""
    broken = [answer(OWN, FAILED), *everywhere(ALLOWED)[1:]]
    pathless = [answer(one, DENIED, control=DENIED) for one in QUESTIONS]

    assert [] == dependences({"a": pathless, "b": everywhere(ALLOWED)})
    assert [] == differences({"a": pathless, "b": everywhere(ALLOWED)})
    (found,) = failures({"a": broken})
    assert (Kind.ERROR, "it broke") == (found.kind, found.reason)


def test_a_difference_between_dataplanes_has_its_reason_from_what_was_seen() -> None:
    """The addresses that the hooks saw, and the rules that matched or did not."""
    (found,) = differences({"cni-a": everywhere(ALLOWED), "cni-b": everywhere(DENIED)})
    told = difference_finding(found, {"cni-a": NETWORK, "cni-b": NETWORK})

    assert "allowed on cni-a, not on cni-b" in told.title
    assert (
        "On cni-b egress policy sees as destination the dialled node, port 30080, which no rule "
        "of NetworkPolicy shop/p allows, while on cni-a it sees as destination the server pod, "
        "port 8080, which egress[0].to[0] of NetworkPolicy shop/p allows." == told.reason
    )
    assert len(QUESTIONS) == told.cells


def test_dataplanes_that_agree_are_no_difference() -> None:
    """A silent drop and a refusal are both no."""
    refused = [answer(one, Verdict.REFUSED) for one in QUESTIONS]

    assert [] == differences({"a": everywhere(DENIED), "b": refused})


def test_kinds_that_fail_are_chosen_by_name() -> None:
    """All but notes unless told otherwise; strict counts those, too."""
    assert frozenset(FAILING) == chosen_kinds(None, strict=False)
    assert frozenset(Kind) == chosen_kinds(None, strict=True)
    assert {Kind.DATAPLANE, Kind.NODE} == chosen_kinds("dataplane, node", strict=False)
    with pytest.raises(UnknownNameError, match="kind of finding"):
        chosen_kinds("everything", strict=False)


def test_changes_of_verdicts_are_compared_whatever_the_nodes() -> None:
    """Questions that only one side has are counted, not compared."""
    old = {"a": everywhere(ALLOWED), "b": everywhere(DENIED)}
    new = {"a": UNEVEN, "b": everywhere(DENIED)[1:]}
    bases = {"a": "emulated", "b": "modelled"}
    found = compare(old, new, bases)

    changed = {(one.situation.dialled, one.dataplanes) for one in found.changes}
    assert all(("a",) == names for _, names in changed)
    assert len(changed) == len({one.situation.dialled for one in UNEVEN}) - 1
    assert [] == list(compare(old, old, bases).changes)
    assert bases == json.loads(json.dumps(changes_of_checks.record(found)))["bases"]
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(changes_of_checks.render(found))
    assert " on a (emulated)\n" in captured.get()


HOSTILE = "</script><script>alert(1)</script>\x1b[31m'\"&<b>"


def check(*findings: Finding) -> Check:
    """A check with the given findings."""
    answers = {"calico-iptables": UNEVEN}
    run = Run("embedded", "calico-iptables", {}, "emulated", {"kernel": "6"}, (), SUITE)
    plan = Plan((QUESTIONS,), len(QUESTIONS), 2)
    return Check(MADE, plan, answers, (run,), findings, 1.0)


REMEDY = Remedy("a rule", ({"kind": HOSTILE},), agrees=True, cells=3)
MANY = check(
    Finding(Kind.DATAPLANE, f"t {HOSTILE}", HOSTILE, (HOSTILE,), (HOSTILE,), 1, REMEDY),
    Finding(Kind.NOTE, "assumed"),
)


class Reader(HTMLParser):
    """Collects elements, and what they ask of the network."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.elements: set[str] = set()
        self.requests: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.add(tag)
        for name, value in attrs:
            if name in {"src", "href", "action", "data"} or "url(" in (value or ""):
                self.requests.append(f"{tag} {name}={value}")


def test_the_page_asks_nothing_of_the_network_and_runs_nothing() -> None:
    """One file, whatever names stand in the manifests; readable in both colour schemes."""
    page = check_page.page(MANY)
    reader = Reader()
    reader.feed(page)

    assert [] == reader.requests
    assert not {"script", "link", "img", "iframe", "b", "object"} & reader.elements
    assert "default-src 'none'" in page
    assert "color-scheme: light dark" in page
    assert "width=device-width" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_junit_report_fails_for_the_chosen_kinds_alone() -> None:
    """Findings of other kinds pass, and every line of the table is a case."""
    failing = ET.fromstring(check_junit.report(MANY, {Kind.DATAPLANE}))  # noqa: S314 - our own
    passing = ET.fromstring(check_junit.report(MANY, set()))  # noqa: S314 - the same

    assert 1 == len(failing.findall(".//failure"))
    assert 0 == len(passing.findall(".//failure"))
    assert "1" == failing.findall("testsuite")[0].get("failures")
    names = [case.get("name", "") for case in failing.findall("testsuite")[-1]]
    assert any("own-node" in name and name.endswith("allowed") for name in names)


def test_the_record_is_read_back_as_observations() -> None:
    """Schema 1, with the findings beside it."""
    document = json.loads(json.dumps(check_record.record(MANY)))

    (run,) = observations.from_json(document)
    assert SUITE == run.suite
    assert ["dataplane", "note"] == [one["kind"] for one in document["check"]["findings"]]
    assert document["check"]["findings"][0]["remedy"]["agrees"]


def test_a_terminal_is_told_what_matters_first() -> None:
    """Then the table, and one line for all of it."""
    shown = repr(check_page.Shown(MANY))

    assert shown.index("Dataplanes differ (1)") < shown.index("Assumed or left out (1)")
    assert "all agree with this added (3 questions asked again): a rule" in shown
    assert "✓✗" in shown
    assert shown.endswith(check_text.closing_line(MANY, timed=False))
    assert shown.splitlines()[-1].startswith("1 finding; ")
