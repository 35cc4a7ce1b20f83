"""A CNI plugin into a cluster: Calico by its operator's manifests, Cilium by Helm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from nodeport_lab.errors import ManifestError
from nodeport_lab.testbeds.cluster import conditions
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.ownership import wait_until
from nodeport_lab.testbeds.kind import programs

_ESTABLISHED_WITHIN = 60.0  # seconds
_HELM_WITHIN = 300.0  # seconds
_CRD = "CustomResourceDefinition"
_CRD_VERSION = "apiextensions.k8s.io/v1"

Manifest = Mapping[str, Any]


def install_calico(
    connection: Connection,
    files: Sequence[Path],
    objects: Sequence[Manifest],
    images: Mapping[str, str],
) -> None:
    """Apply the operator's manifests, and then what it is asked for.

    Server-side, because the definition of Installation is larger than the annotation that
    client-side apply writes.

    Args:
        connection: to the cluster.
        files: manifests, in their order.
        objects: FelixConfiguration and Installation.
        images: image of a manifest, exactly -> what to use instead.
    """
    manifests = [manifest for file in files for manifest in read(file)]
    definitions = [one for one in manifests if one["kind"] == _CRD]
    # A namespace before what lives in it: sorting is stable otherwise.
    rest = sorted(
        (one for one in manifests if one["kind"] != _CRD),
        key=lambda one: one["kind"] != "Namespace",
    )
    for manifest in definitions:
        connection.apply(manifest)
    names = [one["metadata"]["name"] for one in definitions]
    wait_until(
        lambda: True if all(_established(connection, name) for name in names) else None,
        _ESTABLISHED_WITHIN,
        lambda: (
            "the cluster has not accepted Calico's custom resource definitions within "
            f"{_ESTABLISHED_WITHIN:g} s; see: kubectl get crd"
        ),
    )
    for one in (*rest, *objects):
        connection.apply(with_images(one, images))


def install_cilium(
    kubeconfig: Path, context: str, chart: Path, values: Mapping[str, Any], folder: Path
) -> None:
    """Install Cilium's chart, or bring it to these values.

    Args:
        kubeconfig: the cluster's own.
        context: its context.
        chart: the archive.
        values: of the chart.
        folder: where the file of values is kept.
    """
    file = folder / "cilium-values.yaml"
    file.write_text(yaml.safe_dump(dict(values), sort_keys=False), encoding="utf-8")
    programs.run(
        [
            "helm",
            "upgrade",
            "--install",
            "cilium",
            str(chart),
            "--namespace",
            "kube-system",
            "--kubeconfig",
            str(kubeconfig),
            "--kube-context",
            context,
            "--values",
            str(file),
        ],
        within=_HELM_WITHIN,
    )


def read(file: Path) -> list[dict[str, Any]]:
    """The objects of a file.

    Raises:
        ManifestError: it is no file of manifests.
    """
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        documents = list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=loader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        told = " ".join(str(error).split())
        raise ManifestError(f"{file} holds no manifests ({told}); name another copy") from error
    found = [one for one in documents if one is not None]
    for one in found:
        if not isinstance(one, dict) or not {"kind", "apiVersion", "metadata"} <= one.keys():
            raise ManifestError(f"{file} holds something else than manifests; name another copy")
    return found


def with_images(manifest: Manifest, images: Mapping[str, str]) -> dict[str, Any]:
    """A manifest with images replaced wherever it names them."""
    return {key: _replaced(key, value, images) for key, value in manifest.items()}


def _replaced(key: str, value: object, images: Mapping[str, str]) -> object:
    if isinstance(value, dict):
        return with_images(value, images)
    if isinstance(value, list):
        return [_replaced(key, one, images) for one in value]
    if key == "image" and isinstance(value, str):
        return images.get(value, value)
    return value


def _established(connection: Connection, name: str) -> bool:
    return conditions.holds(connection.find(_CRD_VERSION, _CRD, name), "Established")
