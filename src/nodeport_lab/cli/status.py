"""`nodeport-lab status`."""

from __future__ import annotations

import typer

from nodeport_lab.cli.shared import DIFFERS, out
from nodeport_lab.cli.up import NameOption, unpinned
from nodeport_lab.testbeds.kind import cluster
from nodeport_lab.testbeds.kind.venue import DEFAULT_NAME


def status_command(name: NameOption = DEFAULT_NAME) -> None:
    """Say how a cluster is that `nodeport-lab up` made.

    Exit code 0: it is ready.

    Exit code 1: it is not, or not known to be.

    Exit code 2: there is none, or the container engine does not answer.
    """
    found = cluster.status(name)
    asked = found.state.asked
    options = " ".join(f"{option}={value}" for option, value in asked.options.items())
    lines = [f"{name}: {asked.dataplane} {options}", f"kubeconfig: {found.state.kubeconfig}"]
    lines += [f"{node}: {'runs' if runs else 'stopped'}" for node, runs in found.nodes.items()]
    if found.state.unpinned:
        lines.append(unpinned(found.state))
    lines += [f"{step}: {seconds:.1f} s" for step, seconds in found.state.steps.items()]
    answer = {True: "ready", False: "not ready", None: "not known to be ready"}[found.ready]
    lines.append(f"{answer}: {found.said}" if found.said else answer)
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)
    if not found.ready:
        raise typer.Exit(DIFFERS)
