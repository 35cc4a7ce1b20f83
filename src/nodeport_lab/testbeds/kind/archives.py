"""Archives of images: by which names the nodes will know what is loaded from them.

kind gives an archive to `ctr images import` on each node. Names are those of containerd's
importer (core/images/archive/importer.go and reference.go): of an archive in OCI layout the
annotation `io.containerd.image.name` of each entry of its index, of one in Docker's older form
the tags of `manifest.json`. A digest is a name like any other: an image that was saved by its
tag has no name with a digest, and a kubelet that is asked for the digest does not find it.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nodeport_lab.errors import PrerequisiteError
from nodeport_lab.testbeds.cluster.images import normal, parts

_NAME = "io.containerd.image.name"
_LAYOUT, _INDEX, _MANIFEST = "oci-layout", "index.json", "manifest.json"


def read(file: Path) -> frozenset[str]:
    """The names of the images in an archive.

    Raises:
        PrerequisiteError: it is no archive of images, or has none that a name leads to.
    """
    try:
        with tarfile.open(file) as archive:
            members = {
                member.name.removeprefix("./"): _read(archive, member)
                for member in archive
                if member.name.removeprefix("./") in {_LAYOUT, _INDEX, _MANIFEST}
            }
        found = frozenset(map(normal, _named(members)))
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PrerequisiteError(
            f"{file} is no archive of images ({error}); make one with: docker image save IMAGE "
            "--output FILE"
        ) from error
    if not found:
        raise PrerequisiteError(
            f"no image in {file} has a name, so no pod could ask for it; save it by its tag"
        )
    return found


def settled(image: str, loaded: Iterable[str]) -> str:
    """The reference by which a pod finds an image, in the nodes or in a registry.

    A digest is kept unless the nodes have the image by its tag alone. An image that has a
    digest and no tag is found by the tag that was loaded of its repository, where there is
    one only.
    """
    repository, tag, digest = parts(image)
    own = set(loaded)
    if not digest or normal(f"{repository}@{digest}") in own:
        return image
    if tag:
        return f"{repository}:{tag}" if normal(f"{repository}:{tag}") in own else image
    alike = {found for found in own if parts(found)[0] == normal(repository)}
    tags = sorted(parts(found)[1] for found in alike if parts(found)[1])
    return f"{repository}:{tags[0]}" if len(tags) == 1 else image


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = archive.extractfile(member)
    return content.read() if content else b""


def _named(members: dict[str, bytes]) -> Iterator[str]:
    if _LAYOUT in members:
        index: dict[str, Any] = json.loads(members[_INDEX])
        for one in index["manifests"]:
            name = (one.get("annotations") or {}).get(_NAME, "")
            digest = parts(name)[2]
            if name and digest in {"", one["digest"]}:
                yield name
        return
    for one in json.loads(members[_MANIFEST]):
        yield from one.get("RepoTags") or ()
