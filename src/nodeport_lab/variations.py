"""Scenarios with one thing changed: where the backend runs, and the traffic policies.

A variation is set like an option of a dataplane. It changes objects of the scenario, and
so holds on every dataplane and testbed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nodeport_lab.dataplanes import DATAPLANES, Option
from nodeport_lab.errors import UnknownNameError
from nodeport_lab.model import Pod, Scenario

EXTERNAL_TRAFFIC_POLICY = "externalTrafficPolicy"
INTERNAL_TRAFFIC_POLICY = "internalTrafficPolicy"
BACKEND = "backend"

VARIATIONS: Mapping[str, Option] = {
    EXTERNAL_TRAFFIC_POLICY: Option(
        ("Cluster", "Local"), "which backends a node port or an address outside may use"
    ),
    INTERNAL_TRAFFIC_POLICY: Option(("Cluster", "Local"), "which backends a cluster IP may use"),
    BACKEND: Option(
        ("as-placed", "moved", "both", "host-network"),
        "where servers run: as the manifests say, on the next worker, on both, or as before "
        "in the node's network",
    ),
}


def split(chosen: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Part what was chosen into options of a dataplane and variations."""
    varied = {name: value for name, value in chosen.items() if name in VARIATIONS}
    return {name: value for name, value in chosen.items() if name not in varied}, varied


def departures(dataplane: str, chosen: Mapping[str, str]) -> dict[str, str]:
    """What is not at its default; what neither the dataplane nor a variation knows is left out."""
    known = {**(DATAPLANES[dataplane].options if dataplane in DATAPLANES else {}), **VARIATIONS}
    return {
        name: value
        for name, value in chosen.items()
        if name in known and value != known[name].values[0]
    }


def vary(scenario: Scenario, chosen: Mapping[str, str]) -> Scenario:
    """The scenario with the chosen variations; what is not chosen stays as it is.

    Raises:
        UnknownNameError: a variation or a value that does not exist.
    """
    for name, value in chosen.items():
        if name not in VARIATIONS:
            raise UnknownNameError("variation", name, list(VARIATIONS))
        if value not in VARIATIONS[name].values:
            raise UnknownNameError(f"value of {name}", value, VARIATIONS[name].values)
    services = tuple(
        replace(
            service,
            external_traffic_policy=chosen.get(
                EXTERNAL_TRAFFIC_POLICY, service.external_traffic_policy
            ),
            internal_traffic_policy=chosen.get(
                INTERNAL_TRAFFIC_POLICY, service.internal_traffic_policy
            ),
        )
        for service in scenario.services
    )
    pods = tuple(
        placed for pod in scenario.pods for placed in _place(pod, scenario, chosen.get(BACKEND))
    )
    return replace(scenario, services=services, pods=pods)


def _place(pod: Pod, scenario: Scenario, backend: str | None) -> tuple[Pod, ...]:
    if not pod.ports or backend in {None, "as-placed"}:
        return (pod,)
    if backend == "host-network":
        return (replace(pod, host_network=True),)
    workers = [node.name for node in scenario.nodes if not node.control_plane]
    moved = replace(pod, node=workers[(workers.index(pod.node) + 1) % len(workers)])
    if backend == "moved":
        return (moved,)
    return (pod, replace(moved, name=f"{pod.name}-copy"))
