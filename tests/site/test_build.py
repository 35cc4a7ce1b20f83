"""What a build refuses: runs that changed, warnings, and a site without pages."""

import copy
import re
import subprocess
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import copytree

import pytest
import yaml

from nodeport_lab.book import build, evidence
from nodeport_lab.book.build import build_site, renew_runs
from nodeport_lab.book.execute import Executed
from nodeport_lab.book.render import read
from nodeport_lab.book.runs import RunSpec
from nodeport_lab.book.site import assemble, build_html, check_pages, documents
from nodeport_lab.errors import NotebookError
from nodeport_lab.locations import repository_root
from nodeport_lab.testbeds.embedded import programs

CONFIG = """\
only_build_toc_files: true
execute: {execute_notebooks: "off"}
sphinx: {config: {bibtex_bibfiles: [], extensions: [myst_nb, jupyter_book, sphinx_external_toc]}}
"""
TOC = "{format: jb-book, root: index, parts: [{chapters: [{file: page}]}]}"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book with a start page and one chapter."""
    files = {
        "_config.yml": CONFIG,
        "_toc.yml": TOC,
        "index.md": "# Start\n",
        "page.md": "# Page\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_changed_verdict_fails_the_build(checkout: Path) -> None:
    """An executed run that differs from the committed one fails with the run and the cell."""

    def changed(
        specs: Sequence[RunSpec], _directory: Path, _progress: Callable[[Executed], None]
    ) -> Sequence[Executed]:
        executed = []
        for spec in specs:
            notebook = copy.deepcopy(read(checkout / "notebooks" / "runs" / spec.filename))
            for cell in notebook.cells:
                if cell.id == "verdicts" and spec.id == "egress-cilium":
                    cell.outputs[0].data["text/plain"] = "something else"
            executed.append(Executed(spec, notebook, 0.1))
        return executed

    with pytest.raises(NotebookError, match=r"\n  egress-cilium: cell verdicts .*$") as failure:
        build_site(checkout, lambda _: None, changed)

    assert 1 == str(failure.value).count("cell ")


def test_warning_fails_the_build(book: Path) -> None:
    """A reference to nothing is an error that names file and line, not a page with a gap."""
    (book / "page.md").write_text("# Page\n\n{doc}`nowhere`\n", encoding="utf-8")

    with pytest.raises(NotebookError, match=r"page\.md:3: WARNING: .*nowhere"):
        build_html(book, book)


def test_book_builds_as_typed(tmp_path: Path) -> None:
    """`jupyter-book build .` alone gives the site, from what is committed."""
    assemble(repository_root(), tmp_path / "book", {})

    done = subprocess.run(
        [str(Path(sysconfig.get_path("scripts")) / "jupyter-book"), "build", "."],
        cwd=tmp_path / "book",
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    check_pages(tmp_path / "book", tmp_path / "book" / "_build" / "html")


def test_missing_page_is_found(book: Path) -> None:
    """A build that left out a page, or wrote an empty one, does not pass for a good one."""
    html = book / "html"
    html.mkdir()
    (html / "index.html").write_text("<h1>Start</h1>", encoding="utf-8")

    with pytest.raises(NotebookError, match=r"these pages: page\.html$"):
        check_pages(book, html)
    (html / "page.html").touch()
    with pytest.raises(NotebookError, match=r"these pages: page\.html$"):
        check_pages(book, html)
    (html / "page.html").write_text("<h1>Page</h1>", encoding="utf-8")
    check_pages(book, html)


def test_every_run_has_its_page() -> None:
    """Each run of the list stands in the table of contents, and no other notebook does."""
    root = repository_root()
    runs = {path.stem for path in (root / "notebooks" / "runs").glob("*.ipynb")}

    assert runs == {
        name.removeprefix("notebooks/runs/")
        for name in documents(root)
        if name.startswith("notebooks/")
    }


def test_assembling_starts_from_nothing(tmp_path: Path) -> None:
    """A file of an earlier build does not survive in the next one's sources."""
    stale = tmp_path / "source" / "chapters" / "stale.md"
    stale.parent.mkdir(parents=True)
    stale.touch()

    assemble(repository_root(), tmp_path / "source", {"index.md": b"# Replaced\n"})

    assert not stale.exists()
    assert "# Replaced\n" == (tmp_path / "source" / "index.md").read_text(encoding="utf-8")


def test_a_run_without_its_program_keeps_its_stored_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are executed, its files stay as they are, and the reason is printed."""
    root = repository_root()
    copytree(root / "notebooks", tmp_path / "notebooks")
    monkeypatch.setattr(programs, "find_program", lambda _name: None)
    asked: list[str] = []

    def execute(specs: Sequence[RunSpec], *_: object) -> tuple[Executed, ...]:
        asked.extend(spec.id for spec in specs)
        return ()

    monkeypatch.setattr(build, "execute_all", execute)
    monkeypatch.setattr(evidence, "current_page", lambda _root: "")
    stored = tmp_path / "notebooks" / "runs" / "remedy-oauth2.ipynb"
    before = stored.read_bytes()
    said: list[str] = []

    renew_runs(tmp_path, said.append)

    assert before == stored.read_bytes()
    assert "remedy-oauth2" not in asked
    assert "remedy-cluster-ip" in asked
    assert any(
        line.startswith("remedy-oauth2 is not executed and keeps its stored output")
        and "apt-get install haproxy" in line
        for line in said
    )


@pytest.mark.parametrize("url", ["", "https://github.com/owner/name"])
def test_one_setting_names_the_repository(book: Path, url: str) -> None:
    """Links to edit pages, map of the site and citation appear with the URL, and only with it."""
    config = yaml.safe_load((repository_root() / "_config.yml").read_text(encoding="utf-8"))
    config["repository"]["url"] = url
    config["sphinx"]["config"] |= {"html_extra_path": ["CITATION.cff"], "bibtex_bibfiles": []}
    (book / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (book / "references.bib").touch()
    (book / "CITATION.cff").write_text("cff-version: 1.2.0\n", encoding="utf-8")

    html = build_html(book, book)
    page = (html / "page.html").read_text(encoding="utf-8")
    cited = (html / "CITATION.cff").read_text(encoding="utf-8")

    assert bool(url) == ("https://github.com/owner/name/edit/main/page.md" in page)
    assert bool(url) == ('rel="canonical" href="https://owner.github.io/name/page.html"' in page)
    assert bool(url) == ("owner/name" in cited)
    assert bool(url) == (html / "sitemap.xml").is_file()
    if not url:
        assert not re.search(r"https?://(?!creativecommons|www\.sphinx-doc)", page)


def test_a_repository_that_is_none_fails_the_build(book: Path) -> None:
    """Before any page is made, with the setting and the remedy."""
    config = yaml.safe_load((repository_root() / "_config.yml").read_text(encoding="utf-8"))
    config["repository"]["url"] = "somewhere"
    (book / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")

    with pytest.raises(NotebookError, match=r"repository\.url in _config\.yml is 'somewhere'"):
        build_html(book, book)
