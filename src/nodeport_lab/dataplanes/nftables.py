"""nftables rulesets as values, and as the text that `nft -f` loads.

A table is built unhooked first and hooked last, in transactions of bounded size: inside
a user namespace nft cannot enlarge its netlink buffer, and a single transaction of some
550 rules fails with "Message too long".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_STATEMENTS = 200  # per transaction; well below the limit, at no measurable cost
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
    """An anonymous set, `{ a, b }`, sorted and without repetition."""
    return "{ " + ", ".join(dict.fromkeys(str(value) for value in values)) + " }"


def transactions(table: Table, *, replaces: str | None = None) -> list[str]:
    """Render a table as `nft -f` inputs, to be loaded in order.

    Only the last one hooks the base chains, and, in the same transaction, deletes the
    table named `replaces`: traffic meets the old rules or the new ones, never a mixture.
    """
    head = f"table ip {table.name}"
    declared = [f"{head} {{"]
    declared += [
        f"  set {name} {{\n    {declaration}\n  }}" for name, declaration in table.sets.items()
    ]
    declared += [f"  chain {chain.name} {{\n  }}" for chain in table.chains if not chain.hook]
    texts = ["\n".join([*declared, "}"]) + "\n"]
    statements = [
        f"add rule ip {table.name} {chain.name} {rule}"
        for chain in table.chains
        if not chain.hook
        for rule in chain.rules
    ]
    texts += [
        "\n".join(statements[start : start + MAX_STATEMENTS]) + "\n"
        for start in range(0, len(statements), MAX_STATEMENTS)
    ]
    hooked = [f"{head} {{", *(_base_chain(chain) for chain in table.chains if chain.hook), "}"]
    if replaces is not None:
        hooked.append(f"delete table ip {replaces}")
    texts.append("\n".join(hooked) + "\n")
    return texts


def _base_chain(chain: Chain) -> str:
    body = "".join(f"    {rule}\n" for rule in chain.rules)
    return f"  chain {chain.name} {{\n    {chain.hook};\n{body}  }}"
