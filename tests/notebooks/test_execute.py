"""Executing and normalising: the same run, the same bytes."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output

from nodeport_lab.book.execute import execute_all
from nodeport_lab.book.normalise import dumps, normalise
from nodeport_lab.book.runs import RunSpec
from nodeport_lab.errors import NotebookError, PrerequisiteError


def rewritten(spec: RunSpec, template: NotebookNode, source: str) -> RunSpec:
    """The run of a template whose last cell has another source."""
    template.cells[-1].source = source
    nbformat.write(template, spec.template)
    return spec


def test_executing_twice_gives_the_same_bytes(spec: RunSpec, tmp_path: Path) -> None:
    """No time, path, version or random name is left in an executed run."""
    runs = [spec, replace(spec, id="other-run", title="Another", parameters={"count": 3})]

    first, second = (
        [dumps(run.notebook) for run in execute_all(runs, tmp_path / folder)]
        for folder in ("one", "two")
    )

    assert first == second
    assert first[0] != first[1]
    assert str(tmp_path) not in "".join(first)


def test_parameters_are_injected_under_a_fixed_id(spec: RunSpec, tmp_path: Path) -> None:
    """Papermill's cell gets a name that stays, is folded away, and takes effect."""
    (run,) = execute_all([spec], tmp_path)
    injected, show = run.notebook.cells[2], run.notebook.cells[3]

    assert "injected-parameters" == injected.id
    assert ["injected-parameters", "hide-input"] == injected.metadata.tags
    assert "2\nx\n" == show.outputs[0].text


def test_failing_cell_names_run_and_cell(
    spec: RunSpec, template: NotebookNode, tmp_path: Path
) -> None:
    """What fails in a kernel is one error with the run, the cell and the reason."""
    with pytest.raises(NotebookError, match=r"run tiny-run, cell \[4\] failed: ZeroDivisionError"):
        execute_all([rewritten(spec, template, "1 / 0")], tmp_path)


def test_dead_kernel_is_told_with_what_it_said(
    spec: RunSpec, template: NotebookNode, tmp_path: Path
) -> None:
    """A kernel that dies is one error with the run and the kernel's last words."""
    source = "import os\nos.write(2, b'last words')\nos._exit(1)"

    with pytest.raises(NotebookError, match=r"run tiny-run: .*\n(.*\n)*.*last words"):
        execute_all([rewritten(spec, template, source)], tmp_path)


def test_hanging_cell_is_told_with_its_run_and_a_remedy(
    spec: RunSpec, template: NotebookNode, tmp_path: Path
) -> None:
    """A cell that does not end is one sentence, without the cell's source."""
    hanging = rewritten(spec, template, "import time\ntime.sleep(60)")

    with pytest.raises(
        NotebookError,
        match=r"^run tiny-run: a cell has not ended after 1 seconds; run it again when .* busy$",
    ):
        execute_all([hanging], tmp_path, cell_timeout=1)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_survives_the_process_that_waits(
    spec: RunSpec, template: NotebookNode, tmp_path: Path, ending: signal.Signals
) -> None:
    """However the command ends, the kernels that it started end with it."""
    rewritten(
        spec,
        template,
        "import os, pathlib, time\n"
        "pathlib.Path('pid').write_text(str(os.getpid()))\n"
        "time.sleep(60)",
    )
    code = (
        "from pathlib import Path\n"
        "from nodeport_lab.book.execute import execute_all\n"
        "from nodeport_lab.book.runs import RunSpec\n"
        f"spec = RunSpec('a', 'A', 'A.', Path({str(spec.template)!r}))\n"
        f"execute_all([spec], Path({str(tmp_path)!r}))\n"
    )
    script = tmp_path / "waits.py"  # a process that is spawned imports it again
    script.write_text(f"if __name__ == '__main__':\n    {code.replace(chr(10), chr(10) + '    ')}")
    waiting = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    kernel = tmp_path / "pid"
    assert until(lambda: kernel.exists() and kernel.read_text(encoding="utf-8") != "")

    waiting.send_signal(ending)
    waiting.wait()

    pid = int(kernel.read_text(encoding="utf-8"))
    assert until(lambda: not alive(pid))


def until(holds: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether something comes to hold soon enough."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_missing_prerequisite_comes_through(
    spec: RunSpec, template: NotebookNode, tmp_path: Path
) -> None:
    """A machine that cannot run the testbed is told apart from a notebook that fails."""
    source = (
        "from nodeport_lab.errors import PrerequisiteError\n"
        "raise PrerequisiteError('no namespaces here')"
    )

    with pytest.raises(PrerequisiteError, match=r"^no namespaces here$"):
        execute_all([rewritten(spec, template, source)], tmp_path)


def test_pieces_of_a_stream_are_joined() -> None:
    """How a kernel cuts its output into pieces leaves no trace in the file."""
    pieces = [new_output("stream", name="stdout", text=text) for text in ("a", "b")]
    notebook = nbformat.v4.new_notebook(cells=[new_code_cell(id="one", outputs=pieces)])

    (output,) = normalise(notebook).cells[0].outputs

    assert "ab" == output.text


@pytest.mark.parametrize(("width", "expected"), [(480, {}), (1000, {"classes": "wide"})])
def test_picture_brings_its_description_and_size(width: int, expected: dict[str, str]) -> None:
    """A picture's plain text becomes its alternative text; a wide one is marked for the style."""
    picture = new_output(
        "display_data",
        {"image/png": "eA==", "text/plain": "A map."},
        metadata={"image/png": {"width": width}},
    )
    notebook = nbformat.v4.new_notebook(cells=[new_code_cell(id="one", outputs=[picture])])

    image = normalise(notebook).cells[0].metadata.mystnb.image

    assert {"alt": "A map.", "width": f"{width}px", **expected} == image
