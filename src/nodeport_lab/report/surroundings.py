"""What a run knows of its cluster, in sentences: exactly what its record keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median

from nodeport_lab.model import ClusterFacts, Run
from nodeport_lab.report.words import listed


def sentences(runs: Iterable[Run]) -> list[str]:
    """What is worth knowing beside the tables; what holds for several runs is said once."""
    facts = [run.cluster for run in runs if run.cluster is not None]
    return list(dict.fromkeys(sentence for one in facts for sentence in _of(one)))


def _of(facts: ClusterFacts) -> Iterator[str]:
    mapped = [f"{ours} is {theirs}" for ours, theirs in facts.nodes.items() if ours != theirs]
    if mapped:
        yield f"On this cluster {listed(mapped)}."
    known = [f"{name} {value}" for name, value in facts.detected.items() if value is not None]
    if known:
        yield f"The cluster tells: {', '.join(known)}."
    for name, reason in facts.unknown.items():
        yield f"Not known: {name} ({reason})."
    for sentence in facts.left_out:
        yield f"Left out: {sentence}."
    if facts.other_policies:
        yield (
            "Other policies were there already and may have a say: "
            f"{', '.join(facts.other_policies)}."
        )
    yield from _enforcement(facts)


def _enforcement(facts: ClusterFacts) -> Iterator[str]:
    for sentence in facts.canaries:
        yield f"Canary on {sentence}."
    seen = {
        policy: milliseconds / 1000
        for policy, milliseconds in facts.enforced_after_ms.items()
        if milliseconds is not None
    }
    if seen:
        slowest = max(seen, key=lambda policy: seen[policy])
        yield (
            f"Policies were enforced {median(seen.values()):.2f} s after they were applied "
            f"(median of {len(seen)}; slowest {seen[slowest]:.2f} s, {slowest})."
        )
    if facts.evidence:
        told = sum(map(len, facts.evidence.values()))
        yield f"Evidence of the nodes' own tables: {told} entries, kept by --json and --record."
