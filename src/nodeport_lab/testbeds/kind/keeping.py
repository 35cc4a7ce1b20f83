"""Namespaces, pods and Services that stay in a cluster of the lab's own from run to run.

`up` puts the report's there, and a run uses again what is as it needs it. What differs is made
anew, and what a run does not need is deleted before it dials anything: a server that was left
from another run would answer for its Service as well. Policies are never kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.ownership import RUN_LABEL, Key, Manifest, Ownership, key_of

RUN = "kept"
"""In the place of a run's number, in labels and in the names of namespaces."""
AS_MADE = "nodeport-lab/manifest"
"""Key of the annotation that tells from which manifest an object was made."""

_KEPT = (("v1", "Namespace"), ("v1", "Service"), ("v1", "Pod"))
_NEVER = (("networking.k8s.io/v1", "NetworkPolicy"),)


class Keeping:
    """Hands that keep; see `cluster.testbed.Hands`."""

    run = RUN

    def __init__(self, connection: Connection) -> None:
        """Begin; nothing is asked yet."""
        self._connection = connection
        self._own = Ownership(connection, run=RUN)
        self._used: set[Key] = set()

    def create(self, manifest: Manifest) -> Mapping[str, Any]:
        """Find an object as it was made from this manifest, or make it.

        Raises:
            ClusterError: somebody else's object has its name, or the cluster refuses it.
        """
        key = key_of(manifest)
        if key[:2] not in _KEPT:
            return self._own.create(manifest)
        self._used.add(key)
        metadata = manifest["metadata"]
        notes = {**(metadata.get("annotations") or {}), AS_MADE: _digest(manifest)}
        wanted = {**manifest, "metadata": {**metadata, "annotations": notes}}
        found = self._connection.find(key[0], key[1], key[3], key[2])
        if found is not None and self._ours(found):
            self._own.adopt(key, found)
            if _as_made(found) == notes[AS_MADE]:
                return found
            self._own.remove([manifest])
        if key[1] == "Service":
            self._clear()  # one that is not needed may have the node port
        return self._own.create(wanted)

    def ready(self, pods: Sequence[Manifest]) -> Sequence[Mapping[str, Any]]:
        """Delete what this testbed has no use for, and wait until its pods are ready."""
        self._clear()
        return self._own.ready(pods)

    def remove(self, manifests: Sequence[Manifest]) -> None:
        """Delete policies; the rest is only free to be used again."""
        self._own.remove([one for one in manifests if key_of(one)[:2] not in _KEPT])
        self._used.difference_update(map(key_of, manifests))

    def __enter__(self) -> Self:
        """Delete the policies that a run has left which was killed."""
        self._delete(_NEVER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Delete whatever is not to be kept."""
        for key in [key for key in self._own.keys if key[:2] in _KEPT]:
            self._own.release(key)
        self._own.__exit__(kind, error, traceback)

    def _clear(self) -> None:
        """Delete the pods and Services of runs before that nothing has asked for."""
        self._delete([kind for kind in _KEPT if kind[1] != "Namespace"])

    def _delete(self, kinds: Sequence[tuple[str, str]]) -> None:
        leftovers = []
        for key, found in self._found(kinds):
            if key not in self._used:
                self._own.adopt(key, found)
                leftovers.append(_named(key))
        self._own.remove(leftovers)

    def _found(self, kinds: Sequence[tuple[str, str]]) -> Iterator[tuple[Key, Mapping[str, Any]]]:
        for version, kind in kinds:
            for found in self._connection.list(version, kind, labels=f"{RUN_LABEL}={RUN}"):
                metadata = found["metadata"]
                yield (version, kind, metadata.get("namespace"), metadata["name"]), found

    @staticmethod
    def _ours(found: Mapping[str, Any]) -> bool:
        return (found["metadata"].get("labels") or {}).get(RUN_LABEL) == RUN


def _named(key: Key) -> Manifest:
    version, kind, namespace, name = key
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
    }


def _digest(manifest: Manifest) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _as_made(found: Mapping[str, Any]) -> str | None:
    """What an object was made from; None for one that is going, or has ended."""
    metadata = found["metadata"]
    ended = (found.get("status") or {}).get("phase") in {"Failed", "Succeeded", "Terminating"}
    if metadata.get("deletionTimestamp") or ended:
        return None
    noted: str | None = (metadata.get("annotations") or {}).get(AS_MADE)
    return noted
