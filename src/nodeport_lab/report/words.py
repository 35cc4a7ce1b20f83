"""The words of the reports: outcomes, names of runs, and what kind of evidence they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.model import Run
from nodeport_lab.variations import VARIATIONS, departures

SYMBOLS: Mapping[str, str] = {
    "allowed": "✓",
    "timeout": "✗",
    "refused": "⊘",
    "no path": "–",  # noqa: RUF001  # a dash as a sign, not as a minus
    "error": "!",
}


def marked(outcome: str) -> str:
    """An outcome with its symbol: `✓ allowed`."""
    return f"{SYMBOLS[outcome]} {outcome}"


def in_order(outcomes: Iterable[str]) -> tuple[str, ...]:
    """The different ones of some outcomes, in the order of their symbols."""
    found = {*outcomes}
    return tuple(outcome for outcome in SYMBOLS if outcome in found)


def title(run: Run) -> str:
    """The dataplane and its options: `cilium (policyCIDRMatchMode=none)`."""
    shown = options(run)
    return f"{run.dataplane} ({shown})" if shown else run.dataplane


def options(run: Run) -> str:
    """What is set apart from defaults, on one line; some options are always worth telling."""
    known = DATAPLANES[run.dataplane].options if run.dataplane in DATAPLANES else {}
    told = departures(run.dataplane, run.options)
    return ", ".join(
        f"{name}={value}"
        for name, value in run.options.items()
        if name in told
        or name not in {*known, *VARIATIONS}
        or (name in known and known[name].shown)
    )


def changed_options(run: Run) -> str:
    """What is set apart from defaults, and nothing else."""
    changed = departures(run.dataplane, run.options)
    return ", ".join(f"{name}={value}" for name, value in changed.items())


def evidence(run: Run) -> str:
    """The basis of a run, and plainly so where the dataplane itself was not at work."""
    return run.basis if run.basis == "live" else f"{run.basis}, not live"


def provenance(run: Run) -> str:
    """What kind of evidence a run is, and what the dataplane says of its limits."""
    if run.basis == "emulated":
        basis = (
            f"Emulated on the {run.testbed} testbed: real packets through real netfilter, "
            f"with the lab's own rules in the order of {run.dataplane}."
        )
    elif run.basis == "modelled":
        basis = (
            f"Modelled on the {run.testbed} testbed: real packets, but another engine enforces "
            f"the policies with the semantics of {run.dataplane}. Not observed live."
        )
    else:
        basis = f"Observed on the {run.testbed} testbed, where {run.dataplane} itself is at work."
    limits = DATAPLANES[run.dataplane].limits if run.dataplane in DATAPLANES else ""
    return f"{basis} {limits}".strip()


def listed(parts: Iterable[str], word: str = "and") -> str:
    """Parts as people write a list: `a, b and c`."""
    *most, last = tuple(parts) or ("",)
    return f"{', '.join(most)} {word} {last}" if most else last
