"""The command line: the only place that prints.

One module per command; `shared` holds what they have in common. Only the module of the
command that is called is imported, because some of them need much of the rest.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from io import TextIOWrapper

import typer

from nodeport_lab.cli.shared import INTERRUPTED, MISUSED, err
from nodeport_lab.errors import LabError


@dataclass(frozen=True, slots=True)
class _Command:
    """A command: the module and function behind it, and a call of it as an example."""

    module: str
    function: str
    example: str
    passes_on: bool = False  # what follows its arguments, options and all


_COMMANDS = {
    "run": _Command(
        "run", "run_command", "nodeport-lab run -d cilium -o policyCIDRMatchMode=nodes"
    ),
    "trace": _Command(
        "trace",
        "trace_command",
        "nodeport-lab trace -d cilium --policy ipblock-nodes --from client-a "
        "--to nodeport:dev-worker2",
    ),
    "exec": _Command(
        "execute",
        "exec_command",
        "nodeport-lab exec -d calico-iptables --policy ipblock-nodes client-a -- "
        "curl -m 1 http://dev-worker:30080/",
        passes_on=True,
    ),
    "shell": _Command(
        "execute", "shell_command", "nodeport-lab shell -d cilium --in node:dev-worker"
    ),
    "advise": _Command(
        "advise",
        "advise_command",
        "nodeport-lab advise -d calico-iptables --policy ipblock-nodes --from client-a "
        "--to nodeport:dev-worker",
    ),
    "up": _Command("up", "up_command", "nodeport-lab up -d calico-iptables"),
    "status": _Command("status", "status_command", "nodeport-lab status"),
    "down": _Command("down", "down_command", "nodeport-lab down"),
    "compare": _Command(
        "compare", "compare_command", "nodeport-lab compare results/old results/new"
    ),
    "check": _Command("check", "check_command", "kustomize build . | nodeport-lab check -f -"),
    "diff": _Command("check", "diff_command", "nodeport-lab diff before.yaml after.yaml"),
    "list": _Command("catalogue", "list_command", "nodeport-lab list"),
    "doctor": _Command("doctor", "doctor_command", "nodeport-lab doctor"),
}


_INTERRUPTED = "nodeport-lab: interrupted; nothing was left behind"


def command_line(names: Iterable[str] = _COMMANDS) -> typer.Typer:
    """The application with some of its commands, or all."""
    app = typer.Typer(
        help="What does a NetworkPolicy do to NodePort traffic? Ask real packets.",
        epilog="Example: nodeport-lab run",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_nothing)  # or else a single command would need no name
    for name in names:
        command = _COMMANDS[name]
        module = import_module(f"nodeport_lab.cli.{command.module}")
        app.command(
            name,
            context_settings={"allow_interspersed_args": not command.passes_on},
            epilog=f"Example: {command.example}",
        )(getattr(module, command.function))
    return app


def _nothing() -> None:
    pass


def main() -> None:
    """Entry point of `nodeport-lab`."""
    called = sys.argv[1] if len(sys.argv) > 1 else ""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # closed, it is None
            stream.reconfigure(encoding="utf-8")  # a locale without it lacks the signs of verdicts
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):  # they end a command as Ctrl-C does
            signal.signal(number, signal.default_int_handler)
        command_line([called] if called in _COMMANDS else _COMMANDS)()
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
