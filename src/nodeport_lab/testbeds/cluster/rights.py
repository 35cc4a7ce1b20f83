"""Which rights the lab needs in a cluster, what each is for, and whether it has them.

Rights are those of RBAC (https://kubernetes.io/docs/reference/access-authn-authz/rbac/).
Exec over a websocket is a GET, so that `pods/exec` needs `get` up to 1.34 and `create` as
well from 1.35 on, where AuthorizePodWebsocketUpgradeCreatePermission is on by default.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from nodeport_lab.errors import PrerequisiteError, UnknownNameError
from nodeport_lab.testbeds.cluster.connection import Connection

NAME = "nodeport-lab"
OWN = "own namespace"
CLUSTER = "cluster"
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Right:
    """Something that may be done with a kind of object.

    Attributes:
        verbs: of RBAC.
        resource: in the plural; with a subresource, `pods/exec`.
        why: what it is for.
        place: OWN, CLUSTER, or the name of a namespace.
        group: the API group.
    """

    verbs: tuple[str, ...]
    resource: str
    why: str
    place: str = OWN
    group: str = ""

    @property
    def name(self) -> str:
        """The resource with its group, as kubectl names it."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


_ALL = ("create", "delete", "get", "list", "patch")

BASE = (
    Right(_ALL, "pods", "clients, servers and canaries"),
    Right(("create", "get"), "pods/exec", "curl is run inside of the clients"),
    Right(_ALL, "services", "the Service under test"),
    Right(_ALL, "networkpolicies", "the policies under test", group="networking.k8s.io"),
    Right(("get", "list"), "nodes", "addresses of nodes, and where pods can run", CLUSTER),
)
"""What every run needs."""


def _evidence(namespace: str) -> tuple[Right, ...]:
    return (
        Right(("list",), "pods", "the CNI's pod on each node", namespace),
        Right(("create", "get"), "pods/exec", "conntrack, counters, verdicts", namespace),
    )


_CALICO = ("crd.projectcalico.org", "projectcalico.org")
EXTRAS: Mapping[str, tuple[Right, ...]] = {
    "create-namespace": (
        Right(("create", "delete", "get"), "namespaces", "a namespace of its own", CLUSTER),
    ),
    "read-configuration": (
        Right(("get",), "configmaps", "kubeadm, kube-proxy and Cilium", "kube-system"),
        Right(("get",), "daemonsets", "versions", "kube-system", "apps"),
        Right(("list",), "pods", "the API server's arguments", "kube-system"),
        Right(("list",), "servicecidrs", "the Services' subnet", CLUSTER, "networking.k8s.io"),
        *(
            right
            for group in _CALICO
            for right in (
                Right(("get",), "felixconfigurations", "how Felix is set", CLUSTER, group),
                Right(("list",), "ippools", "the pods' subnet, encapsulation", CLUSTER, group),
            )
        ),
        Right(("get",), "installations", "the dataplane", CLUSTER, "operator.tigera.io"),
        Right(("list",), "ciliumnodes", "addresses of tunnels", CLUSTER, "cilium.io"),
    ),
    "read-operator": (Right(("get",), "daemonsets", "Calico's version", "calico-system", "apps"),),
    "node-evidence": _evidence("kube-system"),
    "node-evidence-operator": _evidence("calico-system"),
    "host-network": (
        Right(("get",), "namespaces", "which Pod Security Standard is enforced", CLUSTER),
    ),
}
"""What a run can use besides, by name; without them it knows less. Those of the operator
are for clusters where Tigera's operator has installed Calico, in calico-system."""


OF_EVIDENCE = ("node-evidence", "node-evidence-operator", "read-operator")
"""Extras in the namespaces of CNIs; a role in one that a cluster lacks cannot be created."""


def rights(extras: Iterable[str]) -> tuple[Right, ...]:
    """The base's rights and those of some extras.

    Raises:
        UnknownNameError: there is no such extra.
    """
    found = list(BASE)
    for extra in extras:
        if extra not in EXTRAS:
            raise UnknownNameError("extra", extra, list(EXTRAS))
        found += EXTRAS[extra]
    return tuple(dict.fromkeys(found))


def check(connection: Connection, namespace: str | None, extras: Iterable[str] = ()) -> list[str]:
    """Ask the API server, before anything is created, whether everything may be done.

    Args:
        connection: to the cluster.
        namespace: the namespace that will be used; None for one that is created later.
        extras: names of extras without which nothing should be begun.

    Returns:
        what the API server could not say, in words.

    Raises:
        PrerequisiteError: a right is missing.
        UnknownNameError: there is no such extra.
    """
    missing, unsaid = [], []
    for right in rights(extras):
        for verb in right.verbs:
            resource, _, subresource = right.resource.partition("/")
            place = {OWN: namespace, CLUSTER: None}.get(right.place, right.place)
            allowed = connection.may(
                verb, resource, group=right.group, namespace=place, subresource=subresource
            )
            if allowed is None:
                unsaid.append(f"{verb} {right.resource}")
            elif not allowed:
                missing.append(f"{verb} {right.resource} ({right.why})")
    if missing:
        raise PrerequisiteError(
            f"these rights are missing in {namespace or 'the cluster'}: {', '.join(missing)}; "
            "hand the output of --print-rbac to whoever administers the cluster"
        )
    return unsaid


def print_rbac(namespace: str, extras: Sequence[str] = (), *, account: str = NAME) -> str:
    """Roles and bindings that give a ServiceAccount the rights, as YAML.

    Args:
        namespace: where the lab runs, and the account lives.
        extras: names of extras.
        account: name of the ServiceAccount; bind the roles to a user instead by editing
            the subjects.

    Raises:
        UnknownNameError: there is no such extra.
    """
    wanted = rights(extras)
    if "create-namespace" in extras:  # its name is not known beforehand: rights in all of them
        wanted = tuple(
            replace(right, place=CLUSTER) if right.place == OWN else right for right in wanted
        )
    return yaml.safe_dump_all(
        _objects(wanted, namespace, account), sort_keys=False, explicit_start=True
    )


def _objects(wanted: Sequence[Right], namespace: str, account: str) -> Iterator[dict[str, Any]]:
    yield {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": account, "namespace": namespace},
    }
    for place in dict.fromkeys(right.place for right in wanted):
        where = {OWN: namespace, CLUSTER: None}.get(place, place)
        # Away from its own namespace a role is named after it: there may be several.
        name = NAME if place == OWN else f"{NAME}-{namespace}"
        metadata = {"name": name} if where is None else {"name": name, "namespace": where}
        kind = "ClusterRole" if where is None else "Role"
        yield {
            "apiVersion": f"{_RBAC}/v1",
            "kind": kind,
            "metadata": metadata,
            "rules": [
                {
                    "apiGroups": [right.group],
                    "resources": [right.resource],
                    "verbs": list(right.verbs),
                }
                for right in wanted
                if right.place == place
            ],
        }
        yield {
            "apiVersion": f"{_RBAC}/v1",
            "kind": f"{kind}Binding",
            "metadata": metadata,
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
            "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name},
        }
