"""`nodeport-lab run -t live` from its arguments to the record, over real HTTP and websockets.

Imitated are the cluster's parts behind its API (see `support.served_cluster`). Nothing of the
lab is replaced; only the pauses between two looks are shorter.
"""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.served_cluster import ServedCluster

from nodeport_lab import cli, records
from nodeport_lab.model import Run, Verdict
from nodeport_lab.testbeds.cluster import ownership
from nodeport_lab.testbeds.cluster.ownership import RUN_LABEL, Ownership
from nodeport_lab.testbeds.cluster.venue import Choices

SHORT = ("--policy", "no-policy", "--policy", "ipblock-nodes", "--policy", "podselector-server")


@dataclass
class Bench:
    """A served cluster, a kubeconfig for it, and the command.

    Attributes:
        cluster: the cluster.
        folder: the kubeconfig is there, and records go there.
        said: standard output and standard error of the last command.
    """

    cluster: ServedCluster
    folder: Path
    call: Callable[..., int]
    said: tuple[str, str] = ("", "")

    def run(self, *arguments: str) -> int:
        """Run `nodeport-lab run -t live`; returns the exit code."""
        return self.call(*self.arguments(*arguments))

    def arguments(self, *more: str) -> list[str]:
        """The command's arguments."""
        kubeconfig = str(self.folder / "kubeconfig")
        return ["run", "-t", "live", "--context", "dev", "--kubeconfig", kubeconfig, *more]

    @property
    def own(self) -> list[str]:
        """Objects that carry a run's label."""
        return sorted(
            name
            for (_, _, name), body in self.cluster.api.objects.items()
            if RUN_LABEL in (body["metadata"].get("labels") or {})
        )

    def record(self) -> Run:
        """The only record."""
        (found,) = records.read(self.folder / "records")
        return found.run


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Bench]:
    """A cluster that is served, and the command in this process."""
    monkeypatch.setattr(ownership, "_LOOK", 0.05)
    monkeypatch.setattr("nodeport_lab.venues.Choices", partial(Choices, patience=0.5))

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["nodeport-lab", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        made.said = captured.out, captured.err
        return int(ended.value.code or 0)

    cluster = ServedCluster()
    made = Bench(cluster, tmp_path, call)
    with cluster.api.serving() as api:
        api.kubeconfig(tmp_path)
        yield made


def test_a_run_is_told_and_recorded_and_leaves_nothing(bench: Bench) -> None:
    """Verdicts follow the policies that are there, one after the other."""
    before = dict(bench.cluster.api.objects)

    assert bench.run(*SHORT, "--record", str(bench.folder / "records")) in {0, 1}

    run = bench.record()
    seen = {(one.policy, one.route): one.verdict for one in run.observations}
    assert Verdict.ALLOWED == seen["no-policy", "nodeport"] == seen["ipblock-nodes", "nodeport"]
    assert Verdict.TIMEOUT == seen["ipblock-nodes", "pod-ip"]
    assert Verdict.ALLOWED == seen["podselector-server", "pod-ip"]
    assert Verdict.TIMEOUT == seen["podselector-server", "nodeport"]
    assert ("live", "calico-iptables", "live") == (run.testbed, run.dataplane, run.basis)
    assert "1.36.4" == run.versions["kubernetes"]
    assert before == bench.cluster.api.objects


def test_what_is_known_of_the_cluster_is_told_and_kept(bench: Bench) -> None:
    """Which node stood for which, what was not to be learned, how fast policy was."""
    policy = {"metadata": {"name": "lockdown"}, "spec": {}}
    bench.cluster.add("globalnetworkpolicies", policy)

    bench.run(*SHORT, "--record", str(bench.folder / "records"))

    told, _ = bench.said
    assert "dev-worker is worker-x" in told
    assert "encapsulation VXLANCrossSubnet" in told
    assert "Not known: kubeProxyMode (there is no ConfigMap kube-system/kube-proxy)" in told
    assert "GlobalNetworkPolicy lockdown" in told
    assert "Policies were enforced 0." in told
    facts = bench.record().cluster
    assert facts is not None
    assert ("GlobalNetworkPolicy lockdown",) == facts.other_policies
    assert {"ipblock-nodes", "podselector-server"} == facts.enforced_after_ms.keys()
    assert 2 == len(facts.canaries)


def test_a_given_namespace_is_used_and_stays(bench: Bench) -> None:
    """With what somebody else has in it."""
    theirs = {"metadata": {"name": "web", "namespace": "team-a"}, "spec": {"podSelector": {}}}
    bench.cluster.add("namespaces", {"metadata": {"name": "team-a", "labels": {}}})
    bench.cluster.add("services", {"metadata": {"name": "web", "namespace": "team-a"}, "spec": {}})

    bench.run(*SHORT, "--namespace", "team-a")

    created = {path for method, path in bench.cluster.api.requests if method == "POST"}
    assert "/api/v1/namespaces/team-a/pods" in created
    assert "/api/v1/namespaces" not in created
    assert ("namespaces", None, "team-a") in bench.cluster.api.objects
    assert ("services", "team-a", "web") in bench.cluster.api.objects
    assert [] == bench.own

    bench.cluster.add("networkpolicies", theirs)
    assert 2 == bench.run("--namespace", "team-a")
    assert "NetworkPolicy team-a/web is not the lab's and selects" in bench.said[1]
    assert ("networkpolicies", "team-a", "web") in bench.cluster.api.objects


def test_a_dry_run_creates_nothing(bench: Bench) -> None:
    """It only reads."""
    assert 0 == bench.run("--dry-run")

    assert {"GET"} == {method for method, _ in bench.cluster.api.requests}
    assert "create Namespace nodeport-lab-RUN (Pod Security Standard restricted)" in bench.said[0]
    assert "delete all of it again" in bench.said[0]


def test_rights_are_printed_without_asking_anything(bench: Bench) -> None:
    """As manifests that can be applied; their reasons go to standard error."""
    assert 0 == bench.run("--print-rbac", "--namespace", "team-a")

    kinds = [one["kind"] for one in yaml.safe_load_all(bench.said[0])]
    assert {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} == set(
        kinds
    )
    assert "create, get pods/exec (own namespace) - curl is run inside" in bench.said[1]
    assert [] == bench.cluster.api.requests


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        (("GET", "/nodes"), 401, "answered 401 .*; log in again, or name another context"),
        (("GET", "/nodes"), 403, "answered 403 .*; ask for the right, or print what is needed"),
        (("POST", "/pods"), 403, "create Pod nodeport-lab-.*answered 403"),
        (("POST", "/services"), 410, "answered 410 .*; the cluster has dropped that version"),
        (("POST", "/networkpolicies"), 500, "create NetworkPolicy .*answered 500"),
        (("GET", "/exec"), 500, "inconclusive .*exec in nodeport-lab-.* failed: .*500"),
    ],
)
def test_a_refusal_is_one_sentence_and_nothing_is_left(
    bench: Bench, fault: tuple[str, str], status: int, told: str
) -> None:
    """Wherever it comes."""
    bench.cluster.api.faults[fault] = status

    assert 2 == bench.run(*SHORT)

    assert "" == bench.said[0]
    (sentence,) = bench.said[1].splitlines()
    assert sentence.startswith("nodeport-lab: ")
    assert re.search(told, sentence)
    assert [] == bench.own


def test_missing_rights_are_told_before_anything_is_created(bench: Bench) -> None:
    """All of them at once."""
    bench.cluster.api.allowed = lambda verb, resource: (verb, resource) != ("create", "pods")

    assert 2 == bench.run()

    assert "these rights are missing in the cluster: create pods" in bench.said[1]
    assert {"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"} == {
        path for method, path in bench.cluster.api.requests if method == "POST"
    }


def test_a_quota_that_changes_is_no_object_that_exists(bench: Bench) -> None:
    """A conflict passes; the same request is made again."""
    bench.cluster.conflicts = 2

    assert bench.run(*SHORT) in {0, 1}

    assert 3 == bench.cluster.api.asked("POST", "/services")


def test_where_policy_is_not_enforced_nothing_is_recorded(bench: Bench) -> None:
    """A CNI that ignores policies."""
    bench.cluster.enforces = False

    assert 2 == bench.run("--record", str(bench.folder / "records"))

    assert "policy is not enforced in this cluster" in bench.said[1]
    assert not (bench.folder / "records").exists()
    assert [] == bench.own


# The imitated server may stop with a connection that it has just accepted; nobody closes it.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*socket")
def test_a_server_that_goes_away_is_told_with_what_may_be_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be deleted then, and it says by which command it can be later."""
    defaults = Ownership.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "gone_within", 0.5)
    admit = bench.cluster.api.admit

    def going_away(resource: str, body: dict[str, Any]) -> str | None:
        if resource == "networkpolicies":
            bench.cluster.api.go_away()
        return admit(resource, body)

    bench.cluster.api.admit = going_away

    assert 2 == bench.run(*SHORT)

    (sentence,) = bench.said[1].splitlines()
    assert "there still are" in sentence
    assert f"kubectl delete --all-namespaces -l {RUN_LABEL}=" in sentence
    assert "Traceback" not in sentence
    gc.collect()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["pods that never start", "a policy in force"])
def test_an_interrupt_leaves_nothing_behind(
    bench: Bench, number: signal.Signals, where: str
) -> None:
    """A process of its own, as a person would stop it or a machine that shuts down."""
    bench.cluster.starts = where == "a policy in force"
    awaited = "networkpolicies" if bench.cluster.starts else "pods"
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", "from nodeport_lab.cli import main; main()", *bench.arguments()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    while not any(kind == awaited for kind, _, _ in list(bench.cluster.api.objects)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < begin + 30
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)

    assert 130 == process.returncode
    assert "nodeport-lab: interrupted; nothing was left behind" in errors
    assert [] == bench.own


def test_the_record_is_json_that_compare_reads(bench: Bench) -> None:
    """Two runs of the same cluster differ in nothing."""
    for folder in ("a", "b"):
        bench.run(*SHORT, "--record", str(bench.folder / folder))

    assert 0 == bench.call("compare", str(bench.folder / "a"), str(bench.folder / "b"))
    (file,) = (bench.folder / "a").glob("*.json")
    assert 1 == json.loads(file.read_text())["schema"]


def test_every_extra_is_listed_with_the_rights_that_it_needs(bench: Bench) -> None:
    """Those that the manifests leave out as well, and how to have them in."""
    assert 0 == bench.run("--print-rbac", "--namespace", "team-a")
    roles, told = bench.said
    assert "read-configuration: list ippools.crd.projectcalico.org (cluster) - " in told
    assert "not included, create-namespace: create, delete, get namespaces (cluster) - " in told
    assert "not included, node-evidence: create, get pods/exec (kube-system) - conntrack" in told
    assert "Add --evidence" in told
    assert "calico-system" not in roles

    assert 0 == bench.run("--print-rbac", "--evidence")
    roles, told = bench.said
    assert "not included" not in told
    wanted = {(one["kind"], one["metadata"].get("namespace")) for one in yaml.safe_load_all(roles)}
    assert ("Role", "calico-system") in wanted
    assert [] == bench.cluster.api.requests
