"""A cluster's API, over real HTTP: the server is imitated, the client is the official one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kubernetes_api import KubernetesApi

from nodeport_lab.errors import PrerequisiteError, UnknownNameError
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.failures import ClusterError

TIMEOUT = 0.4


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    """A server of its own for each test."""
    with KubernetesApi().serving() as serving:
        yield serving


@pytest.fixture
def connection(api: KubernetesApi, tmp_path: Path) -> Iterator[Connection]:
    """A connection to it."""
    with Connection(api.kubeconfig(tmp_path), "dev", timeout=TIMEOUT) as connected:
        yield connected


def pod(name: str = "client-a", **labels: str) -> dict[str, object]:
    """A manifest."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "lab", "labels": labels},
        "spec": {},
    }


def test_objects_come_and_go(connection: Connection) -> None:
    """Created, found, listed, deleted; what is not there is None, not an error."""
    made = connection.create(pod())

    assert made == connection.find("v1", "Pod", "client-a", "lab")
    assert ["client-a"] == [
        found["metadata"]["name"] for found in connection.list("v1", "Pod", "lab")
    ]
    connection.delete("v1", "Pod", "client-a", "lab")
    assert connection.find("v1", "Pod", "client-a", "lab") is None
    connection.delete("v1", "Pod", "client-a", "lab")  # gone already: fine


def test_kinds_that_the_cluster_lacks_have_no_objects(connection: Connection) -> None:
    """As on a cluster without Calico; only writing them is an error."""
    assert connection.find("crd.projectcalico.org/v1", "FelixConfiguration", "default") is None
    assert [] == connection.list("cilium.io/v2", "CiliumNode")
    connection.delete("cilium.io/v2", "CiliumNode", "a")
    with pytest.raises(ClusterError, match=r"the cluster knows no CiliumNode of cilium.io/v2"):
        connection.apply(
            {"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": "a"}}
        )


def test_lists_are_read_to_their_end_and_by_labels(connection: Connection) -> None:
    """The server gives them in pages."""
    for number in range(5):
        connection.create(pod(f"pod-{number}", parity=str(number % 2)))

    assert 5 == len(connection.list("v1", "Pod"))
    assert ["pod-1", "pod-3"] == [
        found["metadata"]["name"] for found in connection.list("v1", "Pod", "lab", "parity=1")
    ]


def test_apply_is_server_side_and_may_be_repeated(
    api: KubernetesApi, connection: Connection
) -> None:
    """One PATCH each, whether or not the object is there."""
    connection.apply(pod())
    changed = connection.apply({**pod(), "spec": {"nodeName": "dev-worker"}})

    assert {"nodeName": "dev-worker"} == changed["spec"]
    assert 2 == api.asked("PATCH", "/pods/client-a")


def test_a_namesake_is_not_deleted(connection: Connection) -> None:
    """The uid is a precondition."""
    connection.create(pod())

    with pytest.raises(ClusterError, match="uid in the precondition") as raised:
        connection.delete("v1", "Pod", "client-a", "lab", uid="of-another")
    assert 409 == raised.value.status
    assert connection.find("v1", "Pod", "client-a", "lab") is not None


def test_rights_logs_and_version(api: KubernetesApi, connection: Connection) -> None:
    """The smaller questions."""
    api.allowed = lambda verb, resource: (verb, resource) == ("get", "pods")

    assert connection.may("get", "pods") is True
    assert connection.may("create", "pods", subresource="exec", namespace="lab") is False
    assert "log of client-a\n" == connection.logs("lab", "client-a")
    assert "v1.36.4" == connection.version()


def test_rights_that_cannot_be_learned_are_unknown(
    api: KubernetesApi, connection: Connection
) -> None:
    """Neither yes nor no."""
    api.faults["POST", "selfsubjectaccessreviews"] = 403

    assert connection.may("get", "pods") is None


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "log in again"),
        (403, "ask for the right"),
        (404, "check its name"),
        (409, "something else holds"),
        (410, "try again"),
        (422, "the cluster's own checks"),
        (429, "busy"),
        (500, "on the cluster's side"),
    ],
)
def test_every_refusal_is_one_sentence_with_a_remedy(
    api: KubernetesApi, connection: Connection, status: int, remedy: str
) -> None:
    """It names the object, the server's words, and what to do; a write is tried once."""
    api.faults["POST", "/pods"] = status

    with pytest.raises(ClusterError, match=remedy) as raised:
        connection.create(pod())
    assert status == raised.value.status
    assert "create Pod lab/client-a" in str(raised.value)
    assert f"injected {status}" in str(raised.value)
    assert 1 == api.asked("POST", "/pods")


def test_reading_is_tried_again_where_that_may_help(
    api: KubernetesApi, connection: Connection
) -> None:
    """Three times for a server that is not well, once for one that says no."""
    api.faults["GET", "/pods/a"] = 503
    api.faults["GET", "/pods/b"] = 403
    api.faults["GET", "/pods/c"] = "drop"
    for name, tries in (("a", 3), ("b", 1), ("c", 3)):
        with pytest.raises(ClusterError):
            connection.find("v1", "Pod", name, "lab")
        assert tries == api.asked("GET", f"/pods/{name}")


def test_time_outs_are_exact(api: KubernetesApi, connection: Connection) -> None:
    """A write that gets no answer takes its time-out once, and is not repeated."""
    connection.version()
    api.faults["POST", "/pods"] = 5.0
    start = time.monotonic()

    with pytest.raises(ClusterError, match="gave no answer") as raised:
        connection.create(pod())
    assert TIMEOUT <= time.monotonic() - start < TIMEOUT * 3
    assert raised.value.status is None
    assert 1 == api.asked("POST", "/pods")


def test_a_server_that_goes_away_is_told(api: KubernetesApi, connection: Connection) -> None:
    """With its address, and a question that leads on."""
    connection.version()
    api.go_away()
    time.sleep(0.3)

    with pytest.raises(ClusterError, match=r"http://127.0.0.1:\d+ gave no answer.*running"):
        connection.find("v1", "Pod", "client-a", "lab")
    ended = connection.execute("lab", "client-a", ["true"], deadline=1.0)
    assert ended.exit_code is None
    assert "did not start it" in str(ended.failure)


def test_the_kubeconfig_is_only_read(api: KubernetesApi, tmp_path: Path) -> None:
    """Not even a current context is needed or set."""
    file = api.kubeconfig(tmp_path)
    before = file.read_bytes()
    with Connection(file, "dev") as connection:
        connection.version()

    assert before == file.read_bytes()
    assert [file] == list(tmp_path.iterdir())


def test_a_wrong_context_is_refused_with_those_there_are(
    api: KubernetesApi, tmp_path: Path
) -> None:
    """Before anything is sent."""
    with pytest.raises(UnknownNameError, match="'prod'; choose one of: dev"):
        Connection(api.kubeconfig(tmp_path), "prod")
    assert [] == api.requests


@pytest.mark.parametrize("text", [None, "", "]", "a: [", "contexts: {a: b}"])
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, text: str | None) -> None:
    """Whatever stands in it."""
    file = tmp_path / "config"
    if text is not None:
        file.write_text(text)

    with pytest.raises((PrerequisiteError, UnknownNameError)):
        Connection(file, "dev")


def test_outside_of_a_pod_there_is_no_service_account() -> None:
    """And the remedy is a context."""
    with pytest.raises(PrerequisiteError, match="name a context instead"):
        Connection.in_cluster()
