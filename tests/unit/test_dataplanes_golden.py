"""Compiling a scenario to rules: pure functions, with their output written down.

The files in `golden/` hold what the report's scenario becomes under the policy `both`:
every transaction of each dataplane with its defaults (`.nft`), and what each option
changes in that (`.diff`; one line alone where it changes nothing here). After an intended
change renew them with GOLDEN_COMMAND, and read the difference before committing it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path

import pytest

from nodeport_lab.dataplanes import DATAPLANES, Dataplane, Option, find_dataplane
from nodeport_lab.dataplanes.cilium_programs import identities
from nodeport_lab.dataplanes.nftables import Table, transactions
from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.experiment import default_scenario
from nodeport_lab.model import NetworkPolicy, Scenario
from nodeport_lab.testbeds.embedded.addressing import plan_network

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_COMMAND = "RENEW_GOLDEN=1 .venv/bin/python -m pytest tests/unit/test_dataplanes_golden.py"
POLICY = "both"


Options = dict[str, str]


def variants() -> list[tuple[Dataplane, Options]]:
    """Every dataplane with its defaults, and with each other value of each option alone.

    A value that exists only together with another option's comes with that.
    """
    found: list[tuple[Dataplane, Options]] = []
    for dataplane in DATAPLANES.values():
        found.append((dataplane, {}))
        found += [
            (dataplane, dict([(name, value), *_needed(option, value)]))
            for name, option in dataplane.options.items()
            for value in option.values[1:]
        ]
    return found


def _needed(option: Option, value: str) -> list[tuple[str, str]]:
    return [option.requires[value]] if value in option.requires else []


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
    chosen = dataplane.complete(options)
    network = plan_network(scenario, tunnel=dataplane.tunnel(chosen) is not None)
    found = dict(dataplane.translate(scenario, network, chosen))
    compiled = dataplane.police(scenario, network, policies, chosen)
    for namespace, table in compiled.tables.items():
        found[namespace] = [*found.get(namespace, []), table]
    return found


def render(scenario: Scenario, dataplane: Dataplane, options: Options) -> list[str]:
    """The report's scenario under POLICY as lines, namespace by namespace."""
    tunnel = dataplane.tunnel(dataplane.complete(options)) or "none, routed"
    lines = [f"# Made by: {GOLDEN_COMMAND}", f"# Tunnel between nodes: {tunnel}"]
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


@VARIANTS
def test_no_set_is_empty(scenario: Scenario, dataplane: Dataplane, options: Options) -> None:
    """One node, and pods of the host's network alone: nft refuses a set without elements."""
    node = scenario.pods[0].node
    one_node = replace(
        scenario,
        nodes=tuple(one for one in scenario.nodes if one.name == node),
        pods=tuple(replace(pod, node=node) for pod in scenario.pods),
    )
    on_host = replace(
        scenario, pods=tuple(replace(pod, host_network=True) for pod in scenario.pods)
    )

    for some in (one_node, on_host):
        found = tables(some, list(some.policies), dataplane, options)
        text = "".join(
            text for part in found.values() for one in part for text in transactions(one)
        )
        assert "{  }" not in text
        assert "chain" in text


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
    cilium = DATAPLANES["cilium"]
    defaults = {"ciliumVersion": "1.18", "policyCIDRMatchMode": "none", "routingMode": "tunnel"}

    assert defaults == cilium.complete({})
    assert {**defaults, "routingMode": "native"} == cilium.complete({"routingMode": "native"})


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"cidr-mode": "nodes"}, ("ciliumVersion", "policyCIDRMatchMode", "routingMode")),
        ({"policyCIDRMatchMode": "all"}, ("none", "nodes", "pods")),
        ({"encapsulation": "None"}, ("ciliumVersion", "policyCIDRMatchMode", "routingMode")),
    ],
)
def test_an_unknown_option_or_value_lists_the_known_ones(
    options: dict[str, str], known: tuple[str, ...]
) -> None:
    """Whoever mistypes, or means another dataplane's option, sees what there is."""
    with pytest.raises(UnknownNameError) as raised:
        DATAPLANES["cilium"].complete(options)

    assert known == raised.value.known


@pytest.mark.parametrize("name", ["cilium", "cilium-kpr", "cilium-kpr-hostns"])
def test_a_value_without_the_option_that_it_needs_is_refused(name: str) -> None:
    """Match mode `pods` came with 1.20; for 1.18 the sentence names what to add."""
    mode = {"policyCIDRMatchMode": "pods"}

    with pytest.raises(LabError, match=r"policyCIDRMatchMode=pods .* only with ciliumVersion=1.20"):
        DATAPLANES[name].complete(mode)

    newer = {**mode, "ciliumVersion": "1.20"}
    assert newer.items() <= DATAPLANES[name].complete(newer).items()


@pytest.mark.parametrize("dataplane", DATAPLANES.values(), ids=DATAPLANES)
def test_what_an_option_requires_exists(dataplane: Dataplane) -> None:
    """A value never requires an option or a value that its dataplane lacks."""
    for option in dataplane.options.values():
        for value, (other, needed) in option.requires.items():
            assert value in option.values
            assert needed in dataplane.options[other].values


def test_only_modelled_dataplanes_say_modelled() -> None:
    """A summary calls a dataplane modelled where its basis does, and nowhere else."""
    modelled = {name for name, one in DATAPLANES.items() if "Modelled" in one.summary}

    assert {name for name, one in DATAPLANES.items() if one.basis == "modelled"} == modelled
    assert {"emulated", "modelled"} == {one.basis for one in DATAPLANES.values()}


def test_an_unknown_dataplane_lists_the_known_ones() -> None:
    """Whoever mistypes sees what there is."""
    with pytest.raises(UnknownNameError) as raised:
        find_dataplane("calico")

    assert tuple(DATAPLANES) == raised.value.known
