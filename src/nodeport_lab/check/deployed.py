"""What a cluster runs, asked of its API by GET alone: nothing is written, no Secret is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodeport_lab.errors import PrerequisiteError
from nodeport_lab.manifests.deployed import read_deployed
from nodeport_lab.manifests.users import Reading
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.failures import FORBIDDEN, UNAUTHORIZED, ClusterError

_REFUSALS = frozenset({UNAUTHORIZED, FORBIDDEN})


def read_cluster(
    kubeconfig: Path | None, context: str, namespaces: Sequence[str] = (), *, timeout: float = 10.0
) -> Reading:
    """Read what is deployed; listing is every right it takes, as the ClusterRole `view` grants it.

    Args:
        kubeconfig: None for $KUBECONFIG, or else ~/.kube/config.
        context: its name.
        namespaces: those to read; none for all. Each Namespace is then asked for by name,
            so that rights inside of it are enough.
        timeout: seconds for a request.

    Raises:
        UnknownNameError: the kubeconfig has no such context.
        PrerequisiteError: there is no readable kubeconfig, or a right is missing.
        ClusterError: no answer, or one that makes no sense.
        ManifestError: an object that cannot be understood.
    """
    asked = dict.fromkeys(namespaces)

    with Connection(kubeconfig, context, timeout=timeout) as connection:

        def listed(version: str, kind: str) -> list[dict[str, Any]]:
            if not asked:
                return connection.list(version, kind)
            if kind == "Namespace":
                return [_namespace(connection, context, name) for name in asked]
            return [one for name in asked for one in connection.list(version, kind, name)]

        try:
            return read_deployed(listed, f"context {context}")
        except ClusterError as error:
            if error.status not in _REFUSALS:
                raise
            raise PrerequisiteError(_refused(str(error), context, asked)) from error


def _namespace(connection: Connection, context: str, name: str) -> dict[str, Any]:
    found = connection.find("v1", "Namespace", name)
    if found is None:
        raise PrerequisiteError(
            f"the cluster of context {context!r} has no namespace {name!r}; "
            "name another with --namespace"
        )
    return found


def _refused(said: str, context: str, asked: object) -> str:
    told = said.partition("; ")[0]
    less = "" if asked else ", or read less with --namespace"
    return f"{told}; the ClusterRole view is enough for the user of context {context!r}{less}"
