"""Other people's manifests: what can be read of them, what is left out, and why.

The lab's own manifests are read strictly, because a kind that it does not know would be a
mistake. Those of users come out of kubectl, kustomize or helm, with kinds that have no part
in this and with fields that only a cluster writes. They are read leniently: nothing that
Kubernetes accepts is refused, and nothing is left out without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nodeport_lab.errors import ManifestError
from nodeport_lab.manifests.documents import Field, read_documents
from nodeport_lab.manifests.fields import known_part, kubernetes_table
from nodeport_lab.manifests.objects import Object, read_object
from nodeport_lab.manifests.wording import describe

STANDARD_INPUT = "-"
LARGEST_FILE = 64 * 1024 * 1024
"""Bytes; more is refused before it is read."""

MOST_FILES = 10_000

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_UNUSED = frozenset({"ConfigMap"})  # read for the lab's own programs; no part of a question
_FINISHED = frozenset({"Succeeded", "Failed"})
_LONGEST = 253  # characters of a name
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Ignored:
    """An object that was left out.

    Attributes:
        kind: its kind, with the API group where the kind alone would mislead.
        name: its name; empty where it has none.
        place: file and document.
        is_policy: whether it is a policy of another API, so that its effect is missing.
    """

    kind: str
    name: str
    place: str
    is_policy: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found.

    Attributes:
        objects: of the kinds that the lab reads.
        ignored: everything else.
        unknown: fields of a cluster that is newer than the lab, each as kind and path.
    """

    objects: tuple[Object, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, in sentences: policies one by one, other kinds counted."""
        policies = [
            f"{one.place}: the {one.kind} {one.name or 'without a name'} is not a NetworkPolicy of "
            "networking.k8s.io/v1; it is left out, and what it does is missing from the answers"
            for one in self.ignored
            if one.is_policy
        ]
        counts: dict[str, int] = {}
        for one in self.ignored:
            if not one.is_policy:
                counts[one.kind] = counts.get(one.kind, 0) + 1
        notes = [*policies]
        if counts:
            listed = ", ".join(f"{kind} ({number})" for kind, number in sorted(counts.items()))
            notes.append(f"kinds without a part in this are left out: {listed}")
        if self.unknown:
            listed = ", ".join(dict.fromkeys(self.unknown))
            notes.append(f"fields that the lab does not know are left out: {listed}")
        return tuple(notes)


def read_users_files(
    paths: Sequence[str], standard_input: bytes = b"", folder: Path | None = None
) -> Reading:
    """Read files, folders (with the folders in them), and standard input.

    Args:
        paths: each a file, a folder, or `-`.
        standard_input: what stands for `-`.
        folder: where relative paths begin, if not where this process is; sources are named
            without it.

    Raises:
        ManifestError: a path that cannot be read, or a manifest that Kubernetes refuses.
    """
    readings = [
        read_users_text(text, source)
        for path in paths
        for source, text in _texts(path, standard_input, folder or Path())
    ]
    return joined(readings)


def read_users_text(text: str | bytes, source: str) -> Reading:
    """Read every object of a YAML or JSON text.

    Args:
        text: one document or several; bytes must be UTF-8.
        source: name of the text for errors and findings, usually its path.

    Raises:
        ManifestError: it is no plain YAML, or an object that the lab reads is not one that
            Kubernetes accepts.
    """
    source = printable(source)
    try:
        documents = read_documents(text, source)
    except ManifestError as error:
        template = "{{" in text if isinstance(text, str) else b"{{" in text
        if template:
            hint = "; if this is a template of helm, render it first: helm template ... | "
            raise ManifestError(f"{error}{hint}nodeport-lab check -f -") from error
        raise
    return joined([_reading(document) for document in documents])


def read_listed(listed: Iterable[Mapping[str, Any]], source: str) -> Reading:
    """Read objects as a cluster's API lists them; each must have its kind and apiVersion.

    The cluster has accepted them: fields that the lab does not know are no mistakes but newer
    than the lab, and are left out.

    Args:
        listed: raw objects.
        source: what to call the cluster in findings.
    """
    return joined([_reading_of(Field(_called(raw, source), 0, "", dict(raw))) for raw in listed])


def _reading_of(field: Field) -> Reading:
    """An object that a cluster has accepted."""
    kind = field.value["kind"]
    table = kubernetes_table()
    if kind not in table["kinds"] or kind in _UNUSED:
        return _reading(field)
    unknown: list[str] = []
    status = {"status": field.value["status"]} if "status" in field.value else {}
    known = known_part(_cleaned(field), table["kinds"][kind]["type"], table["types"], unknown)
    found = _reading(_with(field, {**known, **status}))
    paths = (f"{_INDEX.sub('[]', path)} of {kind}" for path in unknown)
    return replace(found, unknown=tuple(map(printable, paths)))


def _called(raw: Mapping[str, Any], source: str) -> str:
    metadata = raw.get("metadata") or {}
    names = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
    return printable(f"{source}, {raw['kind']} {names}")


def joined(readings: Sequence[Reading]) -> Reading:
    """Several readings as one."""
    return Reading(
        tuple(found for one in readings for found in one.objects),
        tuple(found for one in readings for found in one.ignored),
        tuple(found for one in readings for found in one.unknown),
    )


def printable(text: str) -> str:
    """A text without characters that would do something to a terminal or a document."""
    shown = "\N{REPLACEMENT CHARACTER}"
    return "".join(letter if letter.isprintable() else shown for letter in text)


def _texts(path: str, standard_input: bytes, folder: Path) -> Iterator[tuple[str, bytes]]:
    if path == STANDARD_INPUT:
        _check_size(len(standard_input), "standard input")
        yield "standard input", standard_input
        return
    given = folder / path
    files = [given]
    if given.is_dir():
        files = sorted(_manifests(given))
        if not files:
            message = "no file in this folder ends in .yaml, .yml or .json"
            raise ManifestError(f"{printable(path)}: {message}; name the right folder")
        if len(files) > MOST_FILES:
            message = f"this folder has more than {MOST_FILES} manifests"
            raise ManifestError(f"{printable(path)}: {message}; name a smaller one")
    for file in files:
        try:
            _check_size(file.stat().st_size, str(file))
            named = file.relative_to(folder) if file.is_relative_to(folder) else file
            yield str(named), file.read_bytes()
        except OSError as error:
            message = f"this cannot be read ({error.strerror}); mend the path or its rights"
            raise ManifestError(f"{printable(str(file))}: {message}") from error


def _manifests(folder: Path) -> Iterator[Path]:
    """Manifests in a folder and below it; hidden ones and links to folders are passed by."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _manifests(path)
        elif path.suffix in _SUFFIXES and path.is_file():
            yield path


def _check_size(size: int, source: str) -> None:
    if size > LARGEST_FILE:
        message = f"{size} bytes are more than the {LARGEST_FILE} that are read at once"
        raise ManifestError(f"{printable(source)}: {message}; split it")


def _reading(field: Field) -> Reading:
    """An object, or those of a list."""
    if not isinstance(field.value, dict):
        message = f"{describe(field.value)} stands where an object belongs"
        raise field.error(f"{message}; write apiVersion, kind, metadata and spec")
    kind = field.get("kind")
    if not isinstance(kind.value, str):
        message = f"{describe(kind.value)} stands where a kind belongs"
        raise kind.error(f"{message}; write what kind of object this is")
    items = field.get("items")
    if kind.value.endswith("List") and isinstance(items.value, list):
        return joined([_reading(_completed(field, item)) for item in items.items()])
    version = field.get("apiVersion").value
    known = kubernetes_table()["kinds"].get(kind.value)
    if known is None or (isinstance(version, str) and version != known["apiVersion"]):
        return Reading(ignored=(_ignored(field, clash=known is not None),))
    if kind.value in _UNUSED:
        return Reading(ignored=(_ignored(field, clash=False),))
    if field.get("status", "phase").value in _FINISHED and kind.value == "Pod":
        return Reading(ignored=(_ignored(field, clash=False, suffix=" that has ended"),))
    return Reading((read_object(_cleaned(field)),))


def _completed(parent: Field, item: Field) -> Field:
    """An item of a typed list, as `PodList`, which may leave its kind to the list."""
    kind = parent.value["kind"].removesuffix("List")
    if not kind or not isinstance(item.value, dict) or "kind" in item.value:
        return item
    version = parent.value.get("apiVersion")
    return _with(item, {"apiVersion": version, "kind": kind, **item.value})


def _ignored(field: Field, *, clash: bool, suffix: str = "") -> Ignored:
    kind = printable(field.value["kind"])
    version = field.get("apiVersion").value
    is_policy = "policy" in kind.lower() and "network" in kind.lower()
    if isinstance(version, str) and (clash or is_policy):
        kind = f"{kind} of {printable(version)}"
    name = field.get("metadata", "name").value
    return Ignored(
        kind=f"{kind}{suffix}"[:_LONGEST],
        name=printable(name)[:_LONGEST] if isinstance(name, str) else "",
        place=field.place,
        is_policy=is_policy,
    )


def _cleaned(field: Field) -> Field:
    """An object without what only a cluster writes, and with a name if it asks for one."""
    value = {name: part for name, part in field.value.items() if name != "status"}
    metadata = value.get("metadata")
    if isinstance(metadata, dict):
        metadata = {name: part for name, part in metadata.items() if name != "managedFields"}
        prefix = metadata.get("generateName")
        if metadata.get("name") is None and isinstance(prefix, str):
            metadata["name"] = f"{prefix}0"
        value["metadata"] = metadata
    return _with(field, value)


def _with(field: Field, value: dict[str, Any]) -> Field:
    return Field(field.source, field.document, field.path, value)
