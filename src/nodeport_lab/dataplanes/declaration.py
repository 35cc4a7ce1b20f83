"""What a dataplane has to say of itself: the form that every dataplane fills in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nodeport_lab.dataplanes.nftables import Table
from nodeport_lab.dataplanes.policy_chains import Hook, RuleReference
from nodeport_lab.errors import UnknownNameError
from nodeport_lab.model import Network, NetworkPolicy, Scenario

Options = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CompiledPolicies:
    """Policies as rulesets.

    Attributes:
        tables: network namespace -> the table that holds its policy.
        hooks: the places where policy is evaluated; their sets hold the evidence.
        references: decision number -> what it stands for.
    """

    tables: dict[str, Table]
    hooks: tuple[Hook, ...]
    references: dict[int, RuleReference]


@dataclass(frozen=True, slots=True)
class Option:
    """Something that can be set; the first value is the default."""

    values: tuple[str, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class Dataplane:
    """Where translation happens, where policy is evaluated, what it matches on.

    Attributes:
        name: as in the vocabulary (`calico-iptables`).
        basis: `emulated` (our rules, real netfilter) or `modelled` (the semantics of
            another engine on real netfilter).
        summary: one sentence for people.
        interface_prefix: how the node's ends of the pods' veth pairs are named.
        tunnel: whether pod traffic between nodes is encapsulated.
        translate: namespace -> tables that rewrite Service addresses and sources.
        police: the policies, compiled.
        options: what can be set.
    """

    name: str
    basis: str
    summary: str
    interface_prefix: str
    tunnel: bool
    translate: Callable[[Scenario, Network, Options], dict[str, list[Table]]]
    police: Callable[[Scenario, Network, Sequence[NetworkPolicy], Options], CompiledPolicies]
    options: Mapping[str, Option] = field(default_factory=dict)

    def complete(self, given: Options) -> dict[str, str]:
        """Check options and fill in the defaults.

        Raises:
            UnknownNameError: an option or a value that this dataplane does not have.
        """
        for name, value in given.items():
            if name not in self.options:
                raise UnknownNameError(f"option of {self.name}", name, list(self.options))
            if value not in self.options[name].values:
                raise UnknownNameError(f"value of {name}", value, self.options[name].values)
        return {name: given.get(name, option.values[0]) for name, option in self.options.items()}
