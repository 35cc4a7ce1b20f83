"""Runs as JSON: the form in which observations leave the lab and come back.

The form is described by `observations.schema.json` (schema 1). Field names are those of
`nodeport_lab.model`. A reader ignores fields that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any, TypeVar

from nodeport_lab.errors import LabError
from nodeport_lab.model import (
    Action,
    ClusterFacts,
    Decision,
    Direction,
    Network,
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

_OPTIONAL = {"date", "cluster"}
"""Fields of a run that are left out where they are None: only records have them."""

_SENTENCES = ("canaries", "left_out", "other_policies")
"""Fields of a cluster's facts that older records do not have."""

_Record = TypeVar("_Record", Run, Observation, Decision, ClusterFacts)


def to_json(runs: Sequence[Run]) -> dict[str, Any]:
    """The runs as a document of schema 1, made of plain JSON values only."""
    return {"schema": SCHEMA, "runs": [_plain_run(run) for run in runs]}


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
    try:
        return tuple(_run(raw) for raw in checked["runs"])
    except ValueError as error:  # an address that the schema's pattern lets through
        raise LabError(f"these observations do not follow schema {SCHEMA}: {error}") from error


def _plain_run(run: Run) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(run)
    return {
        name: value for name, value in plain.items() if name not in _OPTIONAL or value is not None
    }


def _plain(value: object) -> Any:  # noqa: ANN401  # any JSON value
    if isinstance(value, StrEnum | IPv4Address | IPv4Network):
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
    cluster = None if raw.get("cluster") is None else _cluster(raw["cluster"])
    return _record(Run, {**raw, "observations": observations, "cluster": cluster})


def _cluster(raw: Mapping[str, Any]) -> ClusterFacts:
    network = None if raw.get("network") is None else _network(raw["network"])
    sentences = {name: tuple(raw.get(name, ())) for name in _SENTENCES}
    evidence = {policy: tuple(told) for policy, told in raw.get("evidence", {}).items()}
    return _record(ClusterFacts, {**raw, **sentences, "evidence": evidence, "network": network})


def _network(raw: Mapping[str, Any]) -> Network:
    return Network(
        node_cidr=IPv4Network(raw["node_cidr"]),
        pod_cidr=IPv4Network(raw["pod_cidr"]),
        service_cidr=IPv4Network(raw["service_cidr"]),
        nodes=_addresses(raw["nodes"]),
        node_pod_cidrs={name: IPv4Network(text) for name, text in raw["node_pod_cidrs"].items()},
        pods=_addresses(raw["pods"]),
        cluster_ips=_addresses(raw["cluster_ips"]),
        tunnels=_addresses(raw.get("tunnels", {})),
        load_balancers=_addresses(raw.get("load_balancers", {})),
    )


def _addresses(raw: Mapping[str, str]) -> dict[str, IPv4Address]:
    return {name: IPv4Address(text) for name, text in raw.items()}


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
