"""`nodeport-lab list`: what there is to choose from."""

from __future__ import annotations

from collections.abc import Mapping

from nodeport_lab.cli.shared import out
from nodeport_lab.dataplanes import DATAPLANES, Option
from nodeport_lab.experiment import default_scenario, policy_names, suite_scenario
from nodeport_lab.suites import ALL, SUITES, suite_groups
from nodeport_lab.variations import VARIATIONS


def list_command() -> None:
    """List dataplanes with their options, variations, suites and policies."""
    for dataplane in DATAPLANES.values():
        _heading(f"{dataplane.name} ({dataplane.basis})", dataplane.summary)
        _options(dataplane.options)
        if dataplane.limits:
            out.print(f"  {dataplane.limits}", soft_wrap=True)
    _heading("variations of the scenario", "Set with -o like an option, on every dataplane.")
    _options(VARIATIONS)
    reported = set(policy_names(default_scenario()))
    for suite in SUITES.values():
        _heading(f"suite {suite.name}", f"{suite.summary[0].upper()}{suite.summary[1:]}.")
        names = suite.policies or policy_names(suite_scenario(suite))
        policies = "the report's" if set(names) == reported else ", ".join(names)
        out.print(f"  policies: {policies}", soft_wrap=True)
    _heading("groups of suites", f"{ALL}: every suite but the report, which egress contains")
    for group, members in suite_groups().items():
        if group != ALL:
            out.print(f"  {group}: {', '.join(members)}", soft_wrap=True)
    _heading("the report's policies", ", ".join(policy_names(default_scenario())))


def _heading(name: str, text: str) -> None:
    out.print(f"\n[bold]{name}[/]\n  {text}", soft_wrap=True)


def _options(options: Mapping[str, Option]) -> None:
    for name, option in options.items():
        values = ", ".join(
            f"{value} (with {'='.join(option.requires[value])})"
            if value in option.requires
            else value
            for value in option.values
        )
        values += "".join(f"; {value}: live only" for value in option.live_only)
        out.print(f"  -o {name}={values}: {option.meaning}", soft_wrap=True, markup=False)
