"""`nodeport-lab up`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from nodeport_lab.cli.shared import INTERRUPTED, DataplaneOption, err, out, pairs
from nodeport_lab.dataplanes import find_dataplane
from nodeport_lab.experiment import suite_scenario
from nodeport_lab.suites import SUITES
from nodeport_lab.testbeds.kind import cluster, overrides
from nodeport_lab.testbeds.kind.cluster import Progress
from nodeport_lab.testbeds.kind.request import Request
from nodeport_lab.testbeds.kind.state import State
from nodeport_lab.testbeds.kind.venue import DEFAULT_NAME, KindVenue

_PANEL = "Instead of what is pinned"

NameOption = Annotated[str, typer.Option("--name", help="Of the cluster.")]
SkipCniOption = Annotated[
    bool, typer.Option("--skip-cni", help="Leave installing the CNI plugin to you.")
]


def up_command(  # noqa: PLR0913, PLR0917 - one parameter per option
    dataplane: DataplaneOption,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--option",
            metavar="NAME=VALUE",
            help="An option of the dataplane; may be repeated.",
        ),
    ] = None,
    name: NameOption = DEFAULT_NAME,
    config: Annotated[
        str, typer.Option("--config", help="How many nodes: dev, or atlas with one worker more.")
    ] = "dev",
    overrides_file: Annotated[
        Path | None,
        typer.Option(
            "--overrides",
            metavar="FILE",
            help="Own images, manifests and charts instead of the pinned ones. "
            f"Default: ${overrides.VARIABLE}.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    node_image: Annotated[
        str | None,
        typer.Option(
            "--node-image",
            metavar="IMAGE",
            envvar="NODEPORT_LAB_NODE_IMAGE",
            help="Of the nodes, instead of the pinned one.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            metavar="IMAGE=IMAGE",
            envvar="NODEPORT_LAB_IMAGES",
            help="Use another image where a manifest or the chart names this one; may be repeated.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    manifest: Annotated[
        list[str] | None,
        typer.Option(
            "--manifest",
            metavar="NAME=FILE|URL",
            envvar="NODEPORT_LAB_MANIFESTS",
            help="An own copy of a manifest of Calico; may end in #sha256=CHECKSUM and be "
            "repeated.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    chart: Annotated[
        list[str] | None,
        typer.Option(
            "--chart",
            metavar="NAME=FILE|URL",
            envvar="NODEPORT_LAB_CHARTS",
            help="An own copy of a chart of Cilium, the same.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    cni_version: Annotated[
        str | None,
        typer.Option(
            "--cni-version",
            metavar="VERSION",
            envvar="NODEPORT_LAB_CNI_VERSION",
            help="Of Calico, like v3.33.1, or of Cilium, without any checksum.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    skip_cni: SkipCniOption = False,  # noqa: FBT002 - Typer's way of a flag
    load_images: Annotated[
        list[str] | None,
        typer.Option(
            "--load-images",
            metavar="FILE|IMAGE",
            help="An archive, or an image of the local engine, to load into the nodes; may be "
            "repeated.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
) -> None:
    """Make a cluster with kind on this machine, install a dataplane and the report's workloads.

    A cluster that was made before is used again if it is what is asked for. The cluster has a
    kubeconfig of its own; yours is not written.

    Exit code 0: it is ready.

    Exit code 2: it cannot be had; nothing is left behind, or it is said what is.
    """
    stated = overrides.stated(
        node_image,
        pairs(image, "--image", "curlimages/curl=mirror.example/curl:8.22.0"),
        pairs(manifest, "--manifest", "tigera-operator.yaml=copies/tigera-operator.yaml"),
        pairs(chart, "--chart", "cilium-1.18.12.tgz=copies/cilium-1.18.12.tgz"),
    )
    asked = Request(
        name=name,
        dataplane=find_dataplane(dataplane),
        options=pairs(option),
        shape=config,
        overrides=stated.over(overrides.load(overrides_file)),
        skip_cni=skip_cni,
        load_images=tuple(load_images or ()),
        cni_version=cni_version,
    )
    try:
        with _shown() as progress:
            made = cluster.up(asked, progress)
            if cluster.INSTALL in made.steps:  # without a CNI plugin no pod can start
                made = cluster.deployed(made, progress, lambda: _deploy(name))
    except KeyboardInterrupt:
        err.print(
            f"nodeport-lab: interrupted; {cluster.what_is_left(name)}",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    if made.unpinned:
        out.print(unpinned(made), markup=False, soft_wrap=True)
    kubectl = f"kubectl --kubeconfig {made.kubeconfig} --context {made.context}"
    out.print(f"The cluster {name} is there: {kubectl} get nodes", markup=False, soft_wrap=True)


def _deploy(name: str) -> None:
    """Put the report's workloads there, which runs use again."""
    with closing(KindVenue(name)) as place:
        place.deploy(suite_scenario(SUITES["report"], place))


def unpinned(made: State) -> str:
    """What of a cluster no checksum vouches for, in a sentence."""
    return f"pinned by tag only, without a checksum: {', '.join(made.unpinned)}"


@contextmanager
def _shown() -> Iterator[Progress]:
    """What `up` does, as it does it: a line per step that is done, and one that is not."""
    with Bar(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as bar:
        task = bar.add_task("", total=None)

        def show(step: str, said: str | None = None, seconds: float | None = None) -> None:
            if seconds is None:
                bar.update(task, description=f"{step}: {said}" if said else step)
            else:
                bar.console.print(f"{step}: {seconds:.1f} s", markup=False, soft_wrap=True)

        yield show
