"""The command line: the only place that prints.

One module per command; `shared` holds what they have in common.
"""

from __future__ import annotations

import signal
import sys

import typer

from nodeport_lab.cli.advise import advise_command
from nodeport_lab.cli.catalogue import list_command
from nodeport_lab.cli.check import check_command, diff_command
from nodeport_lab.cli.compare import compare_command
from nodeport_lab.cli.doctor import doctor_command
from nodeport_lab.cli.down import down_command
from nodeport_lab.cli.execute import exec_command, shell_command
from nodeport_lab.cli.run import run_command
from nodeport_lab.cli.shared import INTERRUPTED, MISUSED, err
from nodeport_lab.cli.status import status_command
from nodeport_lab.cli.trace import trace_command
from nodeport_lab.cli.up import up_command
from nodeport_lab.errors import LabError

_INTERRUPTED = "nodeport-lab: interrupted; nothing was left behind"

app = typer.Typer(
    help="What does a NetworkPolicy do to NodePort traffic? Ask real packets.",
    epilog="Example: nodeport-lab run",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("run", epilog="Example: nodeport-lab run -d cilium -o policyCIDRMatchMode=nodes")(
    run_command
)
app.command(
    "trace",
    epilog="Example: nodeport-lab trace -d cilium --policy ipblock-nodes --from client-a "
    "--to nodeport:dev-worker2",
)(trace_command)
app.command(
    "exec",
    context_settings={"allow_interspersed_args": False},
    epilog="Example: nodeport-lab exec -d calico-iptables --policy ipblock-nodes client-a -- "
    "curl -m 1 http://dev-worker:30080/",
)(exec_command)
app.command("shell", epilog="Example: nodeport-lab shell -d cilium --in node:dev-worker")(
    shell_command
)
app.command(
    "advise",
    epilog="Example: nodeport-lab advise -d calico-iptables --policy ipblock-nodes "
    "--from client-a --to nodeport:dev-worker",
)(advise_command)
app.command("up", epilog="Example: nodeport-lab up -d calico-iptables")(up_command)
app.command("status", epilog="Example: nodeport-lab status")(status_command)
app.command("down", epilog="Example: nodeport-lab down")(down_command)
app.command("compare", epilog="Example: nodeport-lab compare results/old results/new")(
    compare_command
)
app.command("check", epilog="Example: kustomize build . | nodeport-lab check -f -")(check_command)
app.command("diff", epilog="Example: nodeport-lab diff before.yaml after.yaml")(diff_command)
app.command("list", epilog="Example: nodeport-lab list")(list_command)
app.command("doctor", epilog="Example: nodeport-lab doctor")(doctor_command)

_INTERRUPTED = "nodeport-lab: interrupted; nothing was left behind"


def main() -> None:
    """Entry point of `nodeport-lab`."""
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):  # they end a command as Ctrl-C does
            signal.signal(number, signal.default_int_handler)
        app()
    except LabError as error:
        err.print(f"nodeport-lab: {error}", markup=False, soft_wrap=True)
        sys.exit(MISUSED)
    except KeyboardInterrupt:  # before or after a command
        err.print(_INTERRUPTED)
        sys.exit(INTERRUPTED)
    except SystemExit as ended:
        # Within a command, Typer makes an exit code of Ctrl-C, and says nothing.
        if isinstance(getattr(ended.__context__, "__cause__", None), KeyboardInterrupt):
            err.print(_INTERRUPTED)
        raise
