"""`nodeport-lab doctor`."""

from __future__ import annotations

import typer

from nodeport_lab import doctor
from nodeport_lab.cli.shared import MISUSED, out


def doctor_command() -> None:
    """Try what this machine can run; say what is missing and the command that mends it."""
    findings = doctor.examine()
    for finding in findings:
        sign = "[green]✓[/]" if finding.works else "[red]✗[/]"
        out.print(f"{sign} {finding.subject}: {finding.detail}", soft_wrap=True)
        if finding.remedy:
            out.print(f"    {finding.remedy}", soft_wrap=True)
    if not all(finding.works for finding in findings if finding.needed):
        raise typer.Exit(MISUSED)
