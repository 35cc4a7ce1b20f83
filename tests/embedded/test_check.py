"""Checks of whole folders, with real packets: the examples, gates, and every answer's form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.kubernetes_api import KubernetesApi
from support.users import pod, policy, service

from nodeport_lab import observations
from nodeport_lab.check.checker import Check, Request, check
from nodeport_lab.check.findings import Kind
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.locations import repository_root
from nodeport_lab.manifests import ALL_POLICIES
from nodeport_lab.manifests.users import read_users_files, read_users_text
from nodeport_lab.model import Direction
from nodeport_lab.report import check_record

EXAMPLES = repository_root() / "examples"
TABLES, CILIUM, SOCKETS = "calico-iptables", "cilium", "cilium-kpr"


def command(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    start = [sys.executable, "-c", "from nodeport_lab.cli import main; main()"]
    return subprocess.run(
        [*start, *arguments], input=given, capture_output=True, text=True, check=False
    )


def made(*documents: str, dataplanes: tuple[str, ...] = (TABLES,), remedies: bool = False) -> Check:
    """The check of some documents."""
    reading = read_users_text("\n---\n".join(documents), "mine.yaml")
    return check(Request(reading, dataplanes, remedies=remedies))


@pytest.fixture(scope="module")
def node_decides() -> Check:
    """The example of a NodePort whose node decides, on two dataplanes, with remedies."""
    reading = read_users_files([str(EXAMPLES / "node-decides")])
    return check(Request(reading, (TABLES, SOCKETS)))


def test_the_node_that_is_dialled_decides(node_decides: Check) -> None:
    """Beside kube-proxy the client is masqueraded unless its own node has the server."""
    (found,) = (one for one in node_decides.findings if one.kind is Kind.NODE)

    assert "hello/caller to Service hello/hello by node port 30080/TCP" in found.title
    assert any(detail.startswith(TABLES) for detail in found.details)
    assert f"the same everywhere on {SOCKETS}" in found.details


def test_a_difference_has_its_reason_and_a_remedy_that_packets_confirm(
    node_decides: Check,
) -> None:
    """The reason names what policy saw; with the rule added, both dataplanes agree."""
    found = [one for one in node_decides.findings if one.kind is Kind.DATAPLANE]
    caller = next(one for one in found if one.title.startswith("hello/caller"))

    assert "ingress policy sees as source the dialled node" in caller.reason
    assert "it sees as source the client pod" in caller.reason
    assert caller.remedy is not None
    assert caller.remedy.agrees
    (manifest,) = caller.remedy.manifests
    text = json.dumps(manifest)
    documents = [path.read_text() for path in sorted((EXAMPLES / "node-decides").iterdir())]
    after = made(*documents, text, dataplanes=(TABLES, SOCKETS))
    kinds = [one for one in after.findings if one.title.startswith("hello/caller")]
    assert [] == kinds


def test_every_answer_names_policy_and_namespace(node_decides: Check) -> None:
    """In the foundation's schema, which checks it when it is read back."""
    document = json.loads(json.dumps(check_record.record(node_decides)))
    runs = observations.from_json(document)
    rows = [row for run in runs for row in run.observations]

    assert {ALL_POLICIES} == {row.policy for row in rows}
    assert {"hello"} == {row.server_namespace for row in rows}
    decided = [one for row in rows for one in row.decisions if one.policy]
    assert {("hello", "from-callers")} == {(one.policy_namespace, one.policy) for one in decided}


def test_a_machine_outside_is_seen_as_itself_or_as_a_node() -> None:
    """The example of scraping by node port: allowed by one node and not by another."""
    reading = read_users_files([str(EXAMPLES / "scrape-by-node-port")])
    found = check(Request(reading, (TABLES, "calico-ebpf"), remedies=False)).findings

    (node,) = (one for one in found if one.kind is Kind.NODE)
    assert node.title.startswith("external-routed to Service delivery/controller")
    outside = next(one for one in found if one.kind is Kind.DATAPLANE)
    assert "which no rule of NetworkPolicy delivery/scraping-by-node-port allows" in outside.reason
    assert "it sees as source 203.0.113.10" in outside.reason


def test_host_network_pods_are_never_matched_by_label() -> None:
    """The example of an exporter: what reading finds, packets confirm."""
    reading = read_users_files([str(EXAMPLES / "host-network-exporter")])
    result = check(Request(reading, (TABLES, CILIUM), remedies=False))

    places = [place for one in result.findings for place in one.places]
    assert [place.rpartition(", ")[2] for place in places] == [
        "spec.egress[0].to[0]",
        "spec.egress[1].ports[0]",
    ]
    denied = [
        answer
        for some in result.answers.values()
        for answer in some
        if answer.question.client.name == "collector"
    ]
    assert denied
    assert {"timeout"} == {answer.outcome for answer in denied}


def test_policies_of_one_name_in_two_namespaces_are_told_apart() -> None:
    """All of them are in force together."""
    result = made(
        *(
            document
            for namespace in ("red", "blue")
            for document in (
                pod("web", port=8080, namespace=namespace),
                pod("client", namespace=namespace),
                policy("same", "{podSelector: {matchLabels: {app: web}}}", namespace=namespace),
            )
        )
    )
    decisions = {
        (answer.question.target.server.namespace, one.policy_namespace)
        for answer in result.answers[TABLES]
        for one in answer.result.decisions
        if one.direction is Direction.INGRESS
    }

    assert {("red", "red"), ("blue", "blue")} == decisions


def test_udp_named_ports_and_several_ports_are_asked() -> None:
    """Each port of a Service by each of its routes."""
    result = made(
        pod("dns", port=5353, port_name="dns"),
        pod("client"),
        service(
            "dns",
            "{selector: {app: dns}, ports: [{name: a, port: 53, protocol: UDP, targetPort: 5353}, "
            "{name: b, port: 54, targetPort: dns}]}",
        ),
    )
    asked = {
        (answer.question.target.protocol, answer.question.target.port, answer.outcome)
        for answer in result.answers[TABLES]
        if answer.question.target.service and answer.question.client.name == "client"
    }

    assert {("UDP", 53, "allowed"), ("TCP", 54, "allowed")} == asked


def test_every_kind_of_backend_is_met() -> None:
    """A Service picks at random; answers must not depend on luck."""
    documents = [
        *(pod(f"web-{number}", "app: web", 8080) for number in range(3)),
        pod("client"),
        service("web", "{selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}"),
    ]
    for _ in range(3):
        answers = made(*documents).answers[TABLES]
        by_client: dict[tuple[str, str], set[str]] = {}
        for answer in answers:
            if answer.question.target.service and answer.backend:
                key = (answer.placement, answer.question.client.name)
                by_client.setdefault(key, set()).add(answer.backend.node)
        spread = {name: nodes for (where, name), nodes in by_client.items() if where == "spread"}
        assert all(3 == len(nodes) for nodes in spread.values())
        assert 4 == len(spread)


def test_the_command_gates_and_writes_every_form(tmp_path: Path) -> None:
    """Exit codes 1 and 0 by what is chosen, and three files."""
    files = {kind: tmp_path / f"check.{kind}" for kind in ("json", "junit", "html")}
    options = [word for kind, file in files.items() for word in (f"--{kind}", str(file))]
    example = str(EXAMPLES / "host-network-exporter")

    failed = command("check", "-f", example, "-d", TABLES, *options)
    passed = command("check", "-f", example, "-d", TABLES, "--fail-on", "node,dataplane")

    assert 1 == failed.returncode, failed.stderr
    assert 0 == passed.returncode, passed.stderr
    assert "spec.egress[0].to[0]" in failed.stdout
    assert all("emulated" in file.read_text() for file in files.values())
    assert f"1 {TABLES} (emulated)" in failed.stdout
    assert "nothing to report" not in failed.stdout


def test_what_is_deployed_is_asked_on_other_dataplanes(tmp_path: Path) -> None:
    """Over the API of an imitated cluster, with Secrets in it that nobody looks at."""
    documents = [
        pod("web", port=8080),
        pod("client"),
        policy("closed", "{podSelector: {matchLabels: {app: web}}}"),
    ]
    with KubernetesApi().serving() as api:
        api.resources["v1"]["secrets"] = ("Secret", True)
        for document, resource in zip(documents, ("pods", "pods", "networkpolicies"), strict=True):
            body = yaml.safe_load(document)
            api.objects[resource, "shop", body["metadata"]["name"]] = body
        options = ("--context", "dev", "--kubeconfig", str(api.kubeconfig(tmp_path)))

        ended = command("check", *options, "-d", CILIUM, "--json", "-")

    assert 0 == ended.returncode, ended.stderr
    runs = observations.from_json(json.loads(ended.stdout))
    assert {("client", "web", "timeout")} == {
        (row.client, row.server, str(row.verdict)) for run in runs for row in run.observations
    }
    assert {"GET"} == {method for method, _ in api.requests}
    assert not api.asked("GET", "secrets")


def test_standard_input_and_strict() -> None:
    """What was assumed counts only when strict."""
    given = "\n---\n".join([pod("web", port=8080), pod("client")])
    loose = command("check", "-f", "-", "-d", TABLES, given=given)
    strict = command("check", "-f", "-", "-d", TABLES, "--strict", given=given)

    assert (0, 1) == (loose.returncode, strict.returncode), loose.stderr + strict.stderr
    assert "no manifest describes the namespace shop" in loose.stdout
    assert "nothing to report" in loose.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "-f", "missing.yaml"), "missing.yaml"),
        (("check", "-f", "-", "-d", "flannel"), "there is no dataplane 'flannel'"),
        (("check", "-f", "-", "-o", "mtu=9000"), "there is no option"),
        (("check", "-f", "-", "--fail-on", "all"), "there is no kind of finding"),
        (("check", "-f", "-", "--subnet", "pods"), "--subnet 'pods' has no value"),
        (("check", "-f", "-", "--json", "-", "--html", "-"), "cannot both go to standard output"),
        (("check", "-f", "-"), "nothing in standard input is of a kind"),
        (("check",), "give manifests with -f, or a cluster with --context"),
        (("check", "-f", "-", "--context", "dev"), "-f and --context exclude each other"),
        (("check", "-f", "-", "--namespace", "shop"), "--namespace is about a cluster"),
        (("check", "--context", "dev", "--kubeconfig", "/nowhere"), "/nowhere is no kubeconfig"),
        (("check", "-f", "-", "--json", "/"), "--json: / cannot be written"),
        (("check", "-f", "-", "--html", "a" * 300), "cannot be written (File name too long)"),
        (("check", "-f", "-", "--html", "/nowhere/a"), "--html: there is no folder /nowhere"),
        (("check", "-f", "-", "--junit", "/proc/a"), "--junit: /proc/a cannot be written"),
        (("diff", "-", "-"), "only one of OLD and NEW"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...], words: str
) -> None:
    """Before anything is created."""
    ended = command(*arguments)

    assert (2, "") == (ended.returncode, ended.stdout)
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_pull_request_is_told_what_it_changes() -> None:
    """One verdict of the example, and none where nothing changes."""
    before, after = (str(EXAMPLES / "pull-request" / name) for name in ("before", "after"))
    changed = command("diff", before, after, "-d", TABLES)
    same = command("diff", before, before, "-d", TABLES)

    assert (1, 0) == (changed.returncode, same.returncode), changed.stderr + same.stderr
    assert "shop/batch to pods of shop/db on 5432/TCP" in changed.stdout
    assert f"timeout → allowed on {TABLES} (emulated)" in changed.stdout


def test_policies_that_survive_answer_the_same_everywhere() -> None:
    """Nothing depends on a node or a dataplane, and what should be denied is."""
    result = check(Request(read_users_files([str(EXAMPLES / "survives")])))

    assert set(DATAPLANES) == set(result.dataplanes)
    assert () == result.findings
    for answers in result.answers.values():
        assert {"allowed", "timeout"} == {answer.outcome for answer in answers}


@pytest.mark.parametrize("pods", [[pod("web", port=8080)], [pod("web"), pod("client")]])
def test_manifests_that_leave_nothing_to_ask_are_refused(pods: list[str]) -> None:
    """A pod alone calls nobody, and pods without a port or a Service are not called."""
    with pytest.raises(LabError, match="nothing to ask: no pod declares a port"):
        made(*pods)


def test_manifests_without_pods_are_refused() -> None:
    """There is nobody to ask."""
    with pytest.raises(LabError, match="make no pod"):
        made(policy("p", "{podSelector: {}}"))
    with pytest.raises(UnknownNameError, match="option of calico-iptables"):
        check(Request(read_users_text(pod("web"), "x"), (TABLES,), {"ciliumVersion": "1.20"}))
