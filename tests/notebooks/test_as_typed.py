"""The commands of the README that touch notebooks, as they are typed."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from nodeport_lab.book.render import read
from nodeport_lab.locations import repository_root

ROOT = repository_root()
TEMPLATE = "notebooks/templates/egress.ipynb"


def typed(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an installed program in the checkout."""
    return subprocess.run(
        [str(Path(sysconfig.get_path("scripts")) / program), *arguments],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.embedded
def test_papermill_runs_a_template(tmp_path: Path) -> None:
    """`papermill TEMPLATE out.ipynb -p dataplane cilium` gives a notebook with verdicts."""
    out = tmp_path / "out.ipynb"

    done = typed("papermill", TEMPLATE, str(out), "-p", "dataplane", "cilium")

    assert 0 == done.returncode, done.stderr
    verdicts = next(cell for cell in read(out).cells if cell.id == "verdicts")
    assert "Verdicts on cilium (policyCIDRMatchMode=none)" in verdicts.outputs[0].data["text/plain"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-p", "dataplane", "flannel"), "no dataplane 'flannel'; choose one of: calico-iptables"),
        (("-p", "testbed", "mars"), "no testbed 'mars'; choose one of: embedded"),
        (
            ("-p", "datplane", "cilium"),
            "no notebook parameter 'datplane'; choose one of: dataplane",
        ),
        (("-p", "options", "nodes"), "must map names to values"),
        (
            ("-p", "dataplane", "cilium", "-y", "options: {policyCIDRMatchMode: all}"),
            "no value of policyCIDRMatchMode 'all'; choose one of: none, nodes",
        ),
    ],
)
def test_mistyped_name_is_answered_with_the_valid_ones(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """A name that does not exist ends the run and lists those that do."""
    done = typed("papermill", TEMPLATE, str(tmp_path / "out.ipynb"), *arguments)

    assert 0 != done.returncode
    assert said in done.stderr


def nbval(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Execute the notebooks of a folder again and compare, under the project's rules."""
    return typed(
        "pytest",
        *("--nbval", "--nbval-current-env", "-q", "-p", "no:cacheprovider"),
        *("--rootdir", str(folder), "-c", str(ROOT / "pyproject.toml"), str(folder)),
        **environment,
    )


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """A notebook whose evidence cell and versions cell have become untrue."""
    import nbformat  # noqa: PLC0415
    from nbformat.v4 import new_code_cell, new_notebook, new_output  # noqa: PLC0415

    stored = [new_output("stream", name="stdout", text="before\n")]
    cells = [
        new_code_cell(
            "print('now')",
            id=tag,
            metadata={"tags": [tag]},
            outputs=stored,
            execution_count=position,
        )
        for position, tag in enumerate(("embedded-evidence", "nbval-ignore-output"), start=1)
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "one.ipynb")
    (tmp_path / "conftest.py").write_bytes((ROOT / "notebooks" / "conftest.py").read_bytes())
    return tmp_path


def test_evidence_is_compared_on_the_embedded_testbed_only(evidence: Path) -> None:
    """An address that changed fails on the embedded testbed and nowhere else; a version never."""
    here = nbval(evidence)
    elsewhere = nbval(evidence, NODEPORT_LAB_TESTBED="kind")

    assert "1 failed, 1 passed" in here.stdout, here.stdout
    assert "2 passed" in elsewhere.stdout, elsewhere.stdout


def test_book_command_lists_what_it_can_do() -> None:
    """`python -m nodeport_lab.book --help` shows its commands with examples."""
    done = subprocess.run(
        [sys.executable, "-m", "nodeport_lab.book", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "python -m nodeport_lab.book notebooks egress-cilium" in done.stdout
