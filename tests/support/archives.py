"""Small archives in the forms that tools write: images without layers, a chart without templates.

Made after the OCI image layout, the older form of `docker image save`, and the places in
values.yaml that Cilium's chart has; no image and no chart is copied.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import yaml

DIGEST = f"sha256:{'d' * 64}"


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
