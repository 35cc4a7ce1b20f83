"""What is deployed in a cluster, read only, as the same reading as that of files.

Pods speak for the workloads that made them: they know their nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nodeport_lab.manifests.users import Reading, read_listed

LISTED = (
    ("v1", "Namespace"),
    ("v1", "Pod"),
    ("v1", "Service"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
)
"""What is asked for, each as apiVersion and kind; `list` of these is every right it takes."""

Lister = Callable[[str, str], Sequence[Mapping[str, Any]]]
"""Lists every object of an apiVersion and kind, in all namespaces."""


def read_deployed(list_objects: Lister, cluster: str) -> Reading:
    """Read a cluster.

    Args:
        list_objects: how to ask it; the objects may leave out their kind, as the API does.
        cluster: what to call it in findings.

    Raises:
        ManifestError: an object that cannot be understood.
    """
    return read_listed(_objects(list_objects), cluster)


def _objects(list_objects: Lister) -> Iterator[Mapping[str, Any]]:
    for version, kind in LISTED:
        for found in list_objects(version, kind):
            yield {"apiVersion": version, "kind": kind, **found}
