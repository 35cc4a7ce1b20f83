"""The site, built once for all tests of it, from the committed runs, and a browser."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from nodeport_lab.book.build import build_site
from nodeport_lab.book.execute import Executed
from nodeport_lab.book.runs import RunSpec
from nodeport_lab.book.site import assemble
from nodeport_lab.errors import PrerequisiteError
from nodeport_lab.locations import repository_root

QUIET = (
    "--no-sandbox",  # Chromium refuses to sandbox as root
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # containers have 64 MB of it, and a page that is out of it dies
)


PATIENCE = 120_000
"""Milliseconds that a browser may take for a step; a busy machine is no fault of the site."""


@dataclass(frozen=True, slots=True)
class Site:
    """A built site: its folder, and what was said while it was built."""

    html: Path
    said: tuple[str, ...]


def unable(
    _specs: Sequence[RunSpec], _directory: Path, _progress: Callable[[Executed], None]
) -> Sequence[Executed]:
    """Execute nothing, like a machine that cannot run the testbed."""
    raise PrerequisiteError("this machine makes no user namespaces")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the book's sources, so that a test's build leaves the checkout alone."""
    root = repository_root()
    copy = tmp_path_factory.mktemp("checkout") / "book"
    runs = "notebooks/runs.yml"
    templates = {
        f"notebooks/templates/{path.name}": path.read_bytes()
        for path in (root / "notebooks" / "templates").glob("*.ipynb")
    }
    assemble(root, copy, {runs: (root / runs).read_bytes(), **templates})
    return copy


@pytest.fixture(scope="session")
def site(checkout: Path) -> Site:
    """The site as it is built where the testbed cannot run."""
    said: list[str] = []
    start = build_site(checkout, said.append, unable)
    return Site(start.parent, tuple(said))


@pytest.fixture(scope="module")  # its event loop must not meet those of other tests
def browser() -> Iterator[Browser]:
    """The system's Chromium, without the requests that it makes on its own."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(QUIET)
        )
        yield chromium
        chromium.close()
