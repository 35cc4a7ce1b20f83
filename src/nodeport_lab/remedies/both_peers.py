"""One policy names both peers that a NodePort connection may look like: nodes and pods."""

from __future__ import annotations

from nodeport_lab.cells import CLUSTER_IP, NODEPORT, POD_IP
from nodeport_lab.remedies.stages import ACTORS, CILIUM, SERVED, Remedy, Stage, pods

_BESIDES = ("other", "node-agent")

REMEDY = Remedy(
    "both-peers",
    "R3",
    "both peers in one policy",
    (
        Stage(
            "before",
            "pods dial the server under a policy with one of the two peers",
            (*SERVED, "policies"),
            ("no-policy", "ipblock-nodes", "podselector-server"),
            (NODEPORT, CLUSTER_IP),
            pods,
        ),
        Stage(
            "after",
            "the same with both peers, then with the port of each",
            (*SERVED, "policies", "suites/remedy-both-peers"),
            ("both", "both-with-ports"),
            (NODEPORT, CLUSTER_IP),
            pods,
            services=("hello",),
        ),
        Stage(
            "match-mode",
            "both peers where Cilium lets an ipBlock select nodes",
            (*SERVED, "policies", "suites/remedy-both-peers"),
            ("both", "both-with-ports"),
            (NODEPORT, CLUSTER_IP),
            pods,
            {"policyCIDRMatchMode": "nodes"},
            services=("hello",),
            dataplanes=CILIUM,
        ),
        Stage(
            "besides",
            "what the policies open besides: another NodePort, and a process on every node",
            (*ACTORS, "policies", "suites/remedy-both-peers"),
            ("no-policy", "podselector-server", "both", "both-with-ports"),
            (NODEPORT, POD_IP),
            pods,
            services=_BESIDES,
        ),
        Stage(
            "besides-match-mode",
            "the same where Cilium lets an ipBlock select nodes",
            (*ACTORS, "policies", "suites/remedy-both-peers"),
            ("both", "both-with-ports"),
            (NODEPORT, POD_IP),
            pods,
            {"policyCIDRMatchMode": "nodes"},
            services=_BESIDES,
            dataplanes=CILIUM,
        ),
    ),
)
