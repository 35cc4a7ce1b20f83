"""A cluster's API, over real HTTP: the server is imitated, the client is the official one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.kubernetes_api import KubernetesApi

from nodeport_lab.errors import PrerequisiteError, UnknownNameError
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.failures import ClusterError

TIMEOUT = 0.25
TRIES, PAUSES = 3, 0.3 + 0.6


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

    def find(name: str) -> None:
        with pytest.raises(ClusterError):
            connection.find("v1", "Pod", name, "lab")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(find, "abc"))
    assert [3, 1, 3] == [api.asked("GET", f"/pods/{name}") for name in "abc"]


@pytest.mark.parametrize("fault", ["drop", "cut", 503])
def test_writing_is_never_tried_again(
    api: KubernetesApi, connection: Connection, fault: str | int
) -> None:
    """It may have happened, whatever the answer."""
    connection.find("v1", "Pod", "a", "lab")
    for method in ("POST", "PATCH", "DELETE"):
        api.faults[method, "/pods"] = fault
    for write in (
        lambda: connection.create(pod()),
        lambda: connection.apply(pod()),
        lambda: connection.delete("v1", "Pod", "client-a", "lab"),
    ):
        with pytest.raises(ClusterError):
            write()
    assert [1, 1, 1] == [api.asked(method, "/pods") for method in ("POST", "PATCH", "DELETE")]


def test_a_server_that_recovers_is_not_noticed(api: KubernetesApi, connection: Connection) -> None:
    """That is what the tries are for."""
    api.faults["GET", "/version"] = 429
    recovery = threading.Timer(0.15, api.faults.clear)
    recovery.start()

    assert "v1.36.4" == connection.version()
    recovery.join()
    assert 2 == api.asked("GET", "/version")


@pytest.mark.parametrize("part", ["/api/v1", "/pods/a"])
def test_a_slow_read_takes_its_time_out_for_each_try(
    api: KubernetesApi, connection: Connection, part: str
) -> None:
    """Also where the slow part is to learn which path the kind has."""
    api.faults["GET", part] = 5.0
    start = time.monotonic()

    with pytest.raises(ClusterError, match=r"get Pod lab/a: .* gave no answer"):
        connection.find("v1", "Pod", "a", "lab")
    exact = TRIES * TIMEOUT + PAUSES
    assert exact <= time.monotonic() - start < exact + 1
    assert TRIES == api.asked("GET", part)


def test_the_path_of_a_kind_is_asked_once_for_its_api_version(
    api: KubernetesApi, connection: Connection
) -> None:
    """One request, also for a kind that is missing; nothing else is asked."""
    connection.list("v1", "Pod", "lab")
    connection.list("v1", "Service", "lab")
    connection.find("cilium.io/v2", "CiliumNode", "a")

    assert [
        ("GET", "/api/v1"),
        ("GET", "/api/v1/namespaces/lab/pods"),
        ("GET", "/api/v1/namespaces/lab/services"),
        ("GET", "/apis/cilium.io/v2"),
    ] == api.requests


def test_a_kind_that_appears_is_found(api: KubernetesApi, connection: Connection) -> None:
    """As when a network plugin is installed meanwhile; its objects live in no namespace."""
    node = {"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": "a"}}
    assert [] == connection.list("cilium.io/v2", "CiliumNode")
    api.resources["cilium.io/v2"] = {"ciliumnodes": ("CiliumNode", False)}
    connection.apply(node)

    found = connection.find("cilium.io/v2", "CiliumNode", "a")
    assert found is not None
    assert "a" == found["metadata"]["name"]


def test_an_object_without_its_namespace_is_refused(connection: Connection) -> None:
    """There is no default namespace, as there is no default context."""
    with pytest.raises(ClusterError, match="names none; name one"):
        connection.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}})


@pytest.mark.parametrize(
    "ask",
    [
        lambda connection: connection.version(),
        lambda connection: connection.list("v1", "Pod"),
        lambda connection: connection.create(pod()),
    ],
)
def test_another_server_is_not_taken_for_a_cluster(
    api: KubernetesApi,
    connection: Connection,
    ask: Callable[[Connection], object],
) -> None:
    """Such as a proxy's login page, with the status 200."""
    for method in ("GET", "POST"):
        api.faults[method, "/"] = "page"

    with pytest.raises(ClusterError, match="is it a Kubernetes API server"):
        ask(connection)


def test_a_wrong_token_is_told(api: KubernetesApi, tmp_path: Path) -> None:
    """For requests and for commands in pods alike."""
    api.token = "another"  # noqa: S105 - of nothing
    with Connection(api.kubeconfig(tmp_path), "dev") as connection:
        with pytest.raises(ClusterError, match=r"401 \(Unauthorized\); log in again"):
            connection.version()
        ended = connection.execute("lab", "a", ["true"], deadline=2)
    assert "the cluster did not start it: 401 (Unauthorized)" == ended.failure


def test_a_log_that_is_not_there_is_told(api: KubernetesApi, connection: Connection) -> None:
    """It names the pod."""
    api.faults["GET", "/log"] = 404

    with pytest.raises(ClusterError, match="read the log of Pod lab/a: the cluster answered 404"):
        connection.logs("lab", "a", "main")


def test_a_server_that_goes_away_in_the_middle_is_told(
    api: KubernetesApi, connection: Connection
) -> None:
    """At once, not after the time-out: the connection ends."""
    connection.find("v1", "Pod", "a", "lab")
    api.faults["POST", "/pods"] = 5.0
    end = threading.Timer(0.1, api.go_away)
    end.start()
    start = time.monotonic()

    with pytest.raises(ClusterError, match="gave no answer"):
        connection.create(pod())
    assert time.monotonic() - start < TIMEOUT
    end.join()


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
    time.sleep(0.1)

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


def test_a_folder_or_an_archive_is_no_kubeconfig(tmp_path: Path) -> None:
    """The sentence names it, and the option."""
    archive = tmp_path / "archive"
    archive.write_bytes(b"\x1f\x8b\x00\xff")
    for file in (tmp_path, archive):
        with pytest.raises(PrerequisiteError, match=f"{file} is no kubeconfig .*--kubeconfig"):
            Connection(file, "dev")


def test_outside_of_a_pod_there_is_no_service_account() -> None:
    """And the remedy is a context."""
    with pytest.raises(PrerequisiteError, match="name a context instead"):
        Connection.in_cluster()
