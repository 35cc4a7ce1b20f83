"""Whose address policy saw, in words that mean the same on every cluster."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from ipaddress import IPv4Address

from nodeport_lab.errors import LabError
from nodeport_lab.experiment import suite_scenario
from nodeport_lab.model import Network, Observation, Run, Scenario
from nodeport_lab.report.seen import NOT_EVALUATED, Names, names, seen_name
from nodeport_lab.suites import SUITES
from nodeport_lab.testbeds.embedded.addressing import plan_network
from nodeport_lab.variations import split, vary

ELSEWHERE = "another address"
"""An address that stands for nothing in the scenario: of a gateway, of a machine outside."""


def role(run: Run, cell: Observation) -> str | None:
    """What policy saw, in words: `dialled node:dialled port`, `server pod:8080`.

    A port that was dialled is told as such, since a cluster allocates its own node ports.

    Returns:
        None where nothing was seen, or where the run does not say whose address is whose.
    """
    known = _names(run)
    name = NOT_EVALUATED if known is None else seen_name(cell, known)
    if known is None or name == NOT_EVALUATED:
        return None
    whose, colon, port = name.partition(":")
    if port == str(cell.port):
        port = "dialled port"
    return f"{ELSEWHERE if _is_address(whose) else whose}{colon}{port}"


def _names(run: Run) -> Names | None:
    if run.suite not in SUITES:
        return None  # of a later version
    scenario = _scenario(run.suite, tuple(sorted(split(run.options)[1].items())))
    if scenario is None:
        return None
    if run.cluster is not None and run.cluster.network is not None:
        return _on_cluster(scenario, run.cluster.network)
    if run.testbed == "embedded":
        return names(scenario, plan_network(scenario, tunnel=True))
    return None


@cache
def _scenario(suite: str, variations: tuple[tuple[str, str], ...]) -> Scenario | None:
    try:
        return vary(suite_scenario(SUITES[suite]), dict(variations))
    except LabError:
        return None  # a variation of a later version


def _on_cluster(scenario: Scenario, network: Network) -> Names:
    """A cluster may lack pods: those that are not admitted, or that no run of it needed."""
    there = tuple(pod for pod in scenario.pods if pod.key in network.pods)
    return names(replace(scenario, pods=there), network)


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
