"""Reading `claims.yml`: claims, the report's and others, and the documented outcomes, strictly.

The file is read by reports only. Its form is `claims.schema.json`; here are the checks
that a schema cannot make: names that must exist, and cells documented only once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

from nodeport_lab import schemas
from nodeport_lab.claims import Argument, Claim, Expectation, Report, Seen, Status
from nodeport_lab.documented import DocumentedOutcome, Foundation, Label, Source
from nodeport_lab.errors import ClaimError, ManifestError
from nodeport_lab.manifests.documents import read_documents
from nodeport_lab.model import Direction, Verdict

_Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClaimsFile:
    """What `claims.yml` holds.

    `dataplanes` maps each dataplane to options to values, the default first, and
    `variations` those of the scenario likewise.
    """

    report: Report
    claims: tuple[Claim, ...]
    documented: tuple[DocumentedOutcome, ...]
    dataplanes: Mapping[str, Mapping[str, tuple[str, ...]]]
    variations: Mapping[str, tuple[str, ...]]
    clients: tuple[str, ...]
    policies: tuple[str, ...]
    sources: Mapping[str, Source]


def load(path: Path) -> ClaimsFile:
    """Read the file of claims and documented outcomes.

    Raises:
        ClaimError: it cannot be read, or says something that cannot be used; the message
            names the place.
    """
    try:
        documents = read_documents(path.read_bytes(), path.name)
    except OSError as error:
        raise ClaimError(f"{path.name} cannot be read: {error.strerror}") from error
    except ManifestError as error:  # the reader of manifests is as strict as this file needs
        raise ClaimError(str(error)) from error
    if len(documents) != 1:
        raise ClaimError(f"{path.name} must hold one document, it has {len(documents)}")
    return parse(documents[0].value, path.name)


def parse(document: object, name: str = "claims.yml") -> ClaimsFile:
    """Check and convert what was read from the file called `name`.

    Raises:
        ClaimError: it says something that cannot be used; the message names the place.
    """
    fault = schemas.fault(document, schemas.load("claims"))
    if fault:
        raise ClaimError(f"{name}: {fault}")
    raw: Any = document  # from here on its form is known
    for fault in (*_claim_faults(raw), *_documented_faults(raw)):
        raise ClaimError(f"{name}: {fault}")
    return _claims_file(raw)


# --- checks that a schema cannot make ---------------------------------------------------


def _claim_faults(document: _Raw) -> Iterator[str]:
    claims = document["claims"]
    measured = {claim["id"] for claim in claims if "expects" in claim}
    ids: set[str] = set()
    for position, claim in enumerate(claims):
        where = f"claims[{position}]"
        if claim["id"] in ids:
            yield f"{where}.id: {claim['id']!r} is given twice; every claim has its own id"
        ids.add(claim["id"])
        for source in claim.get("sources", ()):
            yield from _unknown(source, document["sources"], f"{where}.sources")
        for number, expectation in enumerate(claim.get("expects", ())):
            yield from _expectation_faults(
                expectation, document["vocabulary"], f"{where}.expects[{number}]"
            )
        for given in claim.get("argued", {}).get("given", ()):
            if given not in measured:
                yield (
                    f"{where}.argued.given: {given!r} is no claim with expectations; "
                    f"an argument can rest on {', '.join(sorted(measured)) or 'none here'}"
                )


def _expectation_faults(expectation: _Raw, vocabulary: _Raw, where: str) -> Iterator[str]:
    dataplanes = vocabulary["dataplanes"]
    chosen = expectation.get("dataplanes", ())
    for kind in ("dataplanes", "clients", "policies"):
        for name in expectation.get(kind, ()):
            yield from _unknown(name, vocabulary[kind], f"{where}.{kind}")
    for dataplane in chosen or dataplanes:
        options = _options_of(dataplane, vocabulary)
        for name, value in expectation.get("options", {}).items():
            yield from _option_faults(name, [value], options, f"{where}.options")


def _documented_faults(document: _Raw) -> Iterator[str]:
    vocabulary = document["vocabulary"]
    places: list[tuple[str, _Raw, set[tuple[str, str]]]] = []
    for position, entry in enumerate(document["documented"]):
        where = f"documented[{position}]"
        yield from _entry_faults(entry, vocabulary, where)
        for number, group in enumerate(entry["groups"]):
            inside = f"{where}.groups[{number}]"
            for source in group["sources"]:
                yield from _unknown(source, document["sources"], f"{inside}.sources")
            for policy in group["cells"]:
                yield from _unknown(policy, vocabulary["policies"], f"{inside}.cells")
            cells = {(policy, target) for policy, row in group["cells"].items() for target in row}
            places.append((inside, entry, cells))
    for (first, one, cells), (second, other, more) in combinations(places, 2):
        if cells & more and _may_both_apply(one, other, vocabulary):
            policy, target = min(cells & more)
            yield f"{second}.cells.{policy}.{target}: already documented in {first}; state it once"


def _entry_faults(entry: _Raw, vocabulary: _Raw, where: str) -> Iterator[str]:
    for kind in ("dataplanes", "clients"):
        for name in entry.get(kind, ()):
            yield from _unknown(name, vocabulary[kind], f"{where}.{kind}")
    for dataplane, (name, value) in product(entry["dataplanes"], entry["options"].items()):
        known = _options_of(dataplane, vocabulary)
        yield from _option_faults(name, _values(value), known, f"{where}.options")


def _may_both_apply(one: _Raw, other: _Raw, vocabulary: _Raw) -> bool:
    """Whether some run, direction and client is meant by both entries."""
    return (
        one["direction"] == other["direction"]
        and _share_a_client(one.get("clients"), other.get("clients"))
        and any(
            _share_a_value(one["options"], other["options"], _options_of(dataplane, vocabulary))
            for dataplane in {*one["dataplanes"]} & {*other["dataplanes"]}
        )
    )


def _share_a_client(some: list[str] | None, others: list[str] | None) -> bool:
    return some is None or others is None or not set(some).isdisjoint(others)


def _share_a_value(one: _Raw, other: _Raw, known: Mapping[str, list[str]]) -> bool:
    """Whether some values of all options are meant by both; unnamed ones are at their default."""
    return all(
        not set(_values(one.get(name, values[0]))).isdisjoint(_values(other.get(name, values[0])))
        for name, values in known.items()
    )


def _options_of(dataplane: str, vocabulary: _Raw) -> Mapping[str, list[str]]:
    """What can be set in a run of the dataplane, variations of the scenario included."""
    return {**vocabulary["dataplanes"].get(dataplane, {}), **vocabulary["variations"]}


def _values(written: str | list[str]) -> list[str]:
    """An option's value or values: one may be written without brackets."""
    return [written] if isinstance(written, str) else written


def _option_faults(
    name: str, values: list[str], known: Mapping[str, list[str]], where: str
) -> Iterator[str]:
    yield from _unknown(name, known, where)
    for value in values if name in known else ():
        yield from _unknown(value, known[name], f"{where}.{name}")


def _unknown(name: str, known: Mapping[str, object] | list[str], where: str) -> Iterator[str]:
    if name not in known:
        yield f"{where}: {name!r} is unknown; choose one of: {', '.join(known) or 'none here'}"


# --- conversion -------------------------------------------------------------------------


def _claims_file(document: _Raw) -> ClaimsFile:
    vocabulary = document["vocabulary"]
    sources = {
        source: Source(source, raw["name"], raw["url"])
        for source, raw in document["sources"].items()
    }
    return ClaimsFile(
        report=Report(**document["report"]),
        claims=tuple(_claim(raw, sources) for raw in document["claims"]),
        documented=tuple(_documented(document["documented"], sources)),
        dataplanes={
            dataplane: {option: tuple(values) for option, values in options.items()}
            for dataplane, options in vocabulary["dataplanes"].items()
        },
        variations={name: tuple(values) for name, values in vocabulary["variations"].items()},
        clients=tuple(vocabulary["clients"]),
        policies=tuple(vocabulary["policies"]),
        sources=sources,
    )


def _claim(raw: _Raw, sources: Mapping[str, Source]) -> Claim:
    argued = raw.get("argued")
    return Claim(
        id=raw["id"],
        sentence=raw["sentence"].strip(),
        experiment=raw["experiment"].strip(),
        expects=tuple(_expectation(item) for item in raw.get("expects", ())),
        argument=_argument(argued) if argued else None,
        needs=raw.get("needs", "").strip(),
        note=raw.get("note", "").strip(),
        sources=tuple(sources[source] for source in raw.get("sources", ())),
        runs=tuple(raw.get("runs", ())),
    )


def _expectation(raw: _Raw) -> Expectation:
    return Expectation(
        direction=Direction(raw["direction"]),
        dataplanes=tuple(raw.get("dataplanes", ())),
        options=dict(raw.get("options", {})),
        clients=tuple(raw.get("clients", ())),
        policies=tuple(raw.get("policies", ())),
        targets=tuple(raw.get("targets", ())),
        outcome=Verdict(raw["outcome"]) if "outcome" in raw else None,
        seen=Seen(raw["seen"]) if "seen" in raw else None,
    )


def _argument(raw: _Raw) -> Argument:
    return Argument(
        status=Status(raw["status"]),
        because=raw["because"].strip(),
        given={claim: tuple(map(Status, needed)) for claim, needed in raw["given"].items()},
    )


def _documented(entries: list[_Raw], sources: Mapping[str, Source]) -> Iterator[DocumentedOutcome]:
    for entry in entries:
        options = {name: tuple(_values(value)) for name, value in entry["options"].items()}
        for group in entry["groups"]:
            foundation = Foundation(
                labels=tuple(map(Label, group["labels"])),
                sources=tuple(sources[source] for source in group["sources"]),
                versions=entry["versions"].strip(),
                note=group.get("note", "").strip(),
            )
            for dataplane, (policy, row) in product(entry["dataplanes"], group["cells"].items()):
                for target, outcome in row.items():
                    yield DocumentedOutcome(
                        dataplane=dataplane,
                        options=options,
                        direction=Direction(entry["direction"]),
                        policy=policy,
                        target=target,
                        outcome=Verdict(outcome),
                        foundation=foundation,
                        clients=tuple(entry.get("clients", ())),
                    )
