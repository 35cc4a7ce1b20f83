"""What notebooks call, apart from what is sent: which questions are asked, what prose takes."""

from collections.abc import Sequence
from typing import Any

import pytest

from nodeport_lab import experiment, notebook
from nodeport_lab.book.values import answer_values, seen_names, shared_values
from nodeport_lab.errors import NotebookError, UnknownNameError
from nodeport_lab.experiment import Question
from nodeport_lab.model import Run
from nodeport_lab.report.atlas import Kind, Part, Way

NEAR, FAR = Kind("pod", "on the server's node"), Kind("pod", "on another node")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    """The questions that a call asks; nothing is sent."""
    questions: list[Question] = []

    def run_all(given: Sequence[Question], **_: Any) -> list[Run]:  # noqa: ANN401  # whatever is passed on
        questions.extend(given)
        return [Run("embedded", one.dataplane, dict(one.options), "", {}) for one in given]

    monkeypatch.setattr(experiment, "run_all", run_all)
    return questions


def test_a_run_asks_the_suite_and_policies_that_it_is_given(asked: list[Question]) -> None:
    """Without them it is the report's, all of it."""
    notebook.run("cilium", {"policyCIDRMatchMode": "nodes"})
    notebook.run("cilium", suite="ingress", policies=["no-policy"])

    assert [(one.suite, one.policies, one.options) for one in asked] == [
        ("report", None, {"policyCIDRMatchMode": "nodes"}),
        ("ingress", ["no-policy"], {}),
    ]


def test_a_suite_is_run_without_what_it_leaves_out(asked: list[Question]) -> None:
    """What not every kernel can do has no place in a committed run."""
    everything = [one.options for one in experiment.questions_of("options", ["calico-iptables"])]

    notebook.run_suite("options", ["calico-iptables"], without=["encapsulation=IPIP"])

    assert {"encapsulation": "IPIP"} in everything
    assert [one.options for one in asked] == [
        one for one in everything if one != {"encapsulation": "IPIP"}
    ]


def test_each_set_is_asked_under_policies_of_its_own(asked: list[Question]) -> None:
    """All of them at once."""
    notebook.run_each(
        [
            {
                "suite": "ports",
                "policies": ["egress-port-node"],
                "configurations": [["cilium", {}]],
            },
            {
                "suite": "report",
                "policies": ["both"],
                "configurations": [["cilium", {"ciliumVersion": 1.20}], ["calico-ebpf", {}]],
            },
        ]
    )

    assert [(one.suite, one.dataplane, one.policies) for one in asked] == [
        ("ports", "cilium", ["egress-port-node"]),
        ("report", "cilium", ["both"]),
        ("report", "calico-ebpf", ["both"]),
    ]


def test_a_set_of_another_form_is_refused(asked: list[Question]) -> None:
    """It says what a set needs, before anything is sent."""
    with pytest.raises(NotebookError, match="needs a suite, policies and configurations"):
        notebook.run_each([{"suite": "ports", "configurations": [["cilium", {}]]}])

    assert asked == []


def test_an_unknown_suite_is_answered_with_the_known_ones(asked: list[Question]) -> None:
    """Before anything is sent."""
    with pytest.raises(UnknownNameError, match="no suite 'mars'; choose one of: report"):
        notebook.run("cilium", suite="mars")

    assert asked == []


def part(dataplane: str = "plane", *, far: str = "timeout") -> Part:
    """Two kinds of pods, two ways, one policy besides the control."""
    return Part(
        suite="egress",
        dataplane=dataplane,
        options="",
        basis="emulated",
        connections=4,
        answers={
            ("fence", Way(NEAR, "own-node")): ("allowed",),
            ("fence", Way(NEAR, "third-node")): ("allowed",),
            ("fence", Way(FAR, "own-node")): ("allowed",),
            ("fence", Way(FAR, "third-node")): (far,),
        },
        seen={Way(NEAR, "own-node"): ("server pod",), Way(FAR, "own-node"): ("dialled node",)},
    )


def test_prose_takes_answers_of_clients_wherever_they_are_or_in_one_place() -> None:
    """What differs between places is joined, unless one place is named."""
    assert answer_values(part(), "pod", ["fence"]) == {
        "fence/pod/own-node": "allowed",
        "fence/pod/third-node": "allowed or timeout",
        "nodes/pod": "1 of 1",
    }
    assert answer_values(part(), "pod on the server's node", ["fence"]) == {
        "fence/pod on the server's node/own-node": "allowed",
        "fence/pod on the server's node/third-node": "allowed",
        "nodes/pod on the server's node": "none of 1",
    }


def test_prose_takes_what_policy_saw() -> None:
    """In words, as the atlas shows it."""
    assert seen_names(part(), "pod") == {"seen/pod/own-node": "dialled node or server pod"}


def test_prose_takes_one_answer_for_all_dataplanes() -> None:
    """Only if it is one; else it says both."""
    same, other = part("one", far="allowed"), part("two", far="allowed")

    assert shared_values([same, other], "pod", [])["fence"] == "allowed"
    assert shared_values([same, part("two")], "pod", ["fence"])["fence"] == "allowed or timeout"
    assert shared_values([same], "pod", ["fence"])["one/fence/pod/own-node"] == "allowed"
