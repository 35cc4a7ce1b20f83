"""nftables rulesets as values, and as the text that nft reads.

A table is built unhooked first and hooked last, in transactions of bounded size: inside
a user namespace nft cannot enlarge its netlink buffer, and a transaction of some 550
rules, or of some 80 KiB of text, fails with "Message too long".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAX_STATEMENTS = 200  # per transaction; well below the limit, at no measurable cost
MAX_TEXT = 32 * 1024  # characters per transaction, for statements with large sets
MAX_ELEMENTS = 16 * 1024  # characters of an anonymous set; a longer list takes several
MAX_IDENTIFIER = 100  # the kernel takes 255 bytes; longer names are cut and hashed

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(slots=True)
class Chain:
    """A chain; with `hook` it is a base chain (`type filter hook forward priority 0`)."""

    name: str
    rules: list[str] = field(default_factory=list)
    hook: str | None = None


@dataclass(slots=True)
class Table:
    """An `ip` table: named sets (declarations) and chains, in order of use."""

    name: str
    sets: dict[str, str] = field(default_factory=dict)
    chains: list[Chain] = field(default_factory=list)

    def chain(self, name: str, rules: Iterable[str] = (), *, hook: str | None = None) -> Chain:
        """Add a chain and return it."""
        chain = Chain(name, list(rules), hook)
        self.chains.append(chain)
        return chain


def identifier(kind: str, *parts: str) -> str:
    """A chain name that reads well and that no manifest can break out of."""
    name = "/".join((kind, *(_UNSAFE.sub("_", part) for part in parts)))
    if len(name) <= MAX_IDENTIFIER:
        return name
    digest = hashlib.sha256("/".join(parts).encode()).hexdigest()[:12]
    return f"{name[: MAX_IDENTIFIER - 13]}-{digest}"


def elements(values: Iterable[object]) -> str:
    """An anonymous set, `{ a, b }`, in the given order and without repetition."""
    return "{ " + ", ".join(dict.fromkeys(str(value) for value in values)) + " }"


def element_sets(values: Iterable[str]) -> list[str]:
    """Elements as anonymous sets of bounded length, one for each rule; none without elements."""
    sets: list[list[str]] = []
    size = MAX_ELEMENTS
    for value in values:
        if size + len(value) > MAX_ELEMENTS:
            sets.append([])
            size = 0
        sets[-1].append(value)
        size += len(value)
    return [elements(some) for some in sets]


def transactions(table: Table, *, replaces: str | None = None) -> list[str]:
    """Render a table as `nft -f` inputs, to be loaded in order.

    Only the last one hooks the base chains, and, in the same transaction, deletes the
    table named `replaces`: traffic meets the old rules or the new ones, never a mixture.
    """
    chains = [part for chain in table.chains for part in _split(chain)]
    head = f"table ip {table.name}"
    declared = [f"add table ip {table.name}"]
    declared += [
        f"add set ip {table.name} {name} {{ {declaration}; }}"
        for name, declaration in table.sets.items()
    ]
    unhooked = [chain for chain in chains if not chain.hook]
    declared += [f"add chain ip {table.name} {chain.name}" for chain in unhooked]
    rules = [
        f"add rule ip {table.name} {chain.name} {rule}"
        for chain in unhooked
        for rule in chain.rules
    ]
    texts = [*_bounded(declared), *_bounded(rules)]
    hooked = [f"{head} {{", *(_base_chain(chain) for chain in chains if chain.hook), "}"]
    if replaces is not None:
        hooked.append(f"delete table ip {replaces}")
    texts.append("\n".join(hooked) + "\n")
    return texts


def joined(texts: Iterable[str]) -> list[str]:
    """Inputs that are small together as one, in their order: starting nft costs the most."""
    found: list[str] = []
    size = lines = 0
    for text in texts:
        more = text.count("\n")
        if found and size + len(text) <= MAX_TEXT and lines + more <= MAX_STATEMENTS:
            found[-1] += text
        else:
            found.append(text)
            size = lines = 0
        size, lines = size + len(text), lines + more
    return found


def _split(chain: Chain) -> list[Chain]:
    """A base chain with long rules leaves them to another chain, loaded before it is hooked."""
    if not chain.hook or sum(map(len, chain.rules)) <= MAX_ELEMENTS:
        return [chain]
    name = f"{chain.name}-rules"
    return [Chain(name, chain.rules), Chain(chain.name, [f"jump {name}"], chain.hook)]


def _bounded(statements: Sequence[str]) -> list[str]:
    """Statements, one per line, in texts of bounded length; their order is kept."""
    texts: list[str] = []
    waiting: list[str] = []
    size = 0
    for statement in statements:
        if waiting and (len(waiting) == MAX_STATEMENTS or size + len(statement) > MAX_TEXT):
            texts.append("\n".join(waiting) + "\n")
            waiting, size = [], 0
        waiting.append(statement)
        size += len(statement)
    if waiting:
        texts.append("\n".join(waiting) + "\n")
    return texts


def _base_chain(chain: Chain) -> str:
    body = "".join(f"    {rule}\n" for rule in chain.rules)
    return f"  chain {chain.name} {{\n    {chain.hook};\n{body}  }}"
