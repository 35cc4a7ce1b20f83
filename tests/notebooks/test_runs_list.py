"""The list of runs: what it may say, and how it says no."""

from pathlib import Path

import pytest

from nodeport_lab.book.runs import load, missing, select
from nodeport_lab.errors import NotebookError, UnknownNameError
from nodeport_lab.testbeds.embedded import programs

ENTRY = "{id: one, title: One, summary: First., template: egress, parameters: {deadline: 1}}"


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    """A folder with one template, for a list to be written into."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "egress.ipynb").touch()
    return tmp_path


def write(notebooks: Path, text: str) -> Path:
    """Write the list of runs."""
    (notebooks / "runs.yml").write_text(text, encoding="utf-8")
    return notebooks


def test_entry_becomes_a_run(notebooks: Path) -> None:
    """An entry's fields are the run's, the template is found by its name."""
    (spec,) = load(write(notebooks, f"- {ENTRY}"))

    assert ("one", "One", "First.", {"deadline": 1}) == (
        spec.id,
        spec.title,
        spec.summary,
        spec.parameters,
    )
    assert notebooks / "templates" / "egress.ipynb" == spec.template


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a list"),
        ("id: one", "must be a list"),
        ("- one", "entry 1 must be a mapping"),
        (f"- {ENTRY.replace('title: One, ', '')}", "needs 'title'"),
        (f"- {ENTRY.replace('title: One', 'title: 1')}", "needs 'title'"),
        (f"- {ENTRY.replace('id: one', 'id: ../one')}", "'../one' must be lower-case words"),
        (f"- {ENTRY.replace('{deadline: 1}', '[1]')}", "'parameters' must map"),
        (
            f"- {ENTRY.replace('parameters', 'needs: haproxy, parameters')}",
            "'needs' must be a list",
        ),
        (f"- {ENTRY}\n- {ENTRY}", "'one' twice"),
    ],
)
def test_unusable_list_is_refused(notebooks: Path, text: str, said: str) -> None:
    """A list that cannot be used is one error that names the entry and the reason."""
    with pytest.raises(NotebookError, match=said):
        load(write(notebooks, text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"- {ENTRY.replace('template: egress', 'template: ingress')}", "choose one of: egress"),
        (f"- {ENTRY.replace('title', 'titel')}", "'titel'; choose one of: id, title"),
    ],
)
def test_unknown_name_lists_the_known_ones(notebooks: Path, text: str, said: str) -> None:
    """A template or field that does not exist is answered with those that do."""
    with pytest.raises(UnknownNameError, match=said):
        load(write(notebooks, text))


def test_selection_keeps_the_order_of_the_list(notebooks: Path) -> None:
    """Chosen runs come in the list's order; an unknown one is answered with the ids."""
    text = "\n".join(f"- {ENTRY.replace('id: one', f'id: {name}')}" for name in "abc")
    specs = load(write(notebooks, text))

    assert ["a", "c"] == [spec.id for spec in select(specs, ["c", "a"])]
    assert specs == select(specs, [])
    with pytest.raises(UnknownNameError, match="no run 'd'; choose one of: a, b, c"):
        select(specs, ["d"])


def test_a_run_tells_what_it_lacks(notebooks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is there is no reason; one that is not comes with its remedy."""
    text = f"- {ENTRY.replace('parameters', 'needs: [haproxy], parameters')}"
    (spec,) = load(write(notebooks, text))
    monkeypatch.setattr(programs, "find_program", lambda _name: "/usr/sbin/haproxy")
    assert missing(spec) is None
    monkeypatch.setattr(programs, "find_program", lambda _name: None)
    told = missing(spec)
    assert told is not None
    assert "apt-get install haproxy" in told


def test_an_unknown_program_lists_the_known_ones(notebooks: Path) -> None:
    """A slip of the pen does not make a run that is never executed."""
    text = f"- {ENTRY.replace('parameters', 'needs: [nginx], parameters')}"
    with pytest.raises(UnknownNameError, match="'nginx'; choose one of: haproxy"):
        load(write(notebooks, text))
