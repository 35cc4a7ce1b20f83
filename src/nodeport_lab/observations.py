"""Runs as JSON: the form in which observations leave the lab and come back.

The form is described by `observations.schema.json` (schema 1). Field names are those of
`nodeport_lab.model`. A reader ignores fields that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from nodeport_lab.errors import LabError
from nodeport_lab.model import (
    Action,
    Decision,
    Direction,
    Observation,
    Protocol,
    Relation,
    Run,
    Verdict,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SCHEMA = 1

_ENUMS: dict[str, type[StrEnum]] = {
    "action": Action,
    "control": Verdict,
    "direction": Direction,
    "protocol": Protocol,
    "relation": Relation,
    "verdict": Verdict,
}

_Record = TypeVar("_Record", Run, Observation, Decision)


def to_json(runs: Sequence[Run]) -> dict[str, Any]:
    """The runs as a document of schema 1, made of plain JSON values only."""
    return {"schema": SCHEMA, "runs": [_plain(run) for run in runs]}


def from_json(document: object) -> tuple[Run, ...]:
    """The runs of a document that `to_json` wrote, in this or in a later version.

    Raises:
        LabError: the document does not follow schema 1; the message names the place.
    """
    # Writing is on the way of every run, reading is not: only reading pays for jsonschema.
    from nodeport_lab import schemas  # noqa: PLC0415

    written = document.get("schema") if isinstance(document, Mapping) else None
    if isinstance(written, int) and written != SCHEMA:
        raise LabError(
            f"these observations follow schema {written}, this version of nodeport-lab reads "
            f"schema {SCHEMA}; use the version that wrote them"
        )
    fault = schemas.fault(document, schemas.load("observations"))
    if fault:
        raise LabError(f"these observations do not follow schema {SCHEMA}: {fault}")
    checked: Any = document
    return tuple(_run(raw) for raw in checked["runs"])


def _plain(value: object) -> Any:  # noqa: ANN401  # any JSON value
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value


def _run(raw: Mapping[str, Any]) -> Run:
    observations = tuple(_observation(item) for item in raw["observations"])
    return _record(Run, {**raw, "observations": observations})


def _observation(raw: Mapping[str, Any]) -> Observation:
    decisions = tuple(_record(Decision, item) for item in raw["decisions"])
    return _record(Observation, {**raw, "decisions": decisions})


def _record(kind: type[_Record], raw: Mapping[str, Any]) -> _Record:
    known = _names(kind) & raw.keys()
    return kind(**{name: _value(name, raw[name]) for name in known})


def _names(kind: type[DataclassInstance]) -> set[str]:
    return {field.name for field in fields(kind)}


def _value(name: str, value: Any) -> Any:  # noqa: ANN401  # any JSON value
    return _ENUMS[name](value) if name in _ENUMS and value is not None else value
