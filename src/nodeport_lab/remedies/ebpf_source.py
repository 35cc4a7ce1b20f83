"""A dataplane that keeps the source address, so that a server admits callers by their own."""

from __future__ import annotations

from nodeport_lab.cells import NODEPORT
from nodeport_lab.remedies.stages import CILIUM_KPR, SERVED, Remedy, Stage, machines, pods

REMEDY = Remedy(
    "ebpf-source",
    "R4",
    "a dataplane that keeps the source address",
    (
        Stage(
            "before",
            "the server admits the nodes' subnet, because callers may look like nodes",
            (*SERVED, "suites/ingress"),
            ("no-policy", "ingress-ipblock-nodes"),
            (NODEPORT,),
            machines,
        ),
        Stage(
            "after",
            "the server admits the machines outside by their own addresses",
            (*SERVED, "suites/ingress"),
            ("no-policy", "ingress-ipblock-external"),
            (NODEPORT,),
            machines,
        ),
        Stage(
            "pods",
            "the server admits pods by their own labels",
            (*SERVED, "suites/ingress"),
            ("no-policy", "ingress-podselector-client"),
            (NODEPORT,),
            pods,
        ),
        Stage(
            "dsr",
            "direct server return of Cilium, for comparison",
            (*SERVED, "suites/ingress"),
            ("no-policy", "ingress-ipblock-external"),
            (NODEPORT,),
            machines,
            {"loadBalancerMode": "dsr"},
            dataplanes=CILIUM_KPR,
        ),
    ),
)
