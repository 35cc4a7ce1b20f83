"""Where the outputs in this site come from, and how to get them again: a file and a page.

What differs from build to build stands in the file, and on the page in literal blocks, so
that the sentences of the page stay the same and can be translated.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import PurePosixPath

from nodeport_lab.testbeds.embedded.testbed import nft_version

PAGE = PurePosixPath("chapters/reproducibility.md")
FILE = PurePosixPath("_extra/reproducibility.json")
"""Where they lie, seen from the book's root; the file comes to lie beside the start page."""

SCHEMA = 1
_PACKAGES = ("nodeport-lab", "jupyter-book", "matplotlib", "papermill", "pyroute2", "sphinx")


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run in this build: executed for it in so many seconds, or taken as stored.

    `lacking` says which program this machine lacks for it.
    """

    id: str
    seconds: float | None
    lacking: str | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """How the outputs of a site came about.

    Attributes:
        runs: every run of the book.
        reason: why the stored outputs are shown; None if the runs were executed.
        versions: what the runs were executed with; empty if they were not.
    """

    runs: Sequence[RunStatus]
    reason: str | None
    versions: Mapping[str, str]


def versions_here() -> dict[str, str]:
    """The kernel, nft, Python and packages of this machine, by name."""
    return {
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "nftables": nft_version(),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def data(generation: Generation) -> str:
    """The file, as JSON.

    `outputs` is `executed` or `stored`; `seconds` of a run are null if it is stored, and
    `lacking` says which program it lacked then, if any; `again` is the command that executes
    it anew.
    """
    document = {
        "schema": SCHEMA,
        "outputs": "executed" if generation.reason is None else "stored",
        "reason": generation.reason,
        "versions": dict(generation.versions),
        "runs": [
            {
                "run": run.id,
                "seconds": _rounded(run.seconds),
                "lacking": run.lacking,
                "again": again(run.id),
            }
            for run in generation.runs
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def again(run_id: str) -> str:
    """The command that executes a run anew, typed in the checkout."""
    return f".venv/bin/python -m nodeport_lab.book notebooks {run_id}"


def page(generation: Generation) -> str:
    """The text of the page."""
    return f"""\
# Reproducibility

**What you will see.** Where the outputs in this site come from, how long each run took, and the
command that executes it again.

## The answer first

{_answer(generation)}

```text
{_origin(generation)}
```

## The experiment

Each run is a notebook. This executes it anew and shows how long that took; a run that was not
executed for this build has no time, and the reason beside it where a program is missing.

```text
{_runs(generation)}
```

The same as data, for programs: {{download}}`reproducibility.json </{FILE}>`.

## What it proves

- Compared are verdicts, names, addresses and rules: with the testbed that this book is built on,
  a run that is executed again shows the same, or the build fails with the names of the cells.
- Pictures and versions are not compared: they belong to the machine that made them.
- Times are those of one machine on one day.

## What to do

```sh
make book      # executes every run, compares, and builds this site with their outputs
make verify    # executes every run and compares; changes nothing
make notebooks # executes every run and keeps the outputs, to be committed
```

## References

- {{doc}}`method` for what is measured and what that cannot tell
- {{doc}}`architecture` for the way from a template to a page
"""


def every_sentence() -> str:
    """A page with the sentences of all these pages, for those who translate them."""
    executed = page(Generation([], None, {}))
    return executed + _answer(Generation([], BY_HAND, {})) + "\n"


def _answer(generation: Generation) -> str:
    if generation.reason is None:
        return (
            ":::{admonition} Executed for this build\n"
            ":class: tip\n"
            "The runs were executed for this build, but for those that lack a program on this\n"
            "machine, and show what the committed runs show. They were executed with:\n"
            ":::"
        )
    return (
        ":::{admonition} Stored outputs\n"
        ":class: warning\n"
        "Nothing was executed for this build. The outputs are the stored ones, which\n"
        "`make notebooks` wrote. The reason:\n"
        ":::"
    )


def _origin(generation: Generation) -> str:
    if generation.reason is not None:
        return generation.reason
    width = max(map(len, generation.versions), default=0)
    return "\n".join(f"{name:{width}}  {found}" for name, found in generation.versions.items())


def _runs(generation: Generation) -> str:
    width = max((len(again(run.id)) for run in generation.runs), default=0)
    remarks = ((run, _remark(run)) for run in generation.runs)
    return "\n".join(
        f"{again(run.id):{width}}  # {remark}" if remark else again(run.id)
        for run, remark in remarks
    )


def _remark(run: RunStatus) -> str | None:
    return run.lacking if run.seconds is None else f"{run.seconds:.1f} s"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


BY_HAND = "`jupyter-book build .` never executes runs; `make book` does, where the machine can."
"""Why the committed page says that outputs are stored."""
