"""Tables for pages, made of what dataplanes say of themselves: what they are, what can be set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from nodeport_lab import claims_file, locations
from nodeport_lab.dataplanes import DATAPLANES, Dataplane, Option
from nodeport_lab.documented import ASSUMED
from nodeport_lab.variations import VARIATIONS

EVERY = "every dataplane"


def catalogue() -> dict[str, bytes]:
    """File name -> content: snippets that pages include."""
    return {
        "dataplanes.md": _table(("what", "known by", "in short"), _dataplanes()).encode(),
        "options.md": _table(("set", "to", "on", "meaning"), _options()).encode(),
    }


def _dataplanes() -> Iterator[Sequence[str]]:
    """What is emulated, modelled, assumed, or live only."""
    for dataplane in DATAPLANES.values():
        yield f"`{dataplane.name}`", dataplane.basis, _joined((dataplane.summary, dataplane.limits))
    for (setting, kind), names in _devices().items():
        yield (
            f"`{setting}` on {_named(names)}",
            "emulated, or live only",
            f"Needs a kernel that makes {kind} devices; elsewhere it is refused.",
        )
    for (setting, reason), names in _live_only().items():
        yield f"`{setting}` on {_named(names)}", "live only", f"{reason[0].upper()}{reason[1:]}."
    outcomes = claims_file.load(locations.claims_file()).documented
    assumed = [one for one in outcomes if one.foundation.words == ASSUMED]
    yield (
        f"{len(assumed)} of {len(outcomes)} documented outcomes",
        ASSUMED,
        "Documented nowhere, or for other versions only. The runs say where.",
    )


def _options() -> Iterator[Sequence[str]]:
    """What can be set, where, and what it means."""
    found: defaultdict[tuple[str, tuple[str, ...], str], list[str]] = defaultdict(list)
    for dataplane in DATAPLANES.values():
        for name, option in dataplane.options.items():
            found[name, _values(option), option.meaning].append(dataplane.name)
    for name, option in VARIATIONS.items():
        found[name, _values(option), option.meaning] = list(DATAPLANES)
    for (name, values, meaning), names in found.items():
        yield f"`{name}`", "<br>".join(values), _named(names), f"{meaning[0].upper()}{meaning[1:]}."


def _values(option: Option) -> tuple[str, ...]:
    default, *others = option.values
    needs = {value: f" (with `{'='.join(needed)}`)" for value, needed in option.requires.items()}
    return (
        f"**`{default}`**",
        *(f"`{value}`{needs.get(value, '')}" for value in others),
        *(f"`{value}` (live only)" for value in option.live_only),
    )


def _devices() -> dict[tuple[str, str], list[str]]:
    """Setting and the kind of device that only this setting needs -> dataplanes."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for dataplane in DATAPLANES.values():
        for setting, kind in _tunnels(dataplane):
            found[setting, kind].append(dataplane.name)
    return dict(found)


def _tunnels(dataplane: Dataplane) -> Iterator[tuple[str, str]]:
    usual = dataplane.tunnel(dataplane.complete({}))
    for name, option in dataplane.options.items():
        for value in option.values:
            chosen = {
                name: value,
                **dict([option.requires[value]] if value in option.requires else ()),
            }
            kind = dataplane.tunnel(dataplane.complete(chosen))
            if kind not in {usual, None}:
                yield f"{name}={value}", str(kind)


def _live_only() -> dict[tuple[str, str], list[str]]:
    """Setting and the reason why it is not emulated -> dataplanes."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for dataplane in DATAPLANES.values():
        for name, option in dataplane.options.items():
            for value, reason in option.live_only.items():
                found[f"{name}={value}", reason].append(dataplane.name)
    return dict(found)


def _named(names: Sequence[str]) -> str:
    return EVERY if len(names) == len(DATAPLANES) else ", ".join(f"`{name}`" for name in names)


def _joined(sentences: Iterable[str]) -> str:
    return " ".join(filter(None, sentences))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
