"""A sign-in whose issuer has one URL: what browsers and portals each have to reach."""

from __future__ import annotations

from nodeport_lab.cells import LOAD_BALANCER, NODEPORT, outside_clients
from nodeport_lab.model import Client, Scenario
from nodeport_lab.remedies.stages import Remedy, Stage

_SIGNED_IN = ("workloads", "suites/oauth2", "suites/remedy-oauth2")


def browser(_scenario: Scenario) -> tuple[Client, ...]:
    """A machine on the nodes' network, which goes where it is redirected."""
    return outside_clients()[:1]


REMEDY = Remedy(
    "oauth2",
    "R7",
    "a sign-in whose issuer has one URL",
    (
        Stage(
            "before",
            "the issuer's URL is the NodePort of a node; browsers outside sign in to the portals",
            (*_SIGNED_IN, "suites/remedy-oauth2-before"),
            ("no-policy", "portal-to-issuer", "portal-to-nodes"),
            (NODEPORT,),
            browser,
        ),
        Stage(
            "internal-url",
            "the portals are given the issuer's name inside the cluster instead",
            (*_SIGNED_IN, "suites/remedy-oauth2-internal-url"),
            ("portal-to-issuer",),
            (NODEPORT,),
            browser,
        ),
        Stage(
            "split",
            "URIs apart: the portals trade codes at the ClusterIP, and trust the issuer's one URL",
            (*_SIGNED_IN, "suites/remedy-oauth2-split"),
            ("no-policy", "portal-to-issuer"),
            (NODEPORT,),
            browser,
        ),
        Stage(
            "one-entry",
            "a gateway is the only entry, under one name inside and outside",
            (*_SIGNED_IN, "suites/remedy-oauth2-one-entry"),
            ("no-policy", "portal-to-gateway"),
            (LOAD_BALANCER,),
            browser,
        ),
    ),
)
