"""Writes kubernetes_fields.json from the models of the `kubernetes` client.

Importing that client takes longer than a whole experiment, so what the lab needs of it is
written down once:

    python -m nodeport_lab.manifests.generate_fields

A test repeats this and compares, so the file cannot drift from the pinned client.
"""

from __future__ import annotations

import datetime as dt
import json
import types
import typing

from nodeport_lab.manifests.fields import KUBERNETES_FIELDS

if typing.TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

COMMAND = "python -m nodeport_lab.manifests.generate_fields"

KINDS = {
    "Namespace": "v1",
    "Pod": "v1",
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Job": "batch/v1",
    "ConfigMap": "v1",
    "Service": "v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}
"""The kinds that the lab reads, each with its apiVersion."""

_SCALARS: dict[object, str] = {
    str: "str",
    bytes: "str",
    int: "int",
    bool: "bool",
    dt.datetime: "time",
    typing.Any: "any",
}

QUANTITIES = frozenset(
    {
        ("ContainerStatus", "allocatedResources"),
        ("EmptyDirVolumeSource", "sizeLimit"),
        ("NodeAllocatableMappedResources", "quantity"),
        ("NodeAllocatableOverheadResources", "perContainer"),
        ("NodeAllocatableOverheadResources", "perPod"),
        ("PersistentVolumeClaimStatus", "allocatedResources"),
        ("PersistentVolumeClaimStatus", "capacity"),
        ("PodSpec", "overhead"),
        ("PodStatus", "allocatedResources"),
        ("ResourceFieldSelector", "divisor"),
        ("ResourceRequirements", "limits"),
        ("ResourceRequirements", "requests"),
        ("VolumeResourceRequirements", "limits"),
        ("VolumeResourceRequirements", "requests"),
    }
)
"""Fields that may hold numbers too (`cpu: 1`); the client's models call them text."""


def main() -> None:
    """Write the file."""
    KUBERNETES_FIELDS.write_text(generate(), encoding="utf-8")


def generate() -> str:
    """The file's text: every type that the kinds reach, one on a line."""
    import kubernetes  # noqa: PLC0415 - takes a second
    from kubernetes.client import models  # noqa: PLC0415

    found: dict[str, dict[str, str]] = {}
    waiting: list[type[BaseModel]] = [getattr(models, f"V1{kind}") for kind in KINDS]
    while waiting:
        model = waiting.pop()
        if _name(model) not in found:
            found[_name(model)] = _fields(model, waiting)
    head = {
        "command": COMMAND,
        "source": f"models of the Python package kubernetes {kubernetes.__version__}",
        "kinds": {kind: {"apiVersion": version, "type": kind} for kind, version in KINDS.items()},
    }
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    rows = [f"  {json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found)]
    return "\n".join(["{", *lines, ' "types": {', ",\n".join(rows), " }", "}", ""])


def _name(model: type[BaseModel]) -> str:
    return model.__name__.removeprefix("V1")


def _fields(model: type[BaseModel], waiting: list[type[BaseModel]]) -> dict[str, str]:
    """The fields of one model as Kubernetes spells them; models met go to `waiting`."""
    fields = {}
    for attribute, info in model.model_fields.items():
        name = info.serialization_alias or attribute
        notation = _field_type(info, waiting)
        if (_name(model), name) in QUANTITIES:
            notation = notation.replace("str", "quantity")
        fields[name] = notation
    return fields


def _field_type(info: FieldInfo, waiting: list[type[BaseModel]]) -> str:
    return _notation(info.annotation, waiting) + ("!" if info.is_required() else "")


def _notation(annotation: object, waiting: list[type[BaseModel]]) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _notation(arguments[0], waiting)
    if origin in (typing.Union, types.UnionType):
        kinds = [_notation(one, waiting) for one in arguments if one is not type(None)]
        return "|".join(dict.fromkeys(kinds))
    if origin is list:
        return f"[{_notation(arguments[0], waiting)}]"
    if origin is dict:
        return f"{{{_notation(arguments[1], waiting)}}}"
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    model = typing.cast("type[BaseModel]", annotation)
    waiting.append(model)
    return _name(model)


if __name__ == "__main__":
    main()
