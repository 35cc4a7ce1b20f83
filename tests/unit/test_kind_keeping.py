"""What stays in a cluster of the lab's own from run to run, and what does not.

`nodeport-lab run -t kind` and the last step of `up`, over real HTTP and websockets. Imitated
are the cluster's parts behind its API (see `support.served_cluster`) and what `up` remembers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from support.served_cluster import ServedCluster

from nodeport_lab import cli
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import LabError
from nodeport_lab.experiment import suite_scenario
from nodeport_lab.suites import SUITES
from nodeport_lab.testbeds.cluster import ownership
from nodeport_lab.testbeds.cluster.ownership import RUN_LABEL
from nodeport_lab.testbeds.cluster.venue import Choices
from nodeport_lab.testbeds.kind import KindVenue, cluster, state
from nodeport_lab.testbeds.kind.keeping import RUN
from nodeport_lab.testbeds.kind.state import Asked, State

NAMESPACE = f"nodeport-lab-{RUN}"
WORKLOADS = {"client-a", "client-b", "hello-0"}


@dataclass
class Bench:
    """A served cluster that `up` has made."""

    served: ServedCluster
    kubeconfig: Path
    monkeypatch: pytest.MonkeyPatch

    def deploy(self) -> None:
        """The last step of `up`."""
        with closing(KindVenue("dev", evidence=False)) as place:
            place.deploy(suite_scenario(SUITES["report"], place))

    def run(self, *arguments: str) -> int:
        """`nodeport-lab run -t kind`, with one policy."""
        policy = ("--policy", "ipblock-nodes")
        argv = ["nodeport-lab", "run", "-t", "kind", *policy, *arguments]
        self.monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0)

    def names(self, resource: str) -> set[str]:
        """The lab's own objects of a kind."""
        return {
            name
            for (of_resource, _, name), body in self.served.api.objects.items()
            if of_resource == resource
            and (body["metadata"].get("labels") or {}).get(RUN_LABEL) == RUN
        }

    def uids(self, *names: str) -> dict[str, str]:
        """Which objects these are: another uid is another object."""
        return {
            name: body["metadata"]["uid"]
            for (_, _, name), body in self.served.api.objects.items()
            if name in names
        }


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A cluster that is served, and remembered as finished."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("NODEPORT_LAB_CLUSTER", raising=False)
    monkeypatch.setattr(ownership, "_LOOK", 0.05)
    monkeypatch.setattr("nodeport_lab.testbeds.kind.venue.Choices", partial(Choices, patience=0.5))
    calico = DATAPLANES["calico-iptables"]
    asked = Asked("docker", calico.name, calico.complete({}), {"nodes": [{}]}, {})
    made = State("dev", asked, reachable=False, containers={"id1": "worker-x"})
    for step in (cluster.CREATE, cluster.INSTALL, cluster.WAIT):
        made = made.stepped(step, 1)
    state.save(made)
    served = ServedCluster()
    with served.api.serving() as api:
        api.kubeconfig(state.directory("dev"), made.context)
        yield Bench(served, made.kubeconfig, monkeypatch)


def test_up_deploys_the_reports_workloads_and_runs_use_them_again(bench: Bench) -> None:
    """Policies are deleted; pods, Services and namespaces are the same ones afterwards."""
    bench.deploy()
    kept = bench.uids(*WORKLOADS, "hello", NAMESPACE)
    assert {*WORKLOADS, "hello", NAMESPACE} == kept.keys()
    before = len(bench.served.api.requests)

    assert bench.run() in {0, 1}

    later = bench.served.api.requests[before:]
    created = [path for method, path in later if method == "POST" and "selfsubject" not in path]
    assert created
    assert all(path.endswith("/networkpolicies") for path in created)
    assert kept == bench.uids(*kept)
    assert set() == bench.names("networkpolicies")


def test_a_run_makes_what_is_not_there(bench: Bench) -> None:
    """Where somebody has deleted it, or `up` left the CNI plugin to its user."""
    bench.run()

    assert bench.names("pods") >= WORKLOADS


def test_what_differs_is_made_anew_and_what_is_not_needed_goes(bench: Bench) -> None:
    """A server in another place, and a second one that would answer for the Service."""
    bench.deploy()
    here = bench.uids("hello-0", "client-a")
    bench.run("-o", "backend=moved")
    there = bench.uids("hello-0", "client-a")
    assert here["client-a"] == there["client-a"]
    assert here["hello-0"] != there["hello-0"]

    bench.run("-o", "backend=both")
    assert {"hello-0", "hello-0-copy"} <= bench.names("pods")
    bench.run()
    assert "hello-0-copy" not in bench.names("pods")


def test_a_pod_that_has_ended_or_is_going_is_not_used(bench: Bench) -> None:
    """It would never become ready."""
    bench.deploy()
    before = bench.uids("client-b")
    bench.served.api.objects["pods", NAMESPACE, "client-b"]["status"]["phase"] = "Failed"

    bench.run()

    assert before != bench.uids("client-b")


def test_policies_of_a_killed_run_are_deleted_first(bench: Bench) -> None:
    """Its pods are used again, so that its policies would count."""
    bench.deploy()
    left = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "left", "namespace": NAMESPACE, "labels": {RUN_LABEL: RUN}},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": []},
    }
    bench.served.add("networkpolicies", left)

    assert bench.run() in {0, 1}
    assert set() == bench.names("networkpolicies")


def test_somebody_elses_policy_for_our_pods_is_a_reason_to_refuse(bench: Bench) -> None:
    """Results would be of both; it is left where it is."""
    bench.deploy()
    theirs = {
        "metadata": {"name": "theirs", "namespace": NAMESPACE},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": []},
    }
    bench.served.add("networkpolicies", theirs)

    with pytest.raises(LabError, match=r"NetworkPolicy .*/theirs is not the lab's and selects"):
        bench.deploy()
    assert ("networkpolicies", NAMESPACE, "theirs") in bench.served.api.objects


def test_somebody_elses_pod_of_that_name_is_left(bench: Bench) -> None:
    """In a namespace that the lab has made."""
    bench.deploy()
    del bench.served.api.objects["pods", NAMESPACE, "client-a"]
    theirs = {"metadata": {"name": "client-a", "namespace": NAMESPACE, "labels": {}}, "spec": {}}
    bench.served.add("pods", theirs)

    with pytest.raises(LabError, match="exists already and this run did not make it"):
        bench.deploy()
    assert bench.uids("client-a") == {"client-a": "theirs"}


def test_a_run_that_is_terminated_leaves_no_policy(bench: Bench) -> None:
    """What may stay, stays."""
    bench.deploy()
    kept = bench.uids(*WORKLOADS)
    process = subprocess.Popen(
        [sys.executable, "-c", "from nodeport_lab.cli import main; main()", "run", "-t", "kind"],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ},
    )
    end = time.monotonic() + 20
    while not bench.names("networkpolicies") and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 130
    assert set() == bench.names("networkpolicies")
    assert kept == bench.uids(*WORKLOADS)


def test_the_step_is_timed_and_a_failure_says_what_is_left(bench: Bench) -> None:
    """The cluster itself stays, and `up` can go on."""
    told: list[tuple[str, float | None]] = []

    def progress(step: str, said: str | None = None, seconds: float | None = None) -> None:
        del said
        told.append((step, seconds))

    found = state.load("dev")
    assert found is not None
    made = cluster.deployed(found, progress, bench.deploy)
    assert [cluster.DEPLOY, cluster.DEPLOY] == [step for step, _ in told]
    assert cluster.DEPLOY in made.steps
    assert made == state.load("dev")
    bench.served.enforces = False
    with pytest.raises(LabError, match=r"policy is not enforced.*nodeport-lab down --name dev"):
        cluster.deployed(found, progress, bench.deploy)


def test_a_preview_says_that_things_are_kept(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """And creates nothing."""
    assert bench.run("--dry-run") == 0
    told = capsys.readouterr().out.splitlines()
    assert f"create Namespace {NAMESPACE} (Pod Security Standard restricted)" in told
    assert told[-1].startswith("use what is there already as it would be made, keep namespaces")
    assert bench.names("pods") == set()
