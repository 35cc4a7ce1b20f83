"""From the book's sources and a set of run notebooks to the site.

The sources are assembled in a folder of their own, so that a build never writes
beside what is committed. `jupyter-book build .` in the checkout builds the same site
from the committed runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from nodeport_lab.errors import NotebookError

SOURCES = (
    "_config.yml",
    "_toc.yml",
    "_extra",
    "_static",
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
    "chapters",
    "examples",
    "index.md",
    "manifests",
    "notebooks/runs",
    "references.bib",
    "src/nodeport_lab/observations.schema.json",
    "src/nodeport_lab/published.schema.json",
)
"""What a build reads, seen from the root; chapters show manifests, examples and the schema."""


def assemble(root: Path, source: Path, replaced: Mapping[str, bytes]) -> None:
    """Copy the book's sources to a fresh folder, with some files replaced.

    Args:
        root: the checkout.
        source: the folder to make; what was there is removed.
        replaced: path seen from the book's root -> content.
    """
    shutil.rmtree(source, ignore_errors=True)
    for name in SOURCES:
        origin, target = root / name, source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, target, ignore=shutil.ignore_patterns(".*"))
        else:
            shutil.copyfile(origin, target)
    for name, content in replaced.items():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def build_html(source: Path, output: Path) -> Path:
    """Build the site of an assembled book and return its folder, `output/_build/html`.

    Raises:
        NotebookError: Sphinx warned or failed, or a page is missing.
    """
    html = output / "_build" / "html"
    shutil.rmtree(html, ignore_errors=True)  # or an old page would hide a missing one
    # Any warning fails the build: a broken reference, a missing value of a run, stderr in a
    # run. `--all`, since a value pasted from a run is no dependency that Sphinx knows.
    result = jupyter_book(source, output, "-n", "-W", "--keep-going", "--all", "--quiet")
    if result.returncode != 0:
        said = "\n".join(part for part in (result.stdout, result.stderr) if part).strip()
        raise NotebookError(f"the book does not build without warnings:\n{said}")
    check_pages(source, html)
    return html


def jupyter_book(source: Path, output: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run `jupyter-book build` on a book, with its results in `output/_build`."""
    program = str(Path(sysconfig.get_path("scripts")) / "jupyter-book")
    return subprocess.run(  # noqa: S603  # a program of our own environment
        [program, "build", str(source), "--path-output", str(output), *flags],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )


def check_pages(source: Path, html: Path) -> None:
    """Make sure that the site has its start page and every page of the table of contents.

    A build that produced nothing must not look like one that worked.

    Raises:
        NotebookError: names the pages that are missing.
    """
    wanted = ["index.html", *(f"{document}.html" for document in documents(source))]
    missing = [
        page for page in wanted if not (html / page).is_file() or "<h1" not in _text(html / page)
    ]
    if missing:
        raise NotebookError(f"the build left out or emptied these pages: {', '.join(missing)}")


def documents(source: Path) -> tuple[str, ...]:
    """Every document of `_toc.yml`, the root first."""
    toc = yaml.safe_load((source / "_toc.yml").read_text(encoding="utf-8"))
    return (toc["root"], *_files(toc))


def _files(entry: Mapping[str, Any]) -> Iterator[str]:
    """The `file` values below an entry, in the order of the table of contents."""
    for key in ("parts", "chapters", "sections"):
        for child in entry.get(key, ()):
            if "file" in child:
                yield child["file"]
            yield from _files(child)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
