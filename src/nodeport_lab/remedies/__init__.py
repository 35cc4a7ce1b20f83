"""Remedies: what to do instead of what failed, each tried out before and after.

A remedy is data: stages, each with its manifests, its policies, who dials and which way.
`suites` makes a suite `remedy-NAME-STAGE` of every stage, so `run --suite remedies` sends
its packets and `list` names it.

To add one:

1. its manifests as a folder of `manifests/suites`;
2. a module named after it beside these, with its `REMEDY`; what it shares with others is in
   `stages`;
3. its place in `REMEDIES`, which is its place in tables and lists;
4. its policies and clients in the vocabulary of `notebooks/claims.yml`;
5. a run of the template `remedy` (or one of its own) in `notebooks/runs.yml` and `_toc.yml`.
"""

from __future__ import annotations

from collections.abc import Mapping

from nodeport_lab.remedies import (
    both_peers,
    cluster_ip,
    ebpf_source,
    entries,
    gateway,
    local,
    oauth2,
    virtual_ip,
)
from nodeport_lab.remedies.stages import PREFIX, Remedy, Stage

__all__ = ["BYSTANDERS", "PREFIX", "REMEDIES", "Remedy", "Stage"]

BYSTANDERS = frozenset({"other", "node-agent"})
"""Workloads of remedies that are not the server which the report and its sources speak of."""

REMEDIES: Mapping[str, Remedy] = {
    module.REMEDY.name: module.REMEDY
    for module in (
        cluster_ip,
        both_peers,
        ebpf_source,
        local,
        virtual_ip,
        gateway,
        entries,
        oauth2,
    )
}
