"""Services: from an object of a manifest to the model, with the API's defaults."""

from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.labels import read_labels
from nodeport_lab.manifests.objects import Object
from nodeport_lab.manifests.protocols import read_protocol
from nodeport_lab.manifests.syntax import (
    address,
    dns_label,
    is_ipv6,
    node_port,
    one_of,
    port,
    port_number,
)
from nodeport_lab.model import Protocol, Service, ServicePort

HEADLESS = "None"
TYPES_WITH_NODE_PORTS = ("NodePort", "LoadBalancer")

_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_FAMILY_POLICIES = ("SingleStack", "PreferDualStack", "RequireDualStack")


def read_service(service: Object) -> Service:
    """A Service. Its IPv6 addresses are left out, the lab has no use for them.

    An ExternalName has no cluster IP, which the model writes as it does for a headless
    Service. A NodePort that the manifest leaves to the cluster stays None.

    Raises:
        ManifestError: a value that Kubernetes does not accept.
    """
    spec = service.spec
    type_ = _word(spec.get("type"), _TYPES, "ClusterIP")
    _word(spec.get("sessionAffinity"), ("None", "ClientIP"), "None")
    _word(spec.get("ipFamilyPolicy"), _FAMILY_POLICIES, "SingleStack")
    for family in spec.get("ipFamilies").items():
        family.must(one_of(("IPv4", "IPv6")))
    for listed in spec.get("externalIPs").items():
        listed.must(address)
    external_policy = spec.get("externalTrafficPolicy")
    if external_policy.value and type_ == "ClusterIP" and not spec.get("externalIPs").value:
        message = "a ClusterIP Service has no external traffic"
        raise external_policy.error(f"{message}; write `type: NodePort` or remove this field")
    cluster_ips = _cluster_ips(spec)
    if type_ == "ExternalName":
        if not spec.get("externalName").value:
            raise spec.get("externalName").error("this field is missing; name the external host")
        cluster_ips = [HEADLESS]
    elif type_ != "ClusterIP" and HEADLESS in cluster_ips:
        message = f"a {type_} Service cannot be headless"
        raise spec.get("clusterIP").error(f"{message}; remove clusterIP")
    return Service(
        namespace=service.namespace,
        name=service.name,
        selector=read_labels(spec.get("selector")),
        ports=_ports(spec, type_, optional=HEADLESS in cluster_ips),
        type_=type_,
        cluster_ip=next((ip for ip in cluster_ips if not is_ipv6(ip)), None),
        external_traffic_policy=_traffic_policy(external_policy),
        internal_traffic_policy=_traffic_policy(spec.get("internalTrafficPolicy")),
        external_ips=tuple(ip for ip in spec.get("externalIPs").value or () if not is_ipv6(ip)),
    )


def is_ipv6_only(service: Object) -> bool:
    """Whether a Service has no IPv4 address at all."""
    families = service.spec.get("ipFamilies").value or []
    cluster_ips = [ip for ip in _cluster_ips(service.spec) if ip != HEADLESS]
    return families == ["IPv6"] or (bool(cluster_ips) and all(map(is_ipv6, cluster_ips)))


def _word(field: Field, choices: tuple[str, ...], default: str) -> str:
    return str(field.must(one_of(choices))) if field.value else default


def _traffic_policy(field: Field) -> str:
    return _word(field, ("Cluster", "Local"), "Cluster")


def _cluster_ips(spec: Field) -> list[str]:
    """The cluster IPs that the manifest asks for; `clusterIP` repeats the first."""
    found: list[str] = []
    for field in (spec.get("clusterIP"), *spec.get("clusterIPs").items()):
        if field.value and field.value != HEADLESS:
            field.must(address)
        if field.value and field.value not in found:
            found.append(field.value)
    return found


def _ports(spec: Field, type_: str, *, optional: bool) -> tuple[ServicePort, ...]:
    fields = list(spec.get("ports").items())
    if not fields and not optional:
        raise spec.get("ports").error(f"a {type_} Service needs at least one port; add it")
    ports: list[ServicePort] = []
    numbers: set[tuple[Protocol, int]] = set()
    names: set[str] = set()
    for field in fields:
        found = _port(field, type_, name_needed=len(fields) > 1)
        if (found.protocol, found.port) in numbers:
            message = f"port {found.port} stands here twice for {found.protocol}"
            raise field.get("port").error(f"{message}; keep one")
        if found.name in names:
            raise field.get("name").error(f"two ports are called {found.name!r}; rename one")
        numbers.add((found.protocol, found.port))
        names.update(filter(None, [found.name]))
        ports.append(found)
    return tuple(ports)


def _port(field: Field, type_: str, *, name_needed: bool) -> ServicePort:
    name, target, on_nodes = field.get("name"), field.get("targetPort"), field.get("nodePort")
    if name.value:
        name.must(dns_label)
    elif name_needed:
        raise name.error("a Service with several ports must name each; add a name")
    if target.value not in (None, 0, ""):
        target.must(port)
    if on_nodes.value:
        if type_ not in TYPES_WITH_NODE_PORTS:
            message = f"a Service of type {type_} has no NodePort"
            raise on_nodes.error(f"{message}; write `type: NodePort` or remove this field")
        on_nodes.must(node_port)
    number = field.get("port").must(port_number)
    return ServicePort(
        port=number,
        target_port=target.value or number,
        protocol=read_protocol(field.get("protocol")),
        name=name.value or None,
        node_port=on_nodes.value or None,
    )
