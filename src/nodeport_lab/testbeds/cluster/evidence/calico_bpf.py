"""What Calico's eBPF dataplane keeps in its maps, as `calico-node -bpf` prints it.

- `conntrack dump`: a line for each connection, `TCP client -> dialled -> backend`, or without
  the middle where nothing was translated on this node. With load balancing at connect() the
  client itself dials the backend, and there is no middle either
  (projectcalico/calico, felix/cmd/calico-bpf/commands/conntrack.go).
- `policy dump INTERFACE all`: the program of a pod's interface with a count for each rule. The
  program is asked about the first packet of a connection, and about each time that it is sent
  again; the count has no address, so no `Decision` is made of it, as in `calico_counters`
  (felix/cmd/calico-bpf/commands/policy_debug.go; up to Calico 3.31, and later with `--asm`, as
  comments between instructions).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from nodeport_lab.model import Direction, Protocol
from nodeport_lab.testbeds.cluster.evidence.calico_counters import Hit
from nodeport_lab.testbeds.cluster.evidence.conntrack import Entry, Tuple, is_ipv4

Rule = tuple[str, Direction, str, int]
"""Interface of a pod, side, policy, place of the rule in it from 1."""

_PROTOCOLS = {"TCP": Protocol.TCP, "UDP": Protocol.UDP}
_END = r"(\d+\.\d+\.\d+\.\d+):(\d+)"
_CONNECTION = re.compile(
    rf"(?P<protocol>TCP|UDP) {_END} -> (?:{_END} -> )?{_END} (?P<rest>.*)Active ago \S+"
    r"(?: (?P<state>[A-Z-]+))?"
)
_PORT = re.compile(r"source port changed from (\d+)")
_HOOKS = {"ingress": Direction.EGRESS, "egress": Direction.INGRESS}
"""Hook at the node's end of the pod's veth -> side on which the policy is evaluated."""
_HOOK = re.compile(r"Hook: (?:tc |tcx )?(\w+)")
_POLICY = re.compile(
    r"(?:// *Start of (?!rule\b|tier\b)|Policy: )"
    r"(?:(?P<kind>\w+) )?(?:[^\s/]+/)?(?P<name>[^\s/]+)(?: \d+)?"
)
_LEFT = re.compile(r"// *End of (?!rule\b).*|End (?:Policy|Tier): .*|Profile: .*")
_RULE = re.compile(r"// *Start of rule\b.*|Rule: .*")
_COUNT = re.compile(r"(?:// *count = |Hit count: )(\d+)")
_KUBERNETES = "knp.default."  # before the name of a NetworkPolicy up to Calico 3.31


def parse_conntrack(text: str) -> tuple[Entry, ...]:
    """The TCP and UDP connections over IPv4; lines of another form are left out."""
    return tuple(entry for line in text.splitlines() for entry in _entry(line.strip()))


def find(entries: Iterable[Entry], protocol: Protocol, source: str) -> Entry | None:
    """The entry of a connection by its client's `address:port`; None unless there is one.

    What was dialled is no key here: connect() may have replaced it.
    """
    found = [
        entry for entry in entries if entry.protocol is protocol and entry.original.source == source
    ]
    return found[0] if len(found) == 1 else None


def parse_policies(text: str) -> dict[Rule, int]:
    """The rules of policies with their counts, of one or several dumps."""
    counts: dict[Rule, int] = {}
    interface, direction = "", None
    policy, number = "", 0
    for line in map(str.strip, text.splitlines()):
        if line.startswith("IfaceName: "):
            interface, direction, policy = line.removeprefix("IfaceName: "), None, ""
        elif found := _HOOK.fullmatch(line):
            direction, policy = _HOOKS.get(found[1]), ""
        elif _LEFT.fullmatch(line):
            policy = ""
        elif _RULE.fullmatch(line):
            number += 1
        elif found := _POLICY.fullmatch(line):
            policy, number = found["name"].removeprefix(_KUBERNETES), 0
        elif (found := _COUNT.fullmatch(line)) and policy and number and direction:
            counts[interface, direction, policy, number] = int(found[1])
    return counts


def hits(before: Mapping[Rule, int], after: Mapping[Rule, int]) -> tuple[Hit, ...]:
    """The rules that met packets between two readings; one that began anew, what it counts now."""
    found = []
    for (interface, direction, policy, number), count in after.items():
        met = before.get((interface, direction, policy, number), 0)
        packets = count - met if count >= met else count
        if packets:
            found.append(Hit(direction, interface, policy, number, packets))
    return tuple(found)


def _entry(line: str) -> Iterator[Entry]:
    found = _CONNECTION.fullmatch(line)
    if found is None:
        return
    client, port, dialled, dialled_port, backend, backend_port = found.groups()[1:7]
    if not all(map(is_ipv4, filter(None, (client, dialled, backend)))):
        return
    changed = _PORT.search(found["rest"])
    target = f"{backend}:{backend_port}"
    yield Entry(
        _PROTOCOLS[found["protocol"]],
        found["state"],
        original=Tuple(
            f"{client}:{changed[1] if changed else port}",
            f"{dialled}:{dialled_port}" if dialled else target,
        ),
        reply=Tuple(target, f"{client}:{port}"),
        answered=found["state"] not in {None, "SYN-SENT"},
    )
