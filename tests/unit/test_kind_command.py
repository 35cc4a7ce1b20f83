"""The three commands of the chapter, from their arguments to the record.

Real: the command line, the client, HTTP and websockets, what is remembered. Imitated: docker and
kind (`support.stand_ins`), and the cluster behind its API (`support.served_kind`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from support import archives
from support.served_kind import ServedKind
from support.stand_ins import NODES, Programs

from nodeport_lab import cli, records
from nodeport_lab.testbeds.cluster import ownership
from nodeport_lab.testbeds.cluster.venue import Choices
from nodeport_lab.testbeds.kind import state

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Call]:
    """Runs a command on a machine with stand-ins; its exit code, and what it said."""
    programs = Programs(tmp_path / "bin")
    programs.link_tools()
    monkeypatch.setenv("PATH", programs.path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("NODEPORT_LAB_OVERRIDES", str(archives.copies(tmp_path)))
    for name in ("KIND_EXPERIMENTAL_PROVIDER", "NODEPORT_LAB_CLUSTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ownership, "_LOOK", 0.05)
    monkeypatch.setattr("nodeport_lab.testbeds.kind.venue.Choices", partial(Choices, patience=0.5))

    def made(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["nodeport-lab", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out + captured.err

    with ServedKind().api.serving() as api:
        api.kubeconfig(programs.folder, "kind-dev")
        yield made


def test_up_run_and_down_lead_to_a_record(call: Call, tmp_path: Path) -> None:
    """Every step with its time; nothing is asked of the user in between."""
    code, told = call("up", "-d", "calico-iptables")
    assert code == 0, told
    steps = ("check", "create nodes", "install CNI", "wait until ready", "deploy workloads")
    assert all(f"{step}: " in told for step in steps)
    assert "pinned by tag only, without a checksum: quay.io/tigera/operator:v1" in told

    code, told = call("status")
    assert code == 0, told
    assert "ready" in told.splitlines()
    assert "deploy workloads: " in told

    folder = tmp_path / "records"
    policies = ("--policy", "no-policy", "--policy", "ipblock-nodes")
    code, told = call("run", "-t", "kind", *policies, "--record", str(folder))
    assert code in {0, 1}, told
    (record,) = records.read(folder)
    assert ("kind", "calico-iptables", "live") == (
        record.run.testbed,
        record.run.dataplane,
        record.run.basis,
    )
    assert {"docker", "kind", "kubernetes", "calico"} <= record.run.versions.keys()

    assert call("compare", str(folder), str(folder))[0] == 0
    assert call("down") == (0, f"Removed {', '.join(NODES)}.\n")
    assert state.names() == []
    assert call("run", "-t", "kind")[0] == 2


def test_up_again_deploys_again_and_creates_no_node(call: Call) -> None:
    """It is the way to go on after a failure of any step."""
    assert call("up", "-d", "calico-iptables")[0] == 0
    code, told = call("up", "-d", "calico-iptables")
    assert code == 0, told
    assert "create nodes" not in told
    assert "deploy workloads: " in told


def test_an_interrupted_run_says_what_stays(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workloads stay for the next run, so nobody is told that nothing was left."""
    assert call("up", "-d", "calico-iptables")[0] == 0

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nodeport_lab.cli.run.run_all", interrupted)
    code, told = call("run", "-t", "kind", "--policy", "no-policy")

    assert code == 130
    assert "stay for the next run; remove the cluster with: nodeport-lab down --name dev" in told
    assert "nothing was left behind" not in told
