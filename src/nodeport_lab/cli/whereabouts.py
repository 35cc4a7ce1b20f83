"""The options by which a command is told of a cluster."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from pathlib import Path
from typing import Annotated

import typer

from nodeport_lab.errors import LabError

_PANEL = "Live clusters"

ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="With -t kind: the name given to nodeport-lab up. Default: dev.",
        rich_help_panel=_PANEL,
    ),
]
ContextOption = Annotated[
    str | None,
    typer.Option(
        "--context", help="Of the kubeconfig; needed with -t live.", rich_help_panel=_PANEL
    ),
]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        help="Default: $KUBECONFIG, or ~/.kube/config. It is never written.",
        rich_help_panel=_PANEL,
    ),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        help="An existing namespace to use. Default: one is created and deleted again.",
        rich_help_panel=_PANEL,
    ),
]
NodeCidrOption = Annotated[
    str | None,
    typer.Option(
        "--node-cidr",
        metavar="CIDR",
        help="Range of the nodes' addresses, where it cannot be found out.",
        rich_help_panel=_PANEL,
    ),
]
PodCidrOption = Annotated[
    str | None,
    typer.Option(
        "--pod-cidr",
        metavar="CIDR",
        help="Subnet of the pods, where it cannot be found out.",
        rich_help_panel=_PANEL,
    ),
]
ServiceCidrOption = Annotated[
    str | None,
    typer.Option(
        "--service-cidr",
        metavar="CIDR",
        help="Subnet of the cluster IPs, where it cannot be found out.",
        rich_help_panel=_PANEL,
    ),
]
ExternalOption = Annotated[
    bool,
    typer.Option(
        "--external",
        help="This machine reaches the nodes: it calls as the client external.",
        rich_help_panel=_PANEL,
    ),
]
EvidenceOption = Annotated[
    bool,
    typer.Option(
        "--evidence",
        help="Ask the CNI's pods on the nodes what policy saw; read-only, needs exec there.",
        rich_help_panel=_PANEL,
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Say what would be created and dialled, and create nothing.",
        rich_help_panel=_PANEL,
    ),
]
PrintRbacOption = Annotated[
    bool,
    typer.Option(
        "--print-rbac",
        help="Print the rights that a run needs, as manifests, and do nothing else.",
        rich_help_panel=_PANEL,
    ),
]


def subnet(option: str, text: str | None) -> IPv4Network | None:
    """A range of addresses as given on the command line.

    Raises:
        LabError: it is none.
    """
    if text is None:
        return None
    try:
        return IPv4Network(text)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise LabError(
            f"{option}: {text!r} is no IPv4 range ({error}); write it like 10.244.0.0/16"
        ) from error
