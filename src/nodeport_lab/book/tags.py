"""Cell tags and what they mean for a comparison of outputs.

`nbval` and `make book` compare the same cells by the same rules; this is the one
place that states them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

PARAMETERS: Final = "parameters"
"""The cell with a template's parameters; papermill injects a run's after it."""

INJECTED: Final = "injected-parameters"
"""The cell that papermill injected."""

EVIDENCE: Final = "embedded-evidence"
"""A cell that shows addresses; they are the same on every embedded testbed, only there."""

IGNORED: Final = "nbval-ignore-output"
"""A cell whose output is the machine's own (versions); it runs and is not compared."""

NOT_COMPARED_MIME_TYPES: Final = frozenset({"image/png", "image/jpeg"})
"""A picture differs with the version of the library that drew it; its data stand in a table."""


def compared(tags: Iterable[str], testbed: str) -> bool:
    """Whether the output of a cell with these tags must be the committed one."""
    present = frozenset(tags)
    if IGNORED in present:
        return False
    return testbed == "embedded" or EVIDENCE not in present
