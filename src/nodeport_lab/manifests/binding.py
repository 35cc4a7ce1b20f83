"""The same policy on every testbed: CIDRs that follow the testbed's addresses.

A policy is plain Kubernetes and holds the subnets of the embedded testbed. Where another
testbed has other subnets, an annotation of the policy says which of its CIDRs stand for
which fact:

    metadata:
      annotations:
        nodeport-lab/cidr-facts: 172.18.0.0/24=nodes

Several are separated by commas. The facts are `nodes`, `pods` and `services`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.objects import Object
from nodeport_lab.manifests.syntax import cidr, one_of
from nodeport_lab.manifests.wording import shown
from nodeport_lab.model import Network

ANNOTATION = "nodeport-lab/cidr-facts"
FACTS = ("nodes", "pods", "services")


def cidr_facts(network: Network) -> dict[str, str]:
    """The facts of a testbed, from the addresses that it gave to a scenario."""
    subnets = (network.node_cidr, network.pod_cidr, network.service_cidr)
    return dict(zip(FACTS, map(str, subnets), strict=True))


def bind_cidrs(policy: Object, facts: Mapping[str, str]) -> Object:
    """Replace the annotated CIDRs of a policy by the facts of a testbed.

    Every `cidr` and `except` that equals an annotated CIDR is replaced, and the
    annotation with it, so the result is what belongs on that testbed, and can be bound
    again. With the facts that the policy already holds, nothing changes. Objects without
    the annotation are returned as they are.

    Args:
        policy: an object as read; it is not changed.
        facts: name of a fact (`nodes`, `pods`, `services`) to a CIDR.

    Raises:
        ManifestError: the annotation is malformed, names a CIDR that the policy does not
            hold, or needs a fact that is not among `facts`.
    """
    annotation = policy.field.get("metadata", "annotations", ANNOTATION)
    if annotation.value is None:
        return policy
    bindings = _bindings(annotation)
    for fact in bindings.values():
        if fact not in facts:
            given = ", ".join(facts) or "none"
            message = f"this testbed does not know the fact {fact!r}"
            raise annotation.error(f"{message}; it gives: {given}")
        if problem := cidr(facts[fact]):
            raise annotation.error(f"the fact {fact!r} of this testbed is no range: {problem}")
    found: set[str] = set()
    spec = _replaced(policy.spec.value, {old: facts[bindings[old]] for old in bindings}, found)
    for old in bindings:
        if old not in found:
            message = f"no ipBlock of this policy holds {old}"
            raise annotation.error(f"{message}; name a CIDR as it stands in the policy")
    manifest = {**policy.field.value, "spec": spec}
    bound = ",".join(f"{facts[fact]}={fact}" for fact in bindings.values())
    annotations = {**manifest["metadata"]["annotations"], ANNOTATION: bound}
    manifest["metadata"] = {**manifest["metadata"], "annotations": annotations}
    return replace(policy, field=replace(policy.field, value=manifest))


def check_binding(policy: Object) -> None:
    """Check the annotation without any testbed: bind the policy to what it holds.

    Raises:
        ManifestError: the annotation is malformed or names a CIDR that is not there.
    """
    annotation = policy.field.get("metadata", "annotations", ANNOTATION)
    if annotation.value is not None:
        bind_cidrs(policy, {fact: old for old, fact in _bindings(annotation).items()})


def _bindings(annotation: Field) -> dict[str, str]:
    """CIDR in the policy -> name of the fact, from `CIDR=fact,CIDR=fact`."""
    bindings: dict[str, str] = {}
    for entry in str(annotation.value).split(","):
        old, equals, fact = (part.strip() for part in entry.partition("="))
        if not equals:
            message = f"{shown(entry)} does not say which fact replaces a CIDR"
            raise annotation.error(f"{message}; write it like 172.18.0.0/24=nodes")
        if problem := cidr(old) or one_of(FACTS)(fact):
            raise annotation.error(problem)
        if old in bindings or fact in bindings.values():
            raise annotation.error(f"{shown(entry)} repeats a CIDR or a fact; keep one entry")
        bindings[old] = fact
    return bindings


def _replaced(value: Any, new: Mapping[str, str], found: set[str], key: str = "") -> Any:  # noqa: ANN401 - any part of a manifest
    """A copy with every annotated CIDR replaced; those that were met go to `found`."""
    if isinstance(value, dict):
        return {name: _replaced(part, new, found, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_replaced(part, new, found, key) for part in value]
    if key in {"cidr", "except"} and value in new:
        found.add(value)
        return new[value]
    return value
