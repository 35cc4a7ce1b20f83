"""Checking a document against one of the JSON Schemas that the package carries.

The schema is the one description of a document's form; what a schema cannot say (names
that refer to each other) is checked where the document is read.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def load(name: str, package: str = "nodeport_lab") -> dict[str, Any]:
    """The schema `<name>.schema.json` of the package, or of one inside of it."""
    text = (resources.files(package) / f"{name}.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def fault(document: object, schema: dict[str, Any]) -> str | None:
    """What is wrong with a document, with its place, or None.

    Of several faults it is the one that explains most: `claims[3].id: 7 is not of type
    'string'`.
    """
    error = best_match(Draft202012Validator(schema).iter_errors(document))
    if error is None:
        return None
    return f"{place(error.absolute_path)}: {error.message}"


def place(path: Any) -> str:  # noqa: ANN401  # a deque of names and positions
    """A path in a document as people write it: `runs[0].observations[2].verdict`."""
    steps = [_step(part) for part in path]
    return "".join(steps).removeprefix(".") or "the document"


def _step(part: object) -> str:
    if isinstance(part, str) and _PLAIN.fullmatch(part):
        return f".{part}"
    return f"[{part!r}]"
