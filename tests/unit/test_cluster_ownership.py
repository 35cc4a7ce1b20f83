"""What a run creates is its own, and nothing else is deleted."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import pytest
from support.kubernetes_api import KubernetesApi

from nodeport_lab.errors import TestbedError
from nodeport_lab.testbeds.cluster import ownership
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.failures import ClusterError
from nodeport_lab.testbeds.cluster.ownership import RUN_LABEL, Ownership

READY = {
    "phase": "Running",
    "podIPs": [{"ip": "10.244.1.2"}],
    "conditions": [{"type": "Ready", "status": "True"}],
}

TIMEOUT = 0.5  # seconds for a request


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often than at a real cluster."""
    monkeypatch.setattr(ownership, "_LOOK", 0.1)


def pod(name: str = "client-a", **status: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of a manifest
    """A manifest, with the status that the cluster will show."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "lab", "labels": {"app": "client"}},
        "spec": {},
        "status": status,
    }


def names(api: KubernetesApi) -> list[str]:
    """What there is."""
    return sorted(name for _, _, name in api.objects)


def test_what_was_created_carries_the_run_and_is_gone_afterwards(
    api: KubernetesApi, connection: Connection
) -> None:
    """Its own labels stay."""
    with Ownership(connection) as own:
        made = own.create(pod())
        labels = made["metadata"]["labels"]
        assert {"app": "client", RUN_LABEL: own.run} == {
            name: labels[name] for name in ("app", RUN_LABEL)
        }
        assert ["Pod lab/client-a"] == own.left
    assert {} == api.objects


def test_somebody_elses_object_is_refused_and_left(
    api: KubernetesApi, connection: Connection
) -> None:
    """Whatever happens to the run."""
    connection.create(pod())
    with Ownership(connection) as own:
        own.create(pod("mine"))
        with pytest.raises(ClusterError, match="exists already and this run did not make it"):
            own.create(pod())

    assert ["client-a"] == names(api)


def test_a_namesake_that_replaced_ours_is_left(api: KubernetesApi, connection: Connection) -> None:
    """Also if it carries our label: the uid is another."""
    with Ownership(connection) as own:
        own.create(pod())
        connection.delete("v1", "Pod", "client-a", "lab")
        again = pod()
        again["metadata"]["labels"][RUN_LABEL] = own.run
        connection.create(again)

    assert ["client-a"] == names(api)


def test_what_was_created_without_an_answer_is_removed(
    api: KubernetesApi, connection: Connection
) -> None:
    """The request arrived, its answer did not: it may be there, so it is looked for."""
    connection.version()
    with Ownership(connection) as own:
        api.faults["POST", "/pods"] = 0.7
        with pytest.raises(ClusterError, match="gave no answer"):
            own.create(pod())
        time.sleep(0.6)  # the server finishes what it was asked
        assert ["client-a"] == names(api)
    assert {} == api.objects


def test_an_interrupt_leaves_nothing(api: KubernetesApi, connection: Connection) -> None:
    """Wherever it comes."""

    def interrupted() -> None:
        with Ownership(connection) as own:
            own.create(pod("a"))
            own.create(pod("b"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert {} == api.objects


def test_ready_pods_come_back_in_order(connection: Connection) -> None:
    """With the addresses that they were given."""
    with Ownership(connection) as own:
        pods = [pod("b", **READY), pod("a", **READY)]
        for one in pods:
            own.create(one)
        assert ["b", "a"] == [found["metadata"]["name"] for found in own.ready(pods)]


def test_a_pod_is_waited_for(api: KubernetesApi, connection: Connection) -> None:
    """Until it is ready, or the patience ends."""
    with Ownership(connection, ready_within=1.0) as own:
        own.create(pod(phase="Pending"))
        with pytest.raises(TestbedError, match=f"became ready within 1 s.*{own.run}"):
            own.ready([pod()])
        assert api.asked("GET", "/pods/client-a") >= 2


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            {
                "containerStatuses": [
                    {
                        "image": "registry.example/curl:1",
                        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no"}},
                    }
                ]
            },
            r"ImagePullBackOff of registry.example/curl:1 \(no\); check that the node",
        ),
        ({"phase": "Failed", "reason": "Evicted"}, r"\(Evicted\); see its log"),
    ],
)
def test_a_pod_that_cannot_become_ready_is_told_at_once(
    connection: Connection, status: dict[str, Any], reason: str
) -> None:
    """Instead of after minutes."""
    with Ownership(connection, ready_within=60) as own:
        own.create(pod(**status))
        start = time.monotonic()
        with pytest.raises(TestbedError, match=reason):
            own.ready([pod()])
        assert time.monotonic() - start < 1


def test_what_does_not_go_is_told(api: KubernetesApi, connection: Connection) -> None:
    """With the command that finds it."""
    own = Ownership(connection, gone_within=0.6)
    own.create(kept(pod()))
    with pytest.raises(TestbedError, match=r"there still are Pod lab/client-a; remove them with"):
        own.remove([pod()])
    assert 1 == api.asked("DELETE", "/pods/client-a")


def test_removing_ends_when_it_is_gone(api: KubernetesApi, connection: Connection) -> None:
    """Not when the cluster has been told."""
    own = Ownership(connection)
    own.create(kept(pod()))
    finalized = threading.Timer(0.4, api.objects.clear)
    finalized.start()
    start = time.monotonic()
    own.remove([pod()])

    assert time.monotonic() - start >= 0.4
    assert [] == own.left
    finalized.join()


def test_a_refusal_to_delete_does_not_keep_the_others(
    api: KubernetesApi, connection: Connection
) -> None:
    """It is told when they are gone."""

    def run() -> None:
        with Ownership(connection) as own:
            for name in ("a", "b", "c"):
                own.create(pod(name))
            api.faults["DELETE", "/pods/b"] = 403

    with pytest.raises(ClusterError, match="delete Pod lab/b: the cluster answered 403"):
        run()
    assert ["b"] == names(api)


@pytest.mark.parametrize("fault", ["drop", 500])
def test_deleting_is_tried_again(
    api: KubernetesApi, connection: Connection, fault: str | int
) -> None:
    """The uid makes that harmless."""
    with Ownership(connection) as own:
        own.create(pod())
        api.faults["DELETE", "/pods"] = fault
        recovery = threading.Timer(0.2, api.faults.clear)
        recovery.start()
    recovery.join()
    assert {} == api.objects


def test_what_was_created_but_answered_with_an_error_is_removed(
    api: KubernetesApi, connection: Connection
) -> None:
    """A time-out inside the cluster says nothing of the object."""
    with Ownership(connection) as own:
        api.faults["POST", "/pods"] = "lose"
        with pytest.raises(ClusterError, match="504"):
            own.create(pod())
        assert ["client-a"] == names(api)
    assert {} == api.objects


def test_what_appears_after_the_run_gave_up_is_removed(
    api: KubernetesApi, connection: Connection
) -> None:
    """It is looked for a while, for the request may still be under way."""
    connection.find("v1", "Pod", "a", "lab")
    with Ownership(connection, lost_within=2) as own:
        api.faults["POST", "/pods"] = 1.2
        with pytest.raises(ClusterError, match="gave no answer"):
            own.create(pod())
        assert {} == api.objects
    assert ("DELETE", "/api/v1/namespaces/lab/pods/client-a") in api.requests
    assert {} == api.objects


def test_a_refused_create_is_not_looked_for(api: KubernetesApi, connection: Connection) -> None:
    """The cluster has said that there is nothing."""
    with Ownership(connection) as own:
        api.faults["POST", "/pods"] = 422
        with pytest.raises(ClusterError, match="422"):
            own.create(pod())
        assert [] == own.left
    assert 0 == api.asked("GET", "/pods/client-a")


def test_ctrl_c_while_the_cluster_creates_leaves_nothing(
    api: KubernetesApi, connection: Connection
) -> None:
    """A real signal, between the request and its answer."""
    connection.find("v1", "Pod", "a", "lab")
    api.faults["POST", "/pods"] = 0.4
    impatience = ctrl_c_after(0.15)

    def run() -> None:
        with Ownership(connection, lost_within=1.5) as own:
            own.create(pod())

    with pytest.raises(KeyboardInterrupt):
        run()
    impatience.join()
    assert 1 == api.asked("DELETE", "/pods/client-a")
    assert {} == api.objects


def test_ctrl_c_while_cleaning_up_leaves_nothing(
    api: KubernetesApi, connection: Connection
) -> None:
    """The first is remembered until it is done."""

    def run() -> threading.Timer:
        with Ownership(connection) as own:
            for name in ("a", "b", "c"):
                own.create(pod(name))
            api.faults["DELETE", "/pods"] = 0.2
            return ctrl_c_after(0.3)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert {} == api.objects


def test_a_cluster_that_is_gone_when_cleaning_up_is_told(
    api: KubernetesApi, connection: Connection
) -> None:
    """With what is left there, in bounded time, however many objects there are."""

    def run() -> None:
        with Ownership(connection, gone_within=1) as own:
            for number in range(6):
                own.create(pod(f"pod-{number}"))
            api.go_away()
            time.sleep(0.1)

    start = time.monotonic()
    with pytest.raises(TestbedError, match=r"still are Pod lab/pod-0, .*gave no answer.*kubectl"):
        run()
    assert time.monotonic() - start < 5


def test_a_pod_that_vanishes_is_told(connection: Connection) -> None:
    """Somebody may delete it while it is waited for."""
    with Ownership(connection) as own:
        own.create(pod(phase="Pending"))
        connection.delete("v1", "Pod", "client-a", "lab")
        with pytest.raises(TestbedError, match="the pod lab/client-a is gone"):
            own.ready([pod()])


def kept(manifest: dict[str, Any]) -> dict[str, Any]:
    """With a finalizer, so that deleting takes until somebody is done."""
    metadata = {**manifest["metadata"], "finalizers": ["example.org/kept"]}
    return {**manifest, "metadata": metadata}


def ctrl_c_after(seconds: float) -> threading.Timer:
    """A real SIGINT for this process's main thread."""
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(seconds, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    return timer
