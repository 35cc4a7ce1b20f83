"""Policies rendered for a cluster say what they said when they were read."""

from __future__ import annotations

import json
from dataclasses import replace

import yaml
from hypothesis import given, settings
from support.strategies import World, worlds

from nodeport_lab.locations import manifests_directory
from nodeport_lab.manifests import load_scenario, read_objects
from nodeport_lab.manifests.policies import read_policy
from nodeport_lab.manifests.rendering import render_policy
from nodeport_lab.model import Direction, LabelSelector, NetworkPolicy, PolicyRule


def read_back(policy: NetworkPolicy) -> NetworkPolicy:
    """The policy, written as YAML and read again."""
    (found,) = read_objects(yaml.safe_dump(render_policy(policy)), "rendered")
    return read_policy(found)


@settings(max_examples=50, deadline=None)
@given(worlds())
def test_every_policy_survives_the_way_through_a_manifest(world: World) -> None:
    """Rendering and reading are inverse, whatever a policy says."""
    for policy in world.policies:
        assert policy == read_back(policy)


def test_the_policies_of_the_book_survive_as_well() -> None:
    """Every manifest of the report and of the suites."""
    folders = ("workloads", "services", "policies", "suites/ingress", "suites/ports")
    policies = load_scenario(manifests_directory(), "dev", folders=folders).policies

    assert policies == tuple(map(read_back, policies))
    assert len(policies) > 20


def test_an_empty_rule_stays_a_rule() -> None:
    """`egress: [{}]` allows everything, `egress: []` nothing."""
    nothing = NetworkPolicy("ns", "p", LabelSelector(), frozenset({Direction.EGRESS}))
    everything = replace(nothing, egress=(PolicyRule(),))

    assert [] == render_policy(nothing)["spec"]["egress"]
    assert [{}] == render_policy(everything)["spec"]["egress"]


def test_a_rendered_policy_is_plain_json() -> None:
    """No enumeration, network or tuple is left in it."""
    for policy in load_scenario(manifests_directory()).policies:
        rendered = render_policy(policy)
        assert rendered == json.loads(json.dumps(rendered))
