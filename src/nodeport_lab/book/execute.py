"""Executing run notebooks: papermill, a few at once, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import IO, Any

import nbformat
import papermill
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from nodeport_lab.book.normalise import normalise
from nodeport_lab.book.render import read, render
from nodeport_lab.book.runs import RunSpec
from nodeport_lab.errors import NotebookError, PrerequisiteError

CELL_TIMEOUT = 300
"""Seconds after which a cell counts as hanging; the longest takes sixty on two busy cores."""

AT_ONCE = 2
"""Notebooks at once: each waits for blocked probes most of the time."""

_KERNELS = Config({"KernelManager": {"transport_encryption": "auto"}})
"""Kernels talk over loopback ports that anyone on the machine could read otherwise."""

_STDERR = 2
_SPAWN = multiprocessing.get_context("spawn")  # papermill changes the process's directory


@dataclass(frozen=True, slots=True)
class Executed:
    """A run notebook after its execution, normalised, and how long that took."""

    spec: RunSpec
    notebook: NotebookNode
    seconds: float


def execute_all(
    specs: Sequence[RunSpec],
    directory: Path,
    progress: Callable[[Executed], None] = lambda _: None,
    cell_timeout: int = CELL_TIMEOUT,
) -> tuple[Executed, ...]:
    """Render and execute runs, a few at once, and return them in the order given.

    Args:
        specs: the runs.
        directory: the kernels' working directory.
        progress: called after each run, in the order in which they end.
        cell_timeout: seconds after which a cell counts as hanging.

    Raises:
        PrerequisiteError: the testbed cannot run on this machine.
        NotebookError: a cell failed or hangs; names the run and, if it failed, the cell.
        UnknownNameError: a run passes a parameter that its template does not have.
    """
    directory.mkdir(parents=True, exist_ok=True)
    waiting = [(spec, nbformat.writes(render(read(spec.template), spec))) for spec in specs]
    running: dict[Connection, tuple[RunSpec, SpawnProcess]] = {}
    ended: dict[str, Executed] = {}
    try:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                spec, source = waiting.pop(0)
                answers, process = _started(spec, source, directory, cell_timeout)
                running[answers] = (spec, process)
            ready = wait(list(running))
            for answers in [one for one in running if one in ready]:
                spec, _ = running[answers]
                run = _result(spec, answers)
                running.pop(answers)[1].join()
                ended[spec.id] = run
                progress(run)
    finally:
        for _, process in running.values():
            process.kill()  # its kernel notices, and the lab of the kernel
            process.join()
    return tuple(ended[spec.id] for spec in specs)


def _started(
    spec: RunSpec, source: str, directory: Path, cell_timeout: int
) -> tuple[Connection, SpawnProcess]:
    """A process that executes a rendered notebook, and where its answer will come from."""
    answers, answer = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(
        target=_work,
        args=(answer, spec.id, source, dict(spec.parameters), str(directory), cell_timeout),
    )
    process.start()
    answer.close()  # so that the pipe ends when the process does
    return answers, process


def _result(spec: RunSpec, answers: Connection) -> Executed:
    """What the process answered.

    Raises:
        NotebookError: a cell failed, or the process ended without an answer.
        PrerequisiteError: the testbed cannot run on this machine.
    """
    try:
        answer = answers.recv()
    except EOFError:
        raise NotebookError(f"run {spec.id}: the process that executed it died") from None
    if isinstance(answer, Exception):
        raise answer
    text, seconds = answer
    return Executed(spec, nbformat.reads(text, as_version=4), seconds)


def _work(  # noqa: PLR0913, PLR0917 - what crosses from one process to the other
    answer: Connection,
    run_id: str,
    source: str,
    parameters: dict[str, Any],
    directory: str,
    cell_timeout: int,
) -> None:
    """Execute one notebook and send its text and duration, or the lab's own error."""
    os.setpgid(0, 0)  # Ctrl-C is for the process that waits, which then ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin = time.monotonic()
    # A kernel's own messages are worth reading only if it dies.
    with tempfile.TemporaryFile() as messages, suppress(BrokenPipeError):
        os.dup2(messages.fileno(), _STDERR)
        try:
            notebook = _executed(run_id, source, parameters, directory, cell_timeout, messages)
        except (NotebookError, PrerequisiteError) as error:
            answer.send(error)
        else:
            answer.send((nbformat.writes(notebook), time.monotonic() - begin))


def _end_with_parent() -> None:
    """Die when the process that waits does, however it ended; the kernel follows."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _executed(  # noqa: PLR0913, PLR0917 - as above
    run_id: str,
    source: str,
    parameters: dict[str, Any],
    directory: str,
    cell_timeout: int,
    messages: IO[bytes],
) -> NotebookNode:
    try:
        executed = papermill.execute_notebook(
            nbformat.reads(source, as_version=4),
            None,
            parameters=parameters,
            cwd=directory,
            progress_bar=False,
            execution_timeout=cell_timeout,
            config=_KERNELS,
            shutdown_kernel="immediate",  # nothing is left to say goodbye to
        )
    except PapermillExecutionError as error:
        raise _translated(error, run_id) from None
    except TimeoutError:
        raise NotebookError(
            f"run {run_id}: a cell has not ended after {cell_timeout} seconds; "
            "run it again when this machine is less busy"
        ) from None
    except RuntimeError as error:  # a dead kernel
        messages.seek(0)
        said = messages.read().decode(errors="replace").strip()
        raise NotebookError(f"run {run_id}: {error}\n{said}".strip()) from None
    return normalise(executed)


def _translated(error: PapermillExecutionError, run_id: str) -> NotebookError | PrerequisiteError:
    """What failed in a kernel, as the lab's own error."""
    if error.ename == PrerequisiteError.__name__:
        return PrerequisiteError(error.evalue)
    return NotebookError(
        f"run {run_id}, cell [{error.exec_count}] failed: {error.ename}: {error.evalue}"
    )
