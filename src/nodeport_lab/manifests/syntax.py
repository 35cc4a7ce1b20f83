"""The small grammars of Kubernetes: names, labels, ports, addresses and ranges.

Each function takes a value and returns what is wrong with it, remedy included, or None.
The rules are those of Kubernetes 1.36, where addresses and CIDRs are checked strictly
(KEP-4858) and Service names are ordinary DNS labels (KEP-5311).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from nodeport_lab.manifests.wording import shown, suggest

LARGEST_PORT = 65535
NODE_PORTS = range(30000, 32768)
"""The ports that Kubernetes gives to NodePorts unless it is told otherwise."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LONGEST_LABEL = 63
_LONGEST_SUBDOMAIN = 253
_LABEL_TEXT = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_CIDR = re.compile(r"[0-9a-fA-F.:]+/(?:0|[1-9][0-9]{0,2})")
_ADDRESS = re.compile(r"[0-9a-fA-F.:]+")
_LABEL_RULE = "lower-case letters, digits and '-', a letter or digit at both ends"
_LABEL_TEXT_RULE = "letters, digits, '-', '_' and '.', a letter or digit at both ends"


def dns_label(text: str) -> str | None:
    """A DNS label: the name of a namespace, Service or container."""
    if len(text) <= _LONGEST_LABEL and _LABEL.fullmatch(text):
        return None
    return f"{shown(text)} is not a DNS label; use at most {_LONGEST_LABEL} {_LABEL_RULE}"


def dns_subdomain(text: str) -> str | None:
    """A DNS subdomain: the name of a pod, Deployment or NetworkPolicy."""
    if len(text) <= _LONGEST_SUBDOMAIN and all(map(_LABEL.fullmatch, text.split("."))):
        return None
    return f"{shown(text)} is not a DNS name; use labels of {_LABEL_RULE}, joined by '.'"


def qualified_name(text: str) -> str | None:
    """The key of a label or annotation: a name, with or without a DNS prefix and '/'."""
    prefix, slash, name = text.rpartition("/")
    if slash and dns_subdomain(prefix) is not None:
        return f"{shown(text)} is not a label key; what stands before '/' must be a DNS name"
    if len(name) > _LONGEST_LABEL or not _LABEL_TEXT.fullmatch(name):
        return f"{shown(text)} is not a label key; use at most {_LONGEST_LABEL} {_LABEL_TEXT_RULE}"
    return None


def label_value(text: str) -> str | None:
    """The value of a label, which may be empty."""
    if not text or (len(text) <= _LONGEST_LABEL and _LABEL_TEXT.fullmatch(text)):
        return None
    return f"{shown(text)} is not a label value; use at most {_LONGEST_LABEL} {_LABEL_TEXT_RULE}"


def port_number(number: int) -> str | None:
    """A port."""
    if 1 <= number <= LARGEST_PORT:
        return None
    return f"{number} is not a port; use a number from 1 to {LARGEST_PORT}"


def node_port(number: int) -> str | None:
    """A port in the range of NodePorts."""
    if number in NODE_PORTS:
        return None
    first, last = NODE_PORTS[0], NODE_PORTS[-1]
    return f"{number} is not in the range of NodePorts; use a number from {first} to {last}"


def port_name(text: str) -> str | None:
    """The name of a port of a container."""
    if _PORT_NAME.fullmatch(text):
        return None
    if text.isdecimal():
        return f"{shown(text)} is text, and a port's name has a letter; write {text} without quotes"
    return (
        f"{shown(text)} is not a port name; use at most 15 {_LABEL_RULE}, "
        "at least one letter and no '--'"
    )


def port(value: int | str) -> str | None:
    """A port by number or by name."""
    return port_number(value) if isinstance(value, int) else port_name(value)


def one_of(choices: Iterable[str]) -> Callable[[str], str | None]:
    """A rule for a field that holds one of a few words."""
    known = tuple(map(str, choices))  # members of an enum as their values

    def rule(text: str) -> str | None:
        if text in known:
            return None
        return f"{shown(text)} is not known here; {suggest(text, known)}"

    return rule


def cidr(text: str) -> str | None:
    """A range of addresses in CIDR notation, its host bits zero."""
    start = text.partition("/")[0]
    network = _network(text) if _CIDR.fullmatch(text) else None
    if network is None:
        return f"{shown(text)} is not an IPv4 or IPv6 range; write it like 10.0.0.0/8"
    if _is_mapped(network):
        return f"{shown(text)} is an IPv4 range written as IPv6; write it like 10.0.0.0/8"
    if ip_address(start) != network.network_address:
        return f"{shown(text)} has host bits set; write {network}"
    return None


def address(text: str) -> str | None:
    """An IPv4 or IPv6 address."""
    network = _network(text) if _ADDRESS.fullmatch(text) else None
    if network is None:
        return f"{shown(text)} is not an IPv4 or IPv6 address; write it like 10.0.0.1"
    if _is_mapped(network):
        return f"{shown(text)} is an IPv4 address written as IPv6; write it like 10.0.0.1"
    return None


def is_ipv6(text: str) -> bool:
    """Whether a correct address or range is IPv6."""
    return ":" in text


def _network(text: str) -> IPv4Network | IPv6Network | None:
    """The range that an address with or without a prefix stands in."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _is_mapped(network: IPv4Network | IPv6Network) -> bool:
    return isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None
