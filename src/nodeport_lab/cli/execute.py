"""`nodeport-lab exec` and `nodeport-lab shell`: look around in a lab yourself."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from typing import Annotated

import typer

from nodeport_lab.cli.shared import (
    DataplaneOption,
    OptionsOption,
    PolicyOption,
    TestbedOption,
    err,
    find_pod,
    pairs,
)
from nodeport_lab.dataplanes import find_dataplane
from nodeport_lab.dataplanes.names import node_namespace, pod_namespace
from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.experiment import default_scenario, find_policy
from nodeport_lab.manifests import NO_POLICY
from nodeport_lab.model import Scenario
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
from nodeport_lab.variations import split, vary
from nodeport_lab.venues import check_embedded


def exec_command(  # noqa: PLR0913, PLR0917 - one parameter per option
    pod: Annotated[str, typer.Argument(help="Name of a pod.")],
    command: Annotated[list[str], typer.Argument(help="What to run in it.")],
    dataplane: DataplaneOption,
    testbed: TestbedOption = "embedded",
    option: OptionsOption = None,
    policy: PolicyOption = NO_POLICY,
) -> None:
    """Run a command inside a pod of the lab, where the scenario's names resolve.

    Leaves with the command's own exit code.
    """
    command = command[1:] if command[0] == "--" else command
    if not command:
        raise LabError(f"there is nothing to run; write it like: exec {pod} -- curl ADDRESS")
    namespace = pod_namespace(find_pod(default_scenario(), pod))
    raise typer.Exit(_execute(namespace, command, dataplane, testbed, option, policy))


def shell_command(
    dataplane: DataplaneOption,
    where: Annotated[
        str, typer.Option("--in", help="A pod's name, or node:NAME.")
    ] = "node:dev-worker",
    testbed: TestbedOption = "embedded",
    option: OptionsOption = None,
    policy: PolicyOption = NO_POLICY,
) -> None:
    """Open a shell in a node or pod of a lab; leaving it removes the lab."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    namespace = _place(default_scenario(), where)
    err.print(
        f"You are in {where} of a lab with {dataplane}. Try: ip route; nft list ruleset; "
        "nft monitor trace. Leave with exit."
    )
    raise typer.Exit(_execute(namespace, [shell], dataplane, testbed, option, policy))


def _place(scenario: Scenario, where: str) -> str:
    kind, _, name = where.partition(":")
    if kind == "node" and name:
        nodes = [node.name for node in scenario.nodes]
        if name not in nodes:
            raise UnknownNameError("node", name, nodes)
        return node_namespace(name)
    return pod_namespace(find_pod(scenario, where))


def _execute(  # noqa: PLR0913, PLR0917 - a place, a command, and the lab around them
    namespace: str,
    command: Sequence[str],
    dataplane: str,
    testbed: str,
    option: Sequence[str] | None,
    policy: str,
) -> int:
    check_embedded(testbed, "a command inside of a lab")
    if shutil.which(command[0]) is None:
        raise LabError(
            f"there is no program {command[0]!r} on this machine; install it, or name another one"
        )
    found = find_dataplane(dataplane)
    given, varied = split(pairs(option))
    scenario = vary(default_scenario(), varied)
    in_force = find_policy(scenario, policy)
    options = found.complete(given)
    with EmbeddedTestbed(scenario, found, options, terminal=True) as running:
        running.apply([in_force] if in_force else [])
        # As in a shell, Ctrl-C is the command's; what it makes of it ends the command or not.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return running.execute(namespace, command)
        finally:
            signal.signal(signal.SIGINT, before)
