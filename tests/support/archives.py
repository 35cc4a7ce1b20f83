"""Small files in the forms of what is fetched: images without layers, a chart without templates.

Made after the OCI image layout, the older form of `docker image save`, the places in values.yaml
that Cilium's chart has, and the kinds in Calico's manifests; nothing of them is copied.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

VERSIONS = ("1.18.12", "1.20.0")
DIGEST = f"sha256:{'d' * 64}"

CRDS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: installations.operator.tigera.io}
"""
OPERATOR = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: tigera-operator, namespace: tigera-operator}
spec: {template: {spec: {containers: [{name: operator, image: "quay.io/tigera/operator:v1"}]}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: tigera-operator}
---
"""


def write(file: Path, members: Mapping[str, object]) -> Path:
    """An archive of JSON documents, or of texts."""
    with tarfile.open(file, "w:gz") as archive:
        for name, content in members.items():
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file


def oci(file: Path, *names: str, digest: str = DIGEST) -> Path:
    """An archive in OCI layout, its images named as containerd's importer reads it."""
    manifests = [
        {"digest": digest, "annotations": {"io.containerd.image.name": name}} for name in names
    ]
    return write(file, {"oci-layout": {}, "index.json": {"manifests": manifests}})


def saved(file: Path, *tags: str) -> Path:
    """An archive in the older form of `docker image save`."""
    return write(file, {"manifest.json": [{"RepoTags": list(tags)}]})


def chart(file: Path, version: str) -> Path:
    """A chart of Cilium with the images of a version."""
    cilium = "quay.io/cilium"
    agent = {"repository": f"{cilium}/cilium", "tag": f"v{version}", "digest": DIGEST}
    operator = {
        "repository": f"{cilium}/operator",
        "suffix": "",
        "tag": f"v{version}",
        "genericDigest": DIGEST,
    }
    envoy = {"repository": f"{cilium}/cilium-envoy", "tag": "v1.37-1", "digest": DIGEST}
    values = {
        "image": {**agent, "useDigest": True},
        "operator": {"image": {**operator, "useDigest": True}},
        "envoy": {"image": {**envoy, "useDigest": True}},
    }
    return write(file, {"cilium/values.yaml": yaml.safe_dump(values)})


def copies(folder: Path) -> Path:
    """A file of overrides that has small ones in the places of what would be fetched."""
    texts = {"v1_crd_projectcalico_org.yaml": CRDS, "tigera-operator.yaml": OPERATOR}
    for name, text in texts.items():
        (folder / name).write_text(text)
    charts = [chart(folder / f"cilium-{one}.tgz", one).name for one in VERSIONS]

    def own(names: Iterable[str]) -> dict[str, dict[str, str]]:
        return {
            name: {
                "url": name,
                "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
            }
            for name in names
        }

    file = folder / "overrides.yaml"
    file.write_text(yaml.safe_dump({"manifests": own(texts), "charts": own(charts)}))
    return file
