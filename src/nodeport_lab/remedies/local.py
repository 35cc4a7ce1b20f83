"""`externalTrafficPolicy: Local`, which keeps the source address of machines outside."""

from __future__ import annotations

from nodeport_lab.cells import CLUSTER_IP, NODEPORT
from nodeport_lab.remedies.stages import SERVED, Remedy, Stage, machines, pods

REMEDY = Remedy(
    "local",
    "",
    "externalTrafficPolicy Local",
    (
        Stage(
            "before",
            "machines outside, with externalTrafficPolicy Cluster",
            (*SERVED, "suites/ingress"),
            ("no-policy", "ingress-ipblock-external"),
            (NODEPORT,),
            machines,
        ),
        Stage(
            "after",
            "the same with externalTrafficPolicy Local",
            (*SERVED, "suites/ingress"),
            ("no-policy", "ingress-ipblock-external"),
            (NODEPORT,),
            machines,
            {"externalTrafficPolicy": "Local"},
        ),
        Stage(
            "pods",
            "what pods get of the same NodePort with externalTrafficPolicy Local",
            (*SERVED, "policies", "suites/ingress"),
            ("no-policy", "podselector-server", "ingress-podselector-client"),
            (NODEPORT, CLUSTER_IP),
            pods,
            {"externalTrafficPolicy": "Local"},
        ),
    ),
)
