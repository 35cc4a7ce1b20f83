"""References of container images: what stands for which, and what they are pinned by.

A reference is `REPOSITORY[:TAG][@DIGEST]`; Docker Hub's may leave out `docker.io/` and
`library/` (the reference grammar of github.com/distribution/reference).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_HUB = "docker.io"


def chosen(image: str, images: Mapping[str, str]) -> str:
    """What is used instead of an image: named in full, without its digest, or without its tag."""
    for name in names(image):
        if name in images:
            return images[name]
    return image


def names(image: str) -> Iterator[str]:
    """An image by its whole reference, without its digest, without its tag."""
    repository, tag, digest = parts(image)
    yield image
    if digest and tag:
        yield f"{repository}:{tag}"
    if digest or tag:
        yield repository


def parts(image: str) -> tuple[str, str, str]:
    """Repository, tag and digest; empty where a reference has none."""
    tagged, _, digest = image.partition("@")
    repository, colon, tag = tagged.rpartition(":")
    if not colon or "/" in tag:  # a registry's port is no tag
        return tagged, "", digest
    return repository, tag, digest


def normal(image: str) -> str:
    """A reference with nothing left out before its repository's name."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        hub, rest = first == _HUB, image.partition("/")[2]
        return f"{_HUB}/library/{rest}" if hub and "/" not in rest else image
    return f"{_HUB}/{image}" if slash else f"{_HUB}/library/{image}"


def by_tag(image: str) -> bool:
    """Whether a reference has no digest, so that its content may change."""
    return not parts(image)[2]
