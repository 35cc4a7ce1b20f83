"""Compiling a scenario to rules: pure functions, with their output written down.

The files in `golden/` hold what the report's scenario becomes under the policy `both`:
every transaction of each dataplane with its defaults (`.nft`), and what each option
changes in that (`.diff`). After an intended change renew them with GOLDEN_COMMAND, and
read the difference before committing it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path

import pytest

from nodeport_lab.dataplanes import DATAPLANES, Dataplane, find_dataplane
from nodeport_lab.dataplanes.cilium import identities
from nodeport_lab.dataplanes.nftables import Table, transactions
from nodeport_lab.errors import UnknownNameError
from nodeport_lab.experiment import default_scenario
from nodeport_lab.model import NetworkPolicy, Scenario
from nodeport_lab.testbeds.embedded.addressing import plan_network

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_COMMAND = "RENEW_GOLDEN=1 .venv/bin/python -m pytest tests/unit/test_dataplanes_golden.py"
POLICY = "both"


Options = dict[str, str]


def variants() -> list[tuple[Dataplane, Options]]:
    """Every dataplane with its defaults, and with each other value of each option alone."""
    found: list[tuple[Dataplane, Options]] = []
    for dataplane in DATAPLANES.values():
        found.append((dataplane, {}))
        found += [
            (dataplane, {name: value})
            for name, option in dataplane.options.items()
            for value in option.values[1:]
        ]
    return found


def name_of(dataplane: Dataplane, options: Options) -> str:
    """What tells one variant from the others."""
    return "-".join([dataplane.name, *(f"{name}-{value}" for name, value in options.items())])


def file_of(dataplane: Dataplane, options: Options) -> Path:
    """Where the rules of a variant are written down."""
    return GOLDEN / f"{name_of(dataplane, options)}.{'diff' if options else 'nft'}"


VARIANTS = pytest.mark.parametrize(
    ("dataplane", "options"), variants(), ids=[name_of(*variant) for variant in variants()]
)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """The report's scenario."""
    return default_scenario()


def named(scenario: Scenario, name: str) -> NetworkPolicy:
    """One of the scenario's policies."""
    (policy,) = [policy for policy in scenario.policies if policy.name == name]
    return policy


def tables(
    scenario: Scenario, policies: list[NetworkPolicy], dataplane: Dataplane, options: Options
) -> dict[str, list[Table]]:
    """Everything that a dataplane puts into each namespace."""
    network = plan_network(scenario, tunnel=dataplane.tunnel)
    chosen = dataplane.complete(options)
    found = dict(dataplane.translate(scenario, network, chosen))
    compiled = dataplane.police(scenario, network, policies, chosen)
    for namespace, table in compiled.tables.items():
        found[namespace] = [*found.get(namespace, []), table]
    return found


def render(scenario: Scenario, dataplane: Dataplane, options: Options) -> list[str]:
    """The report's scenario under POLICY as lines, namespace by namespace."""
    lines = [f"# Made by: {GOLDEN_COMMAND}"]
    for namespace, some in tables(scenario, [named(scenario, POLICY)], dataplane, options).items():
        for table in some:
            texts = transactions(table)
            for number, text in enumerate(texts, start=1):
                head = f"# {namespace}: {table.name}, transaction {number} of {len(texts)}"
                lines += ["", head, *text.splitlines()]
    return lines


def to_write_down(scenario: Scenario, dataplane: Dataplane, options: Options) -> list[str]:
    """Of a dataplane's defaults everything, of an option what it changes."""
    lines = render(scenario, dataplane, options)
    if not options:
        return lines
    names = (file_of(dataplane, {}).name, name_of(dataplane, options))
    changes = unified_diff(render(scenario, dataplane, {}), lines, *names, n=1, lineterm="")
    return [lines[0], *changes]


@VARIANTS
def test_the_rules_are_those_written_down(
    scenario: Scenario, dataplane: Dataplane, options: Options
) -> None:
    """A change of the rules shows as a change of a file that somebody reviews."""
    file = file_of(dataplane, options)
    actual = to_write_down(scenario, dataplane, options)
    if os.environ.get("RENEW_GOLDEN"):
        file.write_text("".join(f"{line}\n" for line in actual), encoding="utf-8")
        pytest.skip(f"wrote {file.name}")
    expected = file.read_text(encoding="utf-8").splitlines()

    difference = "\n".join(
        unified_diff(expected, actual, f"golden/{file.name}", "compiled now", lineterm="")
    )

    assert difference == "", f"if this was intended: {GOLDEN_COMMAND}\n{difference}"


def test_no_golden_file_is_left_behind() -> None:
    """Every file in the folder belongs to a dataplane and options that exist."""
    assert {file_of(*variant) for variant in variants()} == set(GOLDEN.iterdir())


@VARIANTS
def test_the_order_of_policies_does_not_matter(
    scenario: Scenario, dataplane: Dataplane, options: Options
) -> None:
    """The same policies are the same rules, however a client listed them."""
    policies = list(scenario.policies)

    assert tables(scenario, policies, dataplane, options) == tables(
        scenario, policies[::-1], dataplane, options
    )


@VARIANTS
def test_a_name_is_only_a_name(scenario: Scenario, dataplane: Dataplane, options: Options) -> None:
    """Under another policy's name a policy becomes the same rules, in a chain named anew."""
    policy = named(scenario, POLICY)
    other = replace(policy, name="deny-egress")

    before, after = (repr(tables(scenario, [one], dataplane, options)) for one in (policy, other))

    assert before.replace(f"/{POLICY}", "/deny-egress") == after


def test_pods_with_equal_labels_share_an_identity(scenario: Scenario) -> None:
    """Cilium tells pods apart by namespace and labels, not by address."""
    found = identities(scenario)

    assert found["nodeport-lab/client-a"] == found["nodeport-lab/client-b"]
    assert found["nodeport-lab/client-a"] != found["nodeport-lab/hello-0"]


def test_options_are_completed_with_their_defaults() -> None:
    """What is not given takes the first value."""
    assert {"policyCIDRMatchMode": "none"} == DATAPLANES["cilium"].complete({})
    assert {"policyCIDRMatchMode": "nodes"} == DATAPLANES["cilium"].complete(
        {"policyCIDRMatchMode": "nodes"}
    )


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"cidr-mode": "nodes"}, ("policyCIDRMatchMode",)),
        ({"policyCIDRMatchMode": "pods"}, ("none", "nodes")),
    ],
)
def test_an_unknown_option_or_value_lists_the_known_ones(
    options: dict[str, str], known: tuple[str, ...]
) -> None:
    """Whoever mistypes sees what there is."""
    with pytest.raises(UnknownNameError) as raised:
        DATAPLANES["cilium"].complete(options)

    assert known == raised.value.known


def test_an_unknown_dataplane_lists_the_known_ones() -> None:
    """Whoever mistypes sees what there is."""
    with pytest.raises(UnknownNameError) as raised:
        find_dataplane("calico")

    assert tuple(DATAPLANES) == raised.value.known
