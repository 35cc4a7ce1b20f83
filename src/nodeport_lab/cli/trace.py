"""`nodeport-lab trace`: the way of one packet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nodeport_lab.cli.shared import (
    DataplaneOption,
    FromOption,
    OptionsOption,
    PolicyOption,
    TestbedOption,
    ToOption,
    check_writable,
    out,
    pairs,
)
from nodeport_lab.errand import Errand
from nodeport_lab.manifests import NO_POLICY
from nodeport_lab.report import walk_text
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE
from nodeport_lab.walker import walk


def trace_command(  # noqa: PLR0913, PLR0917 - one parameter per option
    dataplane: DataplaneOption,
    client: FromOption,
    route: ToOption,
    policy: PolicyOption = NO_POLICY,
    option: OptionsOption = None,
    testbed: TestbedOption = "embedded",
    svg_file: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Also draw the way.")
    ] = None,
    raw: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--raw", help="Also print the kernel's own lines about the packet.")
    ] = False,
    deadline: Annotated[
        float, typer.Option(min=0.05, max=60, help="Seconds that the connection may take.")
    ] = DEFAULT_DEADLINE,
) -> None:
    """Follow one packet, node by node, by the kernel's own trace.

    Shows each translation with its rule, what every policy hook saw and which clause
    matched or did not, and the address that the application logged.
    """
    check_writable({"--svg": svg_file})
    walked = walk(Errand(dataplane, client, route, policy, pairs(option), testbed), deadline)
    if svg_file is not None:
        from nodeport_lab.report.walk_figure import draw  # noqa: PLC0415 - matplotlib is slow

        svg_file.write_bytes(draw(walked).svg())
    if raw:
        out.print(walk_text.raw(walked), markup=False, soft_wrap=True)
        out.print()
    out.print(walk_text.render(walked))
