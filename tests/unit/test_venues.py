"""Which venue stands behind a testbed's name, and what is refused before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nodeport_lab.cli import command_line
from nodeport_lab.dataplanes import Dataplane
from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.experiment import Question, run_all, runnable
from nodeport_lab.model import Scenario
from nodeport_lab.testbeds.embedded import EmbeddedVenue
from nodeport_lab.testbeds.live import LiveVenue
from nodeport_lab.venues import CONTEXT_VARIABLE, Whereabouts, check_embedded, venue

KUBECONFIG = (
    "{apiVersion: v1, kind: Config, current-context: dev, users: [{name: u, user: {}}], "
    "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}], "
    "contexts: [{name: dev, context: {cluster: c, user: u}}]}"
)


def refusal(*arguments: str, env: Mapping[str, str] | None = None) -> str:
    """The sentence with which a command is refused."""
    ended = CliRunner().invoke(command_line(), arguments, env=env)
    assert isinstance(ended.exception, LabError), ended.output
    return str(ended.exception)


def test_names_lead_to_venues(tmp_path: Path) -> None:
    """A live cluster's venue asks nothing before it must."""
    with venue("embedded") as place:
        assert isinstance(place, EmbeddedVenue)
    with venue("live", Whereabouts("dev", tmp_path / "config")) as place:
        assert isinstance(place, LiveVenue)
        assert "dev" == place.context


def test_an_unknown_testbed_is_refused_with_those_there_are() -> None:
    """As every name is."""
    with (
        pytest.raises(UnknownNameError, match="no testbed 'moon'; choose one of: embedded, "),
        venue("moon"),
    ):
        pass
    with pytest.raises(UnknownNameError, match="no testbed 'moon'"):
        check_embedded("moon", "a walk")


def test_a_live_cluster_has_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kubeconfig's current context is not taken; a variable may name one."""
    monkeypatch.delenv(CONTEXT_VARIABLE, raising=False)
    with pytest.raises(LabError, match=r"has to be named.*--context"), venue("live"):
        pass
    monkeypatch.setenv(CONTEXT_VARIABLE, "dev")
    with venue("live") as place:
        assert isinstance(place, LiveVenue)


def test_a_cluster_is_not_described_to_the_embedded_testbed() -> None:
    """An option without effect would be a promise that is not kept."""
    where = Whereabouts(namespace="team-a", pod_cidr=IPv4Network("10.0.0.0/8"))
    with (
        pytest.raises(
            LabError, match=r"--namespace, --pod-cidr is for the testbed live and this is embedded"
        ),
        venue("embedded", where),
    ):
        pass


def test_walks_are_for_the_embedded_testbed() -> None:
    """Nothing else lets one look into its namespaces."""
    check_embedded("embedded", "a walk")
    with pytest.raises(LabError, match="a walk needs the kernel's namespaces"):
        check_embedded("live", "a walk")


def test_clusters_are_not_asked_over_udp(tmp_path: Path) -> None:
    """It is said before anything is created, as a reason and as a refusal."""
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(KUBECONFIG)

    class Known(LiveVenue):
        """Asks the cluster nothing."""

        def options(self, _dataplane: Dataplane, _chosen: Mapping[str, str]) -> dict[str, str]:
            return {}

        def scenario(self, cluster: str, folders: Sequence[str]) -> Scenario:
            return EmbeddedVenue().scenario(cluster, folders)

    place = Known("dev", kubeconfig=kubeconfig)
    questions = [Question("calico-iptables", suite="udp")]
    reason = (
        "the suite udp dials UDP, which the testbed live does not probe; run it on the embedded one"
    )

    assert ([], [f"calico-iptables: {reason}"]) == runnable(questions, place)
    with pytest.raises(LabError, match=reason):
        run_all(questions, venue=place)


def test_what_cannot_be_recorded_is_refused_first(tmp_path: Path) -> None:
    """Before any packet is sent."""
    taken = tmp_path / "file"
    taken.touch()

    assert "is a file; name another one" in refusal("run", "--record", str(taken))
    assert "there is no folder" in refusal("run", "--json", str(tmp_path / "none" / "a.json"))


def test_a_dry_run_is_for_clusters() -> None:
    """The embedded testbed has nothing to tell of."""
    assert "--dry-run is for clusters" in refusal("run", "--dry-run")


def test_a_subnet_is_read_or_refused() -> None:
    """With what was given and how to write it."""
    assert "--pod-cidr: '10.0.0.1/8' is no IPv4 range" in refusal(
        "run", "-t", "live", "--context", "dev", "--pod-cidr", "10.0.0.1/8"
    )


def test_a_cluster_that_is_not_there_is_told(tmp_path: Path) -> None:
    """In one sentence that names its address."""
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(KUBECONFIG)
    told = refusal("run", "-t", "live", "--context", "dev", "--kubeconfig", str(kubeconfig))

    assert "http://127.0.0.1:9 gave no answer" in told


def test_an_unknown_context_is_told_with_those_there_are(tmp_path: Path) -> None:
    """And the file that holds them."""
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(KUBECONFIG)
    told = refusal("run", "-t", "live", "--context", "prod", "--kubeconfig", str(kubeconfig))

    assert f"there is no context in {kubeconfig} 'prod'; choose one of: dev" == told


def test_rights_are_printed_as_manifests_and_nothing_else_is_done() -> None:
    """What each is for goes to standard error, so that the manifests can be piped on."""
    ended = CliRunner().invoke(command_line(), ["run", "--print-rbac", "--namespace", "team-a"])

    assert 0 == ended.exit_code
    assert "kind: Role" in ended.stdout
    assert "namespace: team-a" in ended.stdout
    assert "curl is run inside of the clients" in ended.stderr
