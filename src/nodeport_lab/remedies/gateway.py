"""A proxy in front of the ClusterIP: a policy for each of the two connections."""

from __future__ import annotations

from nodeport_lab.cells import CLUSTER_IP, LOAD_BALANCER, NODEPORT
from nodeport_lab.remedies.stages import (
    ACTORS,
    BOTH_SIDES,
    PROXIED,
    SECOND_LEG,
    Remedy,
    Stage,
    inside_and_outside,
)

_FIRST_LEG = ("clients-to-gateway", "gateway-from-everyone")

REMEDY = Remedy(
    "gateway",
    "R2",
    "a proxy in front of the ClusterIP",
    (
        Stage(
            "before",
            "pods and machines outside dial the NodePort, under policies for the pods",
            (*ACTORS, "services", "policies", "suites/ingress"),
            BOTH_SIDES,
            (NODEPORT,),
            inside_and_outside,
            together=True,
        ),
        Stage(
            "proxy",
            "all of them dial the proxy, without any policy",
            PROXIED,
            ("no-policy",),
            (CLUSTER_IP, LOAD_BALANCER),
            inside_and_outside,
        ),
        Stage(
            "first-leg",
            "policies let them reach the proxy; the server's still admits its clients alone",
            PROXIED,
            (*_FIRST_LEG, "ingress-podselector-client"),
            (CLUSTER_IP, LOAD_BALANCER),
            inside_and_outside,
            together=True,
        ),
        Stage(
            "both-legs",
            "policies for both connections: to the proxy, and from it to the server",
            PROXIED,
            (*_FIRST_LEG, *SECOND_LEG),
            (CLUSTER_IP, LOAD_BALANCER),
            inside_and_outside,
            together=True,
        ),
    ),
)
