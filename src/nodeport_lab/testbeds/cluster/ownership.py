"""What a run creates in a cluster is its own: it carries its label, and no more is deleted."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from nodeport_lab.errors import TestbedError
from nodeport_lab.testbeds.cluster import conditions
from nodeport_lab.testbeds.cluster.connection import FIELD_MANAGER, Connection
from nodeport_lab.testbeds.cluster.failures import (
    CONFLICT,
    NOT_FOUND,
    ClusterError,
    passing,
)

RUN_LABEL = "nodeport-lab/run"
MANAGER_LABEL = "app.kubernetes.io/managed-by"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, as in names that Kubernetes makes
_LENGTH = 6
_LOOK = 0.5  # seconds between two looks
_READY, _GONE = 180.0, 120.0  # seconds
_LOST = 5.0  # seconds in which what was asked for without an answer may still appear
_CONFLICTS = 4  # tries to create what conflicts with something else
_UNSCHEDULABLE = 15.0  # seconds; an autoscaler or a late node may still help before
_HOPELESS = {
    # Source: k8s.io/kubernetes pkg/kubelet/images/types.go and pkg/kubelet/container/sync_result.go
    "ImagePullBackOff": "check that the node can reach the registry, or name another image",
    "InvalidImageName": "name another image",
    "ErrImageNeverPull": "load the image into the nodes",
    "CreateContainerConfigError": "see its events",
    "CreateContainerError": "see its events",
    "RunContainerError": "see its events",
    "CrashLoopBackOff": "see its log",
}

Manifest = Mapping[str, Any]
Key = tuple[str, str, str | None, str]
_Found = TypeVar("_Found")


class Ownership:
    """The hands of one run: they create, wait and delete; a context manager.

    Attributes:
        run: the run's number, which its objects carry in the label `nodeport-lab/run`.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        ready_within: float = _READY,
        gone_within: float = _GONE,
        lost_within: float = _LOST,
        run: str | None = None,
    ) -> None:
        """Begin a run; nothing is created yet.

        Args:
            connection: to the cluster.
            ready_within: seconds that pods may take to become ready.
            gone_within: seconds that deleted objects may take to be gone.
            lost_within: seconds in which an object that was asked for may still appear, where
                no answer said whether it was created.
            run: the run's number; None draws one.
        """
        self.run = run or "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        self._connection = connection
        self._ready_within = ready_within
        self._gone_within = gone_within
        self._lost_within = lost_within
        self._lost: dict[Key, float] = {}  # until when to look for them
        self._uids: dict[Key, str | None] = {}

    @property
    def left(self) -> list[str]:
        """What this run has created and not deleted yet, as `Kind namespace/name`."""
        return [_told(key) for key in self._uids]

    @property
    def keys(self) -> list[Key]:
        """The same as keys."""
        return list(self._uids)

    def adopt(self, key: Key, found: Mapping[str, Any]) -> None:
        """Take over an object that another process has made under this run's number."""
        self._uids[key] = found["metadata"].get("uid")

    def release(self, key: Key) -> None:
        """Leave an object where it is, whoever may take it over."""
        self._uids.pop(key, None)
        self._lost.pop(key, None)

    def create(self, manifest: Manifest) -> Mapping[str, Any]:
        """Create an object that must not be there yet.

        Raises:
            ClusterError: somebody else's object has its name, or the cluster refuses it.
        """
        key = key_of(manifest)
        metadata = manifest["metadata"]
        labels = {
            **(metadata.get("labels") or {}),
            RUN_LABEL: self.run,
            MANAGER_LABEL: FIELD_MANAGER,
        }
        self._uids[key] = None  # first: an answer that gets lost must not leave it behind
        try:
            made = self._created(key, {**manifest, "metadata": {**metadata, "labels": labels}})
        except ClusterError as error:
            if passing(error) or not error.status or error.status < 400:  # noqa: PLR2004 - HTTP's
                self._lost[key] = time.monotonic() + self._lost_within
                raise  # it may have been created all the same
            del self._uids[key]
            raise
        except BaseException:  # Ctrl-C while it is being created
            self._lost[key] = time.monotonic() + self._lost_within
            raise
        self._uids[key] = made["metadata"].get("uid")
        return made

    def _created(self, key: Key, manifest: Manifest) -> Mapping[str, Any]:
        """Create an object; what stands in the way for a moment only is waited for.

        A 409 has two meanings: AlreadyExists, and Conflict, where two requests changed the
        same thing at once, a quota's count for example (Kubernetes API conventions, "HTTP
        Status codes"). The second is to be tried again.
        """
        for look in range(_CONFLICTS):
            try:
                return self._connection.create(manifest)
            except ClusterError as error:
                if error.status != CONFLICT:
                    raise
                if (found := self._connection.find(*_place(key))) is not None:
                    labels = found["metadata"].get("labels") or {}
                    if labels.get(RUN_LABEL) == self.run:
                        return found  # something on the way has sent the request twice
                    raise ClusterError(
                        f"{_told(key)} exists already and this run did not make it; remove it, or "
                        "use another namespace",
                        CONFLICT,
                    ) from error
                if look == _CONFLICTS - 1:
                    raise
            time.sleep(_LOOK)
        raise AssertionError  # the last try returns or raises

    def ready(self, pods: Sequence[Manifest]) -> Sequence[Mapping[str, Any]]:
        """Wait until pods are ready; returns them as they are then, in the same order.

        Raises:
            TestbedError: one cannot become ready, or has not in time; with its reason.
        """
        keys = [key_of(pod) for pod in pods]
        start = time.monotonic()

        def look() -> list[Mapping[str, Any]] | None:
            found: list[Mapping[str, Any]] = []
            waiting = []
            for _, kind, namespace, name in keys:
                pod = self._connection.find("v1", kind, name, namespace)
                if pod is None:
                    raise TestbedError(
                        f"the pod {namespace}/{name} is gone; somebody or something deleted it, "
                        "try again"
                    )
                found.append(pod)
                if not is_ready(pod):
                    waiting.append(pod)
            for pod in waiting:
                _give_up_on(pod, time.monotonic() - start)
            return None if waiting else found

        return wait_until(
            look,
            self._ready_within,
            lambda: (
                f"not all of {len(keys)} pods became ready within {self._ready_within:g} s; "
                f"see: kubectl get pods -A -l {RUN_LABEL}={self.run}"
            ),
        )

    def remove(self, manifests: Sequence[Manifest]) -> None:
        """Delete objects of this run, in this order; returns when they are gone.

        What this run did not create is left alone, whatever its name. What the cluster
        refuses to delete does not keep the others from going.

        Raises:
            ClusterError: the cluster refuses.
            TestbedError: something is not gone in time; names it.
        """
        keys = [key for key in map(key_of, manifests) if key in self._uids]
        deleting: set[Key] = set()
        refusals: dict[Key, ClusterError] = {}
        failure = ""

        def left() -> list[Key]:
            return [key for key in keys if key in self._uids and key not in refusals]

        def look() -> bool | None:
            nonlocal failure
            failure = ""
            for step in (self._delete, self._forget):
                for key in left():
                    try:
                        step(key, deleting)
                    except ClusterError as error:
                        if not passing(error):
                            refusals[key] = error
                            continue
                        failure = f" ({error})"
                        if error.status is None:
                            return None  # not one time-out for each object
            return None if left() else True

        wait_until(
            look,
            self._gone_within,
            lambda: (
                f"after {self._gone_within:g} s there still are {', '.join(self.left)}{failure}; "
                f"remove them with: kubectl delete --all-namespaces -l {RUN_LABEL}={self.run} "
                "pods,services,networkpolicies"
            ),
        )
        for error in refusals.values():
            raise error

    def __enter__(self) -> Self:
        """Nothing is created before it is asked for."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Delete whatever is left, newest first; an impatient Ctrl-C does not stop it."""
        try:
            self._remove_all()
        except KeyboardInterrupt:
            self._remove_all()  # a second one does
            raise

    def _remove_all(self) -> None:
        self.remove(
            [
                {
                    "apiVersion": version,
                    "kind": kind,
                    "metadata": {"namespace": place, "name": name},
                }
                for version, kind, place, name in reversed(self._uids)
            ]
        )

    def _delete(self, key: Key, deleting: set[Key]) -> None:
        """Have an object of this run deleted, unless that is under way."""
        if key in deleting or (found := self._mine(key)) is None:
            return
        version, kind, namespace, name = key
        uid = found["metadata"].get("uid")
        try:
            self._connection.delete(version, kind, name, namespace, uid=uid)
        except ClusterError as error:
            if error.status not in {NOT_FOUND, CONFLICT}:  # gone, or a namesake of another uid
                raise
        self._lost.pop(key, None)  # it did appear: when it is gone, it is gone
        deleting.add(key)

    def _forget(self, key: Key, _deleting: set[Key]) -> None:
        """Strike an object off the list if it is gone and cannot appear any more."""
        if self._mine(key) is None and time.monotonic() >= self._lost.get(key, 0):
            del self._uids[key]
            self._lost.pop(key, None)

    def _mine(self, key: Key) -> Mapping[str, Any] | None:
        """The object of that name if this run created it."""
        found = self._connection.find(*_place(key))
        if found is None:
            return None
        metadata = found["metadata"]
        own = (metadata.get("labels") or {}).get(RUN_LABEL) == self.run
        uid = self._uids.get(key)
        return found if own and uid in {None, metadata.get("uid")} else None


def wait_until(
    look: Callable[[], _Found | None], within: float, complaint: Callable[[], str]
) -> _Found:
    """Look again and again until there is something.

    Args:
        look: returns what was waited for, or None.
        within: seconds.
        complaint: the sentence for when it takes longer.

    Raises:
        TestbedError: it takes longer.
    """
    end = time.monotonic() + within
    while (found := look()) is None:
        if time.monotonic() + _LOOK > end:
            raise TestbedError(complaint())
        time.sleep(_LOOK)
    return found


def is_ready(pod: Manifest) -> bool:
    """Whether a pod has the condition Ready, and an address."""
    return conditions.holds(pod, "Ready") and bool(pod["status"].get("podIPs"))


def _give_up_on(pod: Manifest, waited: float) -> None:
    """Refuse to wait for a pod that cannot become ready."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    name = f"the pod {metadata.get('namespace')}/{metadata['name']}"
    if status.get("phase") in {"Failed", "Succeeded"}:
        words = status.get("message") or status.get("reason") or "it ended"
        raise TestbedError(f"{name} will not become ready ({words}); see its log and events")
    for condition in conditions.said(pod):
        unplaced = condition["type"] == "PodScheduled" and condition["status"] == "False"
        if unplaced and waited >= _UNSCHEDULABLE:
            words = condition.get("message") or condition.get("reason")
            raise TestbedError(f"{name} finds no node ({words}); make room on the node it asks for")
    for container, reason, message in conditions.waiting(pod):
        if reason in _HOPELESS:
            raise TestbedError(
                f"{name} will not become ready: {reason} of {container.get('image')} "
                f"({message or reason}); {_HOPELESS[reason]}"
            )


def key_of(manifest: Manifest) -> Key:
    """API version, kind, namespace and name."""
    metadata = manifest["metadata"]
    return (
        manifest["apiVersion"],
        manifest["kind"],
        metadata.get("namespace"),
        metadata["name"],
    )


def _place(key: Key) -> tuple[str, str, str, str | None]:
    """The arguments by which an object is found."""
    version, kind, namespace, name = key
    return version, kind, name, namespace


def _told(key: Key) -> str:
    _, kind, namespace, name = key
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
