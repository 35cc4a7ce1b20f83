"""From the book's sources and a set of run notebooks to the site, in each language.

The sources are assembled in a folder of their own, so that a build never writes
beside what is committed. `jupyter-book build .` in the checkout builds the same site
from the committed runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from nodeport_lab.book.languages import ENGLISH, LANGUAGES, TRANSLATIONS, Language
from nodeport_lab.book.sphinx_languages import SIDE_BY_SIDE
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
    "locales",
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


def build_languages(source: Path, output: Path) -> Path:
    """Build the site in every language; the translations lie in folders of the English one.

    The builds read the same sources, at the same time. Runs are not executed for any.

    Returns:
        The folder of the English site, `output/_build/html`.

    Raises:
        NotebookError: a build warned or failed, or a page is missing.
    """
    together = [language.code for language in LANGUAGES]
    with ThreadPoolExecutor() as pool:
        english = pool.submit(build_html, source, output, ENGLISH, together)
        others = {
            other: pool.submit(build_html, source, output / "_build" / other.code, other, together)
            for other in TRANSLATIONS
        }
    html = english.result()
    for language, built in others.items():
        shutil.move(built.result(), html / language.folder)
    return html


def build_html(
    source: Path, output: Path, language: Language = ENGLISH, together: Sequence[str] = ()
) -> Path:
    """Build the site of an assembled book in one language.

    Args:
        source: the assembled book.
        output: where to make the site.
        language: what its prose is shown in; what has no translation stays English.
        together: codes of all languages that the switch of a page offers.

    Returns:
        The site's folder, `output/_build/html`.

    Raises:
        NotebookError: Sphinx warned or failed, or a page is missing.
    """
    html = output / "_build" / "html"
    shutil.rmtree(html, ignore_errors=True)  # or an old page would hide a missing one
    settings: dict[str, Any] = {"language": language.code}
    if together:
        settings[SIDE_BY_SIDE] = list(together)
    # Any warning fails the build: a broken reference, a missing value of a run, stderr in a
    # run, a translation with other references. `--all`, since a value pasted from a run is
    # no dependency that Sphinx knows.
    run_sphinx(source, output, settings, "-W", "--keep-going", "--all")
    check_pages(source, html)
    return html


def run_sphinx(source: Path, output: Path, settings: Mapping[str, Any], *options: str) -> None:
    """Run Jupyter Book over an assembled book with other settings than those of its file.

    Args:
        source: the assembled book.
        output: where its `_build` comes.
        settings: name -> value, of Sphinx.
        options: for `jupyter-book build`.

    Raises:
        NotebookError: with what Sphinx said.
    """
    config = source / f"_config.{settings.get('language', ENGLISH.code)}.yml"
    config.write_text(_configured(_text(source / "_config.yml"), settings), encoding="utf-8")
    command = ("--config", str(config), "-n", "--quiet", *options)
    result = jupyter_book(source, output, *command)
    if result.returncode != 0:
        said = "\n".join(part for part in (result.stdout, result.stderr) if part).strip()
        raise NotebookError(f"the book does not build without warnings:\n{said}")


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


def _configured(config: str, settings: Mapping[str, Any]) -> str:
    """The text of `_config.yml` with settings of Sphinx replaced."""
    document = yaml.safe_load(config)
    document["sphinx"]["config"] |= settings
    text: str = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    return text


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
