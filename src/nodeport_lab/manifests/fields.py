"""Which fields there are: checks names, types and presence against a table of types.

A table maps the name of a type to its fields, and a field to the type it holds, in a small
notation: a scalar (`str`, `int`, `bool`, `int|str`, `time`, `quantity`), `any`, the name of
another type, `[T]` for a list, `{T}` for a mapping, and `!` behind it where the field must
be there. The table of Kubernetes is generated (see `generate_fields`); meaning beyond the
type is checked where the objects are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from nodeport_lab.errors import ManifestError
from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.wording import describe, suggest

Types = Mapping[str, Mapping[str, str]]
"""Name of a type -> its fields -> what each holds."""

KUBERNETES_FIELDS = Path(__file__).with_name("kubernetes_fields.json")
"""The generated table of the kinds that the lab reads."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_LARGEST_INTEGER = 2**63 - 1

_EXPECTED = {
    "str": "text",
    "int": "a whole number",
    "bool": "true or false",
    "int|str": "a whole number or text",
    "time": "a time such as 2026-01-31T12:00:00Z",
    "quantity": "a quantity such as 100m or 1Gi",
}


@cache
def kubernetes_table() -> dict[str, Any]:
    """The generated table: `kinds` (kind to apiVersion and type) and `types`."""
    table: dict[str, Any] = json.loads(KUBERNETES_FIELDS.read_text(encoding="utf-8"))
    return table


def check_fields(field: Field, type_: str, types: Types) -> None:
    """Check that a value has the shape that its type gives it, all the way down.

    Args:
        field: the value and its place.
        type_: its type, in the notation of the table.
        types: the table.

    Raises:
        ManifestError: the first field that is unknown, missing or of another type.
    """
    if type_ == "any":
        return
    if type_.startswith("["):
        if not isinstance(field.value, list):
            raise _mismatch(field, "a list")
        for item in field.items():
            _check_entry(item, type_[1:-1], types)
    elif type_.startswith("{"):
        if not isinstance(field.value, dict):
            raise _mismatch(field, "a mapping")
        for _, member in field.members():
            _check_entry(member, type_[1:-1], types)
    elif type_ in types:
        _check_struct(field, types[type_], types)
    elif not _is_scalar(field.value, type_):
        raise _mismatch(field, _EXPECTED[type_])


def known_part(field: Field, type_: str, types: Types, unknown: list[str]) -> Any:  # noqa: ANN401 - what it holds
    """A value without the fields that the table does not know, as a newer cluster writes them.

    Args:
        field: the value and its place.
        type_: its type, in the notation of the table.
        types: the table.
        unknown: the paths of what is left out are added here.
    """
    value = field.value
    if type_.startswith("[") and isinstance(value, list):
        return [known_part(item, type_[1:-1], types, unknown) for item in field.items()]
    if not isinstance(value, dict):
        return value
    if type_.startswith("{"):
        return {name: known_part(one, type_[1:-1], types, unknown) for name, one in field.members()}
    if type_ not in types:
        return value
    known = types[type_]
    unknown += [one.path for name, one in field.members() if name not in known]
    return {
        name: known_part(one, known[name].rstrip("!"), types, unknown)
        for name, one in field.members()
        if name in known
    }


def _check_entry(entry: Field, type_: str, types: Types) -> None:
    """Check an entry of a list or mapping: unlike a field it cannot be left empty."""
    if entry.value is None and type_ != "any":
        raise entry.error("this entry is empty; fill it in or remove it")
    check_fields(entry, type_, types)


def _check_struct(field: Field, known: Mapping[str, str], types: Types) -> None:
    if not isinstance(field.value, dict):
        raise _mismatch(field, "a mapping")
    for name, member in field.members():
        if name not in known:
            raise member.error(f"there is no such field; {suggest(name, known)}")
        if member.value is not None:  # null means absent
            check_fields(member, known[name].rstrip("!"), types)
    for name, type_ in known.items():
        if type_.endswith("!") and field.value.get(name) is None:
            raise field.get(name).error("this field is missing; it must be set")


def _is_scalar(value: object, type_: str) -> bool:
    if isinstance(value, bool):
        return type_ == "bool"
    if isinstance(value, int):
        return type_ in {"int", "int|str", "quantity"} and abs(value) <= _LARGEST_INTEGER
    if isinstance(value, float):
        return type_ == "quantity"
    if isinstance(value, str):
        if type_ == "time":
            return _TIME.fullmatch(value) is not None
        return type_ in {"str", "int|str", "quantity"}
    return False


def _mismatch(field: Field, expected: str) -> ManifestError:
    value = field.value
    remedy = f"write {expected}"
    if expected == "text" and not isinstance(value, dict | list):
        remedy = "put it in quotes"
    elif isinstance(value, str) and expected in {"a whole number", "true or false"}:
        remedy = f"write {expected}, without quotes"
    return field.error(f"{describe(value)} stands where {expected} belongs; {remedy}")
