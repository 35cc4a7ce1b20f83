"""`python -m nodeport_lab.book build`, `… notebooks [RUN]...` and others: what `make` calls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nodeport_lab.book import catalogues
from nodeport_lab.book.build import build_site, renew_runs
from nodeport_lab.book.links import ask_hosts
from nodeport_lab.book.spelling import TERMS, misspelt, words_of_book
from nodeport_lab.errors import LabError, NotebookError
from nodeport_lab.locations import repository_root

_EXAMPLES = """examples:
  python -m nodeport_lab.book build
  python -m nodeport_lab.book notebooks
  python -m nodeport_lab.book notebooks egress-cilium
  python -m nodeport_lab.book catalogues
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; 0 when it worked, 1 for a notebook, 2 for what is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m nodeport_lab.book",
        description="Renew the runs or the catalogues, build the site, check its words and links.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="execute the runs into _build, build the site from there")
    notebooks = commands.add_parser("notebooks", help="execute the runs into notebooks/runs")
    notebooks.add_argument("run", nargs="*", help="id of a run; all of them without any")
    commands.add_parser("catalogues", help="take up new and changed sentences for translation")
    commands.add_parser("spelling", help="check the spelling of chapters, templates and titles")
    commands.add_parser("links", help="ask other hosts for every page that the book links to")
    options = parser.parse_args(arguments)
    try:
        root = repository_root()
        if options.command == "notebooks":
            renew_runs(root, _say, options.run)
        elif options.command == "catalogues":
            catalogues.update(root, _say)
        elif options.command == "spelling":
            return _check_spelling(root)
        elif options.command == "links":
            _ask_hosts(root)
        else:
            page = build_site(root, _say)
            _say(f"the site is in {page.parent.relative_to(root)}; open {page.relative_to(root)}")
    except NotebookError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


def _check_spelling(root: Path) -> int:
    found = misspelt(words_of_book(root), root / TERMS)
    for word in found:
        place = f"{word.source}:{word.line}"
        _say(f"{place}: {word.text} is in no dictionary; mend it, or add it to {TERMS}")
    return 1 if found else 0


def _ask_hosts(root: Path) -> None:
    _say("asking every host that the book links to; this takes a minute or two")
    asked, lost = ask_hosts(root, root / "_build" / "links")
    for link in lost:
        _say(f"{link.file}:{link.line}: {link.url}: {link.reason}")
    _say(f"{asked} links to other hosts, {len(lost)} lead nowhere")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
