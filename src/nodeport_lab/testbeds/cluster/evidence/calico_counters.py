"""Calico's own rules, counted before and after: which of them packets have met.

Felix writes a chain for each pod's interface and direction (`cali-fw-<interface>` from
the pod, `cali-tw-<interface>` to it), which goes through a chain for each policy
(`cali-po-…` for egress, `cali-pi-…` for ingress) and drops in the end what none of them
took (felix/rules/endpoints.go, felix/rules/policy.go). In nftables mode the same chains
stand in the table `ip calico` with `filter-` before their names.

A counter counts packets, not connections, and does not record an address. So it confirms
that a rule was at work; a `Decision`, which states what the hook saw of one connection,
cannot honestly be made of it, and none is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodeport_lab.errors import TestbedError
from nodeport_lab.model import Direction

Key = tuple[str, tuple[str, ...], int]
"""Chain, comments, and which of several rules with these it is."""

_RULE = re.compile(r"\[(?P<packets>\d+):\d+\] -A (?P<chain>\S+) (?P<rest>.*)")
_COMMENT = re.compile(r'--comment (?:"((?:[^"\\]|\\.)*)"|(\S+))')
_TARGET = re.compile(r"(?:^| )(?:-j|-g|--jump|--goto) (\S+)")
_HASH = re.compile(r"cali:[A-Za-z0-9_-]+;?")
_POLICY = re.compile(
    r"(?:Kubernetes|Global)?(?:Network)?Policy (?:\S+/)?(?P<name>\S+) (?:ingress|egress)"
)
_KUBERNETES = "knp.default."  # before the name of a NetworkPolicy up to Calico 3.31
_DROPS = ("Drop if no policies passed packet", "Drop if no profiles matched")
_DIRECTIONS = {
    "cali-po-": Direction.EGRESS,
    "cali-pi-": Direction.INGRESS,
    "cali-fw-": Direction.EGRESS,
    "cali-tw-": Direction.INGRESS,
}
_MOVES_ON = {"RETURN", "NFLOG", "LOG"}  # follow a decision, or tell of it


@dataclass(frozen=True, slots=True)
class CountedRule:
    """A rule of a chain with its counter.

    Attributes:
        chain: as in iptables.
        number: its place in the chain, from 1.
        comments: without Felix's hash.
        target: what it does: a target, or a chain; None if it only counts.
        packets: how many it has met.
        hash: Felix's name of the rule, which changes with its content.
    """

    chain: str
    number: int
    comments: tuple[str, ...]
    target: str | None
    packets: int
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that met packets between two readings.

    Attributes:
        direction: the side on which the policy is evaluated.
        chain: the policy's chain, or that of a pod's interface.
        policy: name of the policy as Felix's comment tells it; None for the drop that ends
            a pod's chain, or where there is no comment.
        number: place of the rule in its chain, from 1.
        packets: how many; retransmissions count again.
    """

    direction: Direction
    chain: str
    policy: str | None
    number: int
    packets: int

    @property
    def dropped(self) -> bool:
        """Whether this is the drop of what no policy, or no profile, has taken."""
        return self.chain.startswith(("cali-fw-", "cali-tw-"))

    def __str__(self) -> str:
        """As evidence tells it."""
        packets = "1 packet" if self.packets == 1 else f"{self.packets} packets"
        if self.dropped:
            return f"the drop at the end of {self.chain} ({self.direction}) met {packets}"
        return f"{self.direction} rule {self.number} of {self.policy or self.chain} met {packets}"


def parse_iptables(text: str) -> tuple[CountedRule, ...]:
    """Calico's rules of `iptables-save -c -t filter`."""
    places: Counter[str] = Counter()
    rules = []
    for line in text.splitlines():
        found = _RULE.fullmatch(line.strip())
        if found and found["chain"].startswith("cali-"):
            places[found["chain"]] += 1
            comments = [quoted or bare for quoted, bare in _COMMENT.findall(found["rest"])]
            target = _TARGET.search(_COMMENT.sub("", found["rest"]))
            rules.append(
                _rule(
                    found["chain"],
                    places[found["chain"]],
                    comments,
                    target[1] if target else None,
                    int(found["packets"]),
                )
            )
    return tuple(rules)


def parse_nftables(text: str) -> tuple[CountedRule, ...]:
    """Calico's rules of `nft -j list table ip calico` (libnftables-json(5)).

    Raises:
        TestbedError: the text is no such document.
    """
    try:
        objects = json.loads(text)["nftables"]
        rules = [one["rule"] for one in objects if "rule" in one]
    except (ValueError, KeyError, TypeError) as error:
        raise TestbedError(
            f"what nft printed for Calico's table is not its JSON form ({error}); "
            "look at it in the calico-node pod with: nft -j list table ip calico"
        ) from error
    places: Counter[str] = Counter()
    return tuple(_from_json(rule, places) for rule in rules)


def hits(before: Iterable[CountedRule], after: Iterable[CountedRule]) -> tuple[Hit, ...]:
    """The rules of policies, and the drops that end a pod's chain, that met packets between.

    A rule that is new, or whose counter began anew as Felix wrote its chain again, has met
    what it counts now, at least.
    """
    earlier = {key: rule.packets for key, rule in _keyed(before)}
    found = []
    for key, rule in _keyed(after):
        met = earlier.get(key, 0)
        packets = rule.packets - met if rule.packets >= met else rule.packets
        direction = _DIRECTIONS.get(rule.chain[:8])
        if packets and direction and _decides(rule):
            found.append(Hit(direction, rule.chain, _policy(rule), rule.number, packets))
    return tuple(found)


def _rule(
    chain: str, number: int, comments: Sequence[str], target: str | None, packets: int
) -> CountedRule:
    told = [part.strip() for text in comments for part in text.split(";")]
    names = [text for text in told if _HASH.fullmatch(text)]
    return CountedRule(
        chain,
        number,
        tuple(text for text in told if text and text not in names),
        target,
        packets,
        names[0] if names else "",
    )


def _from_json(rule: Mapping[str, Any], places: Counter[str]) -> CountedRule:
    chain = str(rule["chain"]).removeprefix("filter-")
    places[chain] += 1
    statements = [(name, value) for one in rule.get("expr", ()) for name, value in one.items()]
    packets = next(
        (value["packets"] for name, value in statements if name == "counter" and value), 0
    )
    comments = [str(rule["comment"])] if "comment" in rule else []
    return _rule(chain, places[chain], comments, _verdict(statements), int(packets))


def _verdict(statements: Sequence[tuple[str, Any]]) -> str | None:
    """The last statement that does something, in the words of iptables."""
    for name, value in reversed(statements):
        if name in {"jump", "goto"}:
            return str(value["target"])
        if name in {"accept", "drop", "return", "log", "mangle", "reject"}:
            return "MARK" if name == "mangle" else str(name).upper()
    return None


def _keyed(rules: Iterable[CountedRule]) -> Iterator[tuple[Key, CountedRule]]:
    met: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for rule in rules:
        name = (rule.chain, (rule.hash, *rule.comments))
        yield (*name, met[name]), rule
        met[name] += 1


def _decides(rule: CountedRule) -> bool:
    if rule.chain.startswith(("cali-po-", "cali-pi-")):
        return rule.target is not None and rule.target not in _MOVES_ON
    return rule.target in {"DROP", "REJECT"} and any(
        text.endswith(_DROPS) for text in rule.comments
    )


def _policy(rule: CountedRule) -> str | None:
    for text in rule.comments:
        found = _POLICY.fullmatch(text)
        if found:
            return found["name"].removeprefix(_KUBERNETES)
    return None
