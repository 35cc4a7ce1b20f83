"""Running docker, podman, kind and helm: what they print is kept, and Ctrl-C stops them.

Each program leads a process group, so that what it has started itself stops with it: kind
works by calling the engine's program, which would go on to make a node without it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from nodeport_lab.errors import PrerequisiteError, TestbedError

_BELOW = "Command Output:"  # before what kind quotes of the engine
_COMMAND = re.compile(r'command "(\S+ \S+)[^\n]*" failed with error: exit status \d+')
_TELLING = re.compile(r"\berror(:| response)", re.IGNORECASE)
_REMEDIES = {
    "kind": "install it from https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "helm": "install it from https://helm.sh/docs/intro/install/",
    "docker": "install it from https://docs.docker.com/engine/install/",
    "podman": "install it from https://podman.io/docs/installation",
}
_GRACE = 10.0  # seconds between asking a program to stop and making it
_NO_SPACE = "no space left on device"  # strerror(ENOSPC), in any program's output


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program has ended.

    Attributes:
        code: its exit code.
        output: what it wrote to standard output.
        errors: what it wrote to standard error.
    """

    code: int
    output: str
    errors: str

    @property
    def complaint(self) -> str:
        """Its last error, on one line; kind prints the cause below its own error."""
        text = self.errors or self.output
        said = _lines(text)
        if not said:
            return f"exit code {self.code}"
        own = next((line for line in said if line.lower().startswith("error")), said[-1])
        below = _lines(text.partition(_BELOW)[2])
        cause = next((line for line in below if _TELLING.search(line)), "".join(below[:1]))
        told = _COMMAND.sub(r"`\1` failed", own.removeprefix("ERROR: "))
        return f"{told} ({cause})" if cause else told


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def check(program: str, purpose: str) -> None:
    """Accept that a program is there.

    Raises:
        PrerequisiteError: it is not; with the remedy.
    """
    if shutil.which(program) is None:
        raise PrerequisiteError(
            f"the program {program} is missing and {purpose} needs it; {_REMEDIES[program]}"
        )


def attempt(
    command: Sequence[str],
    *,
    within: float,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
) -> Ended:
    """Run a program to its end, whatever that is.

    Args:
        command: its name and arguments.
        within: seconds.
        environment: variables to add to this process's.
        stdin: what it reads.

    Raises:
        TestbedError: it takes longer, or cannot be started.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - fixed programs
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            text=True,
            errors="replace",
            process_group=0,
        )
    except OSError as error:
        raise TestbedError(
            f"{command[0]} cannot be started ({error.strerror}); check how it is installed"
        ) from error
    try:
        output, errors = process.communicate(stdin, timeout=within)
    except subprocess.TimeoutExpired as error:
        raise TestbedError(
            f"`{_told(command)}` did not end within {within:g} s; try it by hand"
        ) from error
    finally:  # also after Ctrl-C
        _stop(process)
    return Ended(process.returncode, output, errors)


def run(
    command: Sequence[str],
    *,
    within: float,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
) -> str:
    """Run a program that has to succeed; returns its standard output.

    Raises:
        TestbedError: it fails or takes too long; with its last error.
    """
    ended = attempt(command, within=within, environment=environment, stdin=stdin)
    if ended.code == 0:
        return ended.output
    if _NO_SPACE in (ended.errors + ended.output).lower():
        raise TestbedError(
            f"`{_told(command)}` found the disk full; free some space, for example with: "
            "docker system prune"
        )
    raise TestbedError(f"`{_told(command)}` failed: {ended.complaint}")


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also after a second Ctrl-C; and what the program itself has left running
            _signal(process, signal.SIGKILL)
            process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None and not stream.closed:
            stream.close()


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal to a program and to whatever it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _told(command: Sequence[str]) -> str:
    """A command without its files and their contents: enough to know which one it was."""
    return " ".join(command[:3])
