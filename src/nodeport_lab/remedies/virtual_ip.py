"""A virtual IP that one node announces, and what is left when that node dies."""

from __future__ import annotations

from nodeport_lab.cells import LOAD_BALANCER, NODEPORT
from nodeport_lab.remedies.stages import ACTORS, BOTH_SIDES, SERVED, Remedy, Stage, machines, pods

_VIRTUAL = (*ACTORS, "suites/remedy-virtual-ip")

REMEDY = Remedy(
    "virtual-ip",
    "R5",
    "a virtual IP that one node announces",
    (
        Stage(
            "before",
            "machines outside dial the NodePort of each node",
            (*SERVED, "suites/ingress"),
            ("no-policy", "ingress-ipblock-external"),
            (NODEPORT,),
            machines,
        ),
        Stage(
            "after",
            "they dial the virtual IP, announced by a node without a server",
            (*_VIRTUAL, "suites/ingress"),
            ("no-policy", "ingress-ipblock-external"),
            (LOAD_BALANCER,),
            machines,
        ),
        Stage(
            "after-loss",
            "the same when that node has died and the next one announces",
            (*_VIRTUAL, "suites/ingress"),
            ("no-policy", "ingress-ipblock-external"),
            (LOAD_BALANCER,),
            machines,
            loses_announcer=True,
        ),
        Stage(
            "local",
            "externalTrafficPolicy Local and two servers: one of their nodes announces",
            (*_VIRTUAL, "suites/remedy-virtual-ip-second", "suites/ingress"),
            ("no-policy", "ingress-ipblock-external"),
            (LOAD_BALANCER,),
            machines,
            {"externalTrafficPolicy": "Local"},
        ),
        Stage(
            "local-loss",
            "the same when that node has died, and the server on it",
            (*_VIRTUAL, "suites/remedy-virtual-ip-second", "suites/ingress"),
            ("no-policy", "ingress-ipblock-external"),
            (LOAD_BALANCER,),
            machines,
            {"externalTrafficPolicy": "Local"},
            loses_announcer=True,
        ),
        Stage(
            "pods",
            "pods dial the virtual IP under policies that select by label",
            (*_VIRTUAL, "policies", "suites/ingress"),
            ("no-policy", *BOTH_SIDES),
            (LOAD_BALANCER,),
            pods,
        ),
        Stage(
            "pods-local",
            "the same with externalTrafficPolicy Local",
            (*_VIRTUAL, "suites/remedy-virtual-ip-second", "policies", "suites/ingress"),
            ("no-policy", *BOTH_SIDES),
            (LOAD_BALANCER,),
            pods,
            {"externalTrafficPolicy": "Local"},
        ),
    ),
)
