"""A check as JSON: the observations of schema 1, and beside them what the check says of them."""

from __future__ import annotations

from typing import Any

from nodeport_lab import observations
from nodeport_lab.check.checker import Check
from nodeport_lab.check.findings import Finding


def record(made: Check) -> dict[str, Any]:
    """The document: `schema` and `runs` as everywhere, `check` besides."""
    return {
        **observations.to_json(made.runs),
        "check": {
            "plan": {
                "possible": made.plan.possible,
                "asked": made.plan.asked,
                "kinds": made.plan.kinds,
                "complete": made.plan.is_complete,
            },
            "bases": made.bases,
            "findings": [finding_record(one) for one in made.findings],
        },
    }


def finding_record(finding: Finding) -> dict[str, Any]:
    """A finding as plain values."""
    told: dict[str, Any] = {
        "kind": str(finding.kind),
        "title": finding.title,
        "reason": finding.reason,
        "details": list(finding.details),
        "places": list(finding.places),
        "cells": finding.cells,
    }
    if finding.remedy is not None:
        told["remedy"] = {
            "words": finding.remedy.words,
            "manifests": list(finding.remedy.manifests),
            "agrees": finding.remedy.agrees,
            "cells": finding.remedy.cells,
        }
    return told
