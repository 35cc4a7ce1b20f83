"""The committed run notebooks: complete, clean, and made from the templates.

nbval compares outputs; it passes a notebook that has none, or whose cells were executed
out of order. So these are held here, without executing anything.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbformat import NotebookNode

from nodeport_lab import claims_file, locations
from nodeport_lab.book import status, tags
from nodeport_lab.book.atlas import atlases
from nodeport_lab.book.build import stored_status
from nodeport_lab.book.catalogue import catalogue
from nodeport_lab.book.figures import figures
from nodeport_lab.book.normalise import dumps, normalise
from nodeport_lab.book.parameters import assigned_names
from nodeport_lab.book.render import parameter_names, read, render
from nodeport_lab.book.runs import RunSpec, load
from nodeport_lab.claims import Status
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.locations import repository_root

ROOT = repository_root()
RUNS = ROOT / "notebooks" / "runs"
SPECS = load(ROOT / "notebooks")
TEMPLATES = sorted((ROOT / "notebooks" / "templates").glob("*.ipynb"))
SHOWING = re.compile(r"^lab\.(\w+)", re.MULTILINE)
MEASURING = re.compile(r"\blab\.run(_all|_suite|_each|_remedy)?\(")
"""What makes runs; they are held to what is documented, and say what they were made with."""
AT_ONE_GLANCE = {
    *("heat_map", "atlas", "placement_table", "remedy_table", "walk_figure", "check_report"),
}
"""One of these is in every notebook: what came out, before any detail."""


@pytest.fixture(params=SPECS, ids=lambda spec: spec.id)
def spec(request: pytest.FixtureRequest) -> RunSpec:
    """Every run of the list."""
    chosen: RunSpec = request.param
    return chosen


@pytest.fixture
def run(spec: RunSpec) -> NotebookNode:
    """The committed notebook of the run."""
    return read(RUNS / spec.filename)


def code(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: NotebookNode) -> Iterator[NotebookNode]:
    """Every output of every cell."""
    for cell in code(notebook):
        yield from cell.outputs


def derived() -> dict[str, bytes]:
    """What pages include from several runs, and from the declarations of the dataplanes."""
    return atlases({spec.id: read(RUNS / spec.filename) for spec in SPECS}) | catalogue()


def test_list_and_files_agree() -> None:
    """Each listed run has its notebook, and nothing lies beside them but what they give."""
    expected = {spec.filename for spec in SPECS} | {f"figures/{name}" for name in derived()}
    expected |= {
        f"figures/{name}" for spec in SPECS for name in figures(read(RUNS / spec.filename), spec.id)
    }

    assert expected == {
        path.relative_to(RUNS).as_posix() for path in RUNS.rglob("*") if path.is_file()
    }


def test_cells_were_executed_once_from_top_to_bottom(run: NotebookNode) -> None:
    """Execution counts are 1 to n: no cell was skipped, repeated or run out of order."""
    counts = [cell.execution_count for cell in code(run)]

    assert list(range(1, len(counts) + 1)) == counts


def test_every_cell_that_shows_something_has_an_output(run: NotebookNode) -> None:
    """A call that shows or asserts left something to see, so nbval has what to compare."""
    showing = [cell for cell in code(run) if SHOWING.search(cell.source)]

    assert [] == [cell.id for cell in showing if not cell.outputs]
    called = {match[1] for cell in showing if (match := SHOWING.search(cell.source))}
    assert called & AT_ONE_GLANCE
    if any(MEASURING.search(cell.source) for cell in code(run)):
        assert {"assert_documented", "versions"} <= called


def test_nothing_went_wrong(run: NotebookNode) -> None:
    """No error and nothing on stderr is stored: the book would show it as it is."""
    assert [] == [
        output for output in outputs(run) if "error" in (output.output_type, output.get("name"))
    ]
    assert [] == [output.text for output in outputs(run) if output.get("name") == "stderr"]


def test_source_is_the_template_and_the_parameters(spec: RunSpec, run: NotebookNode) -> None:
    """A run is its template under its title, with its parameters, and nothing else."""
    rendered = render(read(spec.template), spec)
    injected = [cell for cell in run.cells if tags.INJECTED in cell.metadata.get("tags", [])]
    others = [cell for cell in run.cells if cell not in injected]

    assert [cell.source for cell in rendered.cells] == [cell.source for cell in others]
    assert [cell.id for cell in rendered.cells] == [cell.id for cell in others]
    values: dict[str, object] = {}
    exec(injected[0].source, values)  # noqa: S102  # written by our own pipeline
    assert dict(spec.parameters) == {name: values[name] for name in spec.parameters}
    assert set(spec.parameters) == set(assigned_names(injected[0].source))


def test_file_is_normalised(spec: RunSpec, run: NotebookNode) -> None:
    """What is committed is what `make notebooks` writes, byte for byte."""
    assert dumps(normalise(run)) == (RUNS / spec.filename).read_text(encoding="utf-8")


def test_figures_are_those_of_the_notebook(spec: RunSpec, run: NotebookNode) -> None:
    """A picture on the landing page or in the README is the one that the run shows."""
    for name, content in figures(run, spec.id).items():
        assert content == (RUNS / "figures" / name).read_bytes()


def test_snippets_are_those_of_the_runs() -> None:
    """The atlas on a page is what the committed runs gave to it, byte for byte."""
    found = derived()

    assert {"atlas-egress.md", "atlas-ingress.md"} <= found.keys()
    for name, content in found.items():
        assert content == (RUNS / "figures" / name).read_bytes(), name


@pytest.mark.parametrize("suite", ["egress", "ingress"])
def test_the_atlas_has_every_dataplane(suite: str) -> None:
    """A dataplane without a run would be missing on the page without a word."""
    told = {
        spec.parameters["dataplane"] for spec in SPECS if spec.template.stem == f"atlas-{suite}"
    }

    assert set(DATAPLANES) == told


def test_every_picture_is_described(run: NotebookNode) -> None:
    """A displayed picture has a text alternative and a caption."""
    shown = [
        cell
        for cell in code(run)
        if any("image/png" in output.get("data", {}) for output in cell.outputs)
    ]

    for cell in shown:
        assert cell.metadata.mystnb.image.alt
        assert cell.metadata.mystnb.figure.caption


def test_no_path_of_a_machine_is_stored(spec: RunSpec) -> None:
    """A run shows nothing of where it was executed."""
    text = (RUNS / spec.filename).read_text(encoding="utf-8")

    assert str(ROOT) not in text
    assert str(Path.home()) + "/" not in text
    assert [] == re.findall(r"/tmp/[\w-]+|site-packages|0x[0-9a-f]{8,}", text)  # noqa: S108


def test_addresses_stand_in_tagged_cells_only(run: NotebookNode) -> None:
    """What is compared on every testbed holds no address; evidence is tagged as such."""
    tagged = {tags.EVIDENCE, tags.IGNORED}
    for cell in code(run):
        if tagged.isdisjoint(cell.metadata.get("tags", [])):
            shown = "\n".join(
                str(value)
                for output in cell.outputs
                for kind, value in output.get("data", {"text": output.get("text", "")}).items()
                if kind != "image/png"
            )

            assert [] == re.findall(r"\d+\.\d+\.\d+\.\d+", shown), cell.id


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_template_is_clean(path: Path) -> None:
    """A template stores no outputs, names every cell, and has parameters to set."""
    template = read(path)

    assert [] == list(outputs(template))
    assert {None} == {cell.execution_count for cell in code(template)}
    assert len(template.cells) == len({cell.id for cell in template.cells})
    assert "testbed" in parameter_names(template)
    if any(MEASURING.search(cell.source) for cell in code(template)):
        assert "deadline" in parameter_names(template)


def test_every_claim_that_can_be_measured_is_settled() -> None:
    """The run of the claims asks for at least one cell of everything that they speak of."""
    told = {
        output.metadata.scrapbook.name: output.data["application/papermill.record/text/plain"]
        for output in outputs(read(RUNS / "claims.ipynb"))
        if "scrapbook" in output.get("metadata", {})
    }

    for claim in claims_file.load(locations.claims_file()).claims:
        settled = told[claim.id] != repr(str(Status.UNTESTED))
        assert settled is not bool(claim.needs), claim.id


def test_every_template_is_used() -> None:
    """A template without a run would never be executed."""
    assert {path.stem for path in TEMPLATES} == {spec.template.stem for spec in SPECS}


def test_committed_status_page_is_generated() -> None:
    """The page on stored outputs is the one that `make notebooks` writes for this list."""
    assert stored_status(SPECS) == (ROOT / status.PAGE).read_text(encoding="utf-8")
