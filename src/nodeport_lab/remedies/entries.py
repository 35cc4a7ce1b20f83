"""Two entries in place of one: for machines outside, and for pods."""

from __future__ import annotations

from nodeport_lab.cells import CLUSTER_IP, LOAD_BALANCER, NODEPORT
from nodeport_lab.remedies.stages import (
    ACTORS,
    BOTH_SIDES,
    PROXIED,
    SECOND_LEG,
    SERVED,
    Remedy,
    Stage,
    inside_and_outside,
)

REMEDY = Remedy(
    "entries",
    "R6",
    "an entry for machines outside, and one for pods",
    (
        Stage(
            "before",
            "one entry for all: pods and machines outside dial the NodePort",
            (*SERVED, "policies", "suites/ingress"),
            (*BOTH_SIDES, "ingress-ipblock-any"),
            (NODEPORT,),
            inside_and_outside,
            together=True,
        ),
        Stage(
            "proxy",
            "machines outside by way of the proxy, pods by the server's ClusterIP and its label",
            PROXIED,
            (*BOTH_SIDES, "gateway-from-everyone", *SECOND_LEG),
            (CLUSTER_IP, LOAD_BALANCER),
            inside_and_outside,
            together=True,
        ),
        Stage(
            "open",
            "an address of the server's own, without any policy",
            (*ACTORS, "suites/outside", "policies", "suites/ingress"),
            ("no-policy",),
            (CLUSTER_IP, LOAD_BALANCER),
            inside_and_outside,
        ),
        Stage(
            "load-balancer",
            "machines outside by an address of the server's own, pods by its ClusterIP and label",
            (*ACTORS, "suites/outside", "policies", "suites/ingress"),
            (*BOTH_SIDES, "ingress-ipblock-any"),
            (CLUSTER_IP, LOAD_BALANCER),
            inside_and_outside,
            together=True,
        ),
    ),
)
