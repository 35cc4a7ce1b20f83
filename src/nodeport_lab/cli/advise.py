"""`nodeport-lab advise`: which rule would work?"""

from __future__ import annotations

from typing import Annotated

import typer

from nodeport_lab.adviser import consult
from nodeport_lab.cli.shared import (
    DataplaneOption,
    FromOption,
    OptionsOption,
    PolicyOption,
    TestbedOption,
    ToOption,
    out,
    pairs,
)
from nodeport_lab.errand import Errand
from nodeport_lab.manifests import NO_POLICY
from nodeport_lab.report import advice_text
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE


def advise_command(  # noqa: PLR0913, PLR0917 - one parameter per option
    dataplane: DataplaneOption,
    client: FromOption,
    route: ToOption,
    policy: PolicyOption = NO_POLICY,
    option: OptionsOption = None,
    testbed: TestbedOption = "embedded",
    deadline: Annotated[
        float, typer.Option(min=0.05, max=60, help="Seconds that a connection may take.")
    ] = DEFAULT_DEADLINE,
) -> None:
    """Try rules for a connection that a policy denies, each beside it, with real packets.

    Names the first that lets it through, narrow ones first, and every other connection
    that it opens besides.
    """
    advice = consult(Errand(dataplane, client, route, policy, pairs(option), testbed), deadline)
    out.print(advice_text.render(advice))
