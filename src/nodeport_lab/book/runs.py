"""The one list of run notebooks, `notebooks/runs.yml`: reading and checking it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nodeport_lab.errors import NotebookError, UnknownNameError
from nodeport_lab.testbeds.embedded import programs
from nodeport_lab.testbeds.embedded.programs import INSTALLED

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_REQUIRED = ("id", "title", "summary", "template")
_FIELDS = (*_REQUIRED, "parameters", "needs")


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run notebook: which template, with which parameters, under which title.

    Attributes:
        id: file name without suffix, and prefix of the run's labels.
        title: heading of the page.
        summary: the paragraph under the heading that is this run's own.
        template: path of the template.
        parameters: parameter -> value, as papermill injects them.
        needs: programs without which it is not executed and keeps its stored outputs.
    """

    id: str
    title: str
    summary: str
    template: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()

    @property
    def filename(self) -> str:
        """Name of the executed notebook."""
        return f"{self.id}.ipynb"


def load(notebooks: Path) -> tuple[RunSpec, ...]:
    """Read `runs.yml` of a folder that also holds `templates/`.

    Raises:
        NotebookError: the list says something that cannot be used.
        UnknownNameError: a run names a template that does not exist.
    """
    path = notebooks / "runs.yml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, list) or not document:
        raise NotebookError(f"{path.name} must be a list with one entry per run notebook")
    specs = tuple(
        _spec(entry, position, notebooks / "templates") for position, entry in enumerate(document)
    )
    repeated = sorted({spec.id for spec in specs if sum(s.id == spec.id for s in specs) > 1})
    if repeated:
        raise NotebookError(f"{path.name} has the id {repeated[0]!r} twice; ids must be unique")
    return specs


def missing(spec: RunSpec) -> str | None:
    """Why this machine lacks what a run needs, in one sentence; None if it has it."""
    return programs.missing(set(spec.needs))


def select(specs: Iterable[RunSpec], names: Iterable[str]) -> tuple[RunSpec, ...]:
    """The runs with the given ids in the list's order, or all of them without any.

    Raises:
        UnknownNameError: there is no such run.
    """
    specs, wanted = tuple(specs), tuple(names)
    known = [spec.id for spec in specs]
    for name in wanted:
        if name not in known:
            raise UnknownNameError("run", name, known)
    return tuple(spec for spec in specs if not wanted or spec.id in wanted)


def _spec(entry: object, position: int, templates: Path) -> RunSpec:
    """Check one entry of the list."""
    where = f"runs.yml: entry {position + 1}"
    if not isinstance(entry, dict):
        raise NotebookError(f"{where} must be a mapping with the fields {', '.join(_FIELDS)}")
    for key in entry:
        if key not in _FIELDS:
            raise UnknownNameError(f"field of {where}", str(key), _FIELDS)
    for key in _REQUIRED:
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise NotebookError(f"{where} needs {key!r}, a text that is not empty")
    if not _SLUG.fullmatch(entry["id"]):
        raise NotebookError(
            f"{where}: the id {entry['id']!r} must be lower-case words joined by hyphens, "
            "since it names a file and a page"
        )
    known = sorted(path.stem for path in templates.glob("*.ipynb"))
    if entry["template"] not in known:
        raise UnknownNameError(f"template for {where}", entry["template"], known)
    parameters = entry.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise NotebookError(f"{where}: 'parameters' must map names to values")
    return RunSpec(
        id=entry["id"],
        title=entry["title"].strip(),
        summary=entry["summary"].strip(),
        template=templates / f"{entry['template']}.ipynb",
        parameters=parameters,
        needs=_needs(entry.get("needs") or [], where),
    )


def _needs(names: object, where: str) -> tuple[str, ...]:
    if not isinstance(names, list):
        raise NotebookError(f"{where}: 'needs' must be a list of programs")
    for name in names:
        if name not in INSTALLED:
            raise UnknownNameError(f"program for {where}", str(name), list(INSTALLED))
    return tuple(names)
