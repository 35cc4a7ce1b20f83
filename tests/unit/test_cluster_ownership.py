"""What a run creates is its own, and nothing else is deleted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.kubernetes_api import KubernetesApi

from nodeport_lab.errors import TestbedError
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.failures import ClusterError
from nodeport_lab.testbeds.cluster.ownership import RUN_LABEL, Ownership

READY = {
    "phase": "Running",
    "podIPs": [{"ip": "10.244.1.2"}],
    "conditions": [{"type": "Ready", "status": "True"}],
}


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    """A server of its own for each test."""
    with KubernetesApi().serving() as serving:
        yield serving


@pytest.fixture
def connection(api: KubernetesApi, tmp_path: Path) -> Iterator[Connection]:
    """A connection to it."""
    with Connection(api.kubeconfig(tmp_path), "dev", timeout=0.5) as connected:
        yield connected


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
    own.create(pod())
    api.faults["DELETE", "/pods"] = 404  # as if a finalizer kept it
    with pytest.raises(TestbedError, match=r"there still are Pod lab/client-a; remove them with"):
        own.remove([pod()])
