"""What a dataplane has to say of itself: the form that every dataplane fills in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nodeport_lab.dataplanes.nftables import Table
from nodeport_lab.dataplanes.policy_chains import Hook, RuleReference
from nodeport_lab.errors import LabError, PrerequisiteError, UnknownNameError
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
    """Something that can be set; the first value is the default.

    Attributes:
        values: what it can be set to.
        meaning: one sentence for people.
        shown: whether titles name it even at its default.
        live_only: value that exists and is not emulated -> why not.
        requires: value -> another option and the value that this one needs there.
    """

    values: tuple[str, ...]
    meaning: str
    shown: bool = False
    requires: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    live_only: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dataplane:
    """Where translation happens, where policy is evaluated, what it matches on.

    Attributes:
        name: as in the vocabulary (`calico-iptables`).
        basis: `emulated` (our rules, real netfilter) or `modelled` (the semantics of
            another engine on real netfilter).
        summary: one sentence for people.
        interface_prefix: how the node's ends of the pods' veth pairs are named.
        tunnel: the kind of device that carries pod traffic between nodes (`vxlan`,
            `ipip`), or None where it is routed.
        translate: namespace -> tables that rewrite Service addresses and sources.
        police: the policies, compiled.
        options: what can be set.
        limits: what else belongs wherever its results are shown.
    """

    name: str
    basis: str
    summary: str
    interface_prefix: str
    tunnel: Callable[[Options], str | None]
    translate: Callable[[Scenario, Network, Options], dict[str, list[Table]]]
    police: Callable[[Scenario, Network, Sequence[NetworkPolicy], Options], CompiledPolicies]
    options: Mapping[str, Option] = field(default_factory=dict)
    limits: str = ""

    def complete(self, given: Options) -> dict[str, str]:
        """Check options and fill in the defaults.

        Raises:
            UnknownNameError: an option or a value that this dataplane does not have.
            PrerequisiteError: a value that only a live cluster can show.
            LabError: a value that another option rules out.
        """
        for name, value in given.items():
            if name not in self.options:
                raise UnknownNameError(f"option of {self.name}", name, list(self.options))
            reason = self.options[name].live_only.get(value)
            if reason is not None:
                raise PrerequisiteError(
                    f"{name}={value} of {self.name} is live only: {reason}; choose one of: "
                    f"{', '.join(self.options[name].values)}, or observe it on a live cluster"
                )
            if value not in self.options[name].values:
                raise UnknownNameError(f"value of {name}", value, self.options[name].values)
        complete = {
            name: given.get(name, option.values[0]) for name, option in self.options.items()
        }
        for name, value in complete.items():
            other, needed = self.options[name].requires.get(value, (name, value))
            if complete[other] != needed:
                raise LabError(
                    f"{name}={value} of {self.name} exists only with {other}={needed}; add that, "
                    f"or choose another value: {', '.join(self.options[name].values)}"
                )
        return complete
