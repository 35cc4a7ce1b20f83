"""NetworkPolicies: from an object of a manifest to the model, with the API's defaults."""

from ipaddress import IPv4Network, IPv6Network, ip_network

from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.labels import read_selector
from nodeport_lab.manifests.objects import Object
from nodeport_lab.manifests.protocols import read_protocol
from nodeport_lab.manifests.syntax import cidr, one_of, port, port_number
from nodeport_lab.model import (
    Direction,
    IPBlock,
    NetworkPolicy,
    PodPeer,
    PolicyPort,
    PolicyRule,
)

_POLICY_TYPES = {"Ingress": Direction.INGRESS, "Egress": Direction.EGRESS}


def read_policy(policy: Object) -> NetworkPolicy:
    """A NetworkPolicy, its policyTypes defaulted as the API defaults them.

    Raises:
        ManifestError: a value that Kubernetes does not accept.
    """
    spec = policy.spec
    ingress = tuple(_rule(rule, "from") for rule in spec.get("ingress").items())
    egress = tuple(_rule(rule, "to") for rule in spec.get("egress").items())
    directions = frozenset(
        _POLICY_TYPES[type_.must(one_of(_POLICY_TYPES))]
        for type_ in spec.get("policyTypes").items()
    )
    if not directions:
        directions = frozenset(Direction if egress else {Direction.INGRESS})
    return NetworkPolicy(
        namespace=policy.namespace,
        name=policy.name,
        pod_selector=read_selector(spec.get("podSelector")),
        directions=directions,
        ingress=ingress,
        egress=egress,
    )


def _rule(rule: Field, peers: str) -> PolicyRule:
    return PolicyRule(
        peers=tuple(_peer(peer) for peer in rule.get(peers).items()),
        ports=tuple(_port(clause) for clause in rule.get("ports").items()),
    )


def _peer(peer: Field) -> IPBlock | PodPeer:
    selectors = [peer.get("podSelector"), peer.get("namespaceSelector")]
    given = [selector for selector in selectors if selector.value is not None]
    block = peer.get("ipBlock")
    if block.value is not None:
        if given:
            raise peer.error("a peer is an ipBlock or selectors, not both; make it two peers")
        return _ip_block(block)
    if not given:
        raise peer.error("this peer is empty; write ipBlock, podSelector or namespaceSelector")
    pods, namespaces = (
        read_selector(selector) if selector.value is not None else None for selector in selectors
    )
    return PodPeer(pod_selector=pods, namespace_selector=namespaces)


def _ip_block(block: Field) -> IPBlock:
    network = ip_network(block.get("cidr").must(cidr))
    exceptions = tuple(_exception(item, network) for item in block.get("except").items())
    return IPBlock(network, exceptions)


def _exception(item: Field, network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    exception = ip_network(item.must(cidr))
    inside = exception.prefixlen > network.prefixlen and _within(exception, network)
    if not inside:
        message = f"{item.value!r} is no smaller part of {str(network)!r}"
        raise item.error(f"{message}; write a range inside it")
    return exception


def _within(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network):
        return inner.subnet_of(outer)
    return False


def _port(clause: Field) -> PolicyPort:
    protocol, number, end = clause.get("protocol"), clause.get("port"), clause.get("endPort")
    if end.value is not None:
        end.must(port_number)
        if not isinstance(number.value, int):
            raise end.error("a range needs a number in port as its start; add it")
        if end.value < number.value:
            message = f"{end.value} lies before the range's start {number.value}"
            raise end.error(f"{message}; write the larger number here")
    return PolicyPort(
        protocol=read_protocol(protocol),
        port=number.must(port) if number.value is not None else None,
        end_port=end.value,
    )
