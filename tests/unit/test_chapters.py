"""Every chapter has the same shape, so that a reader knows where the answer stands."""

import re

import pytest

from nodeport_lab.book.site import documents
from nodeport_lab.locations import repository_root

ROOT = repository_root()
LISTS = {"chapters/changelog", "chapters/glossary", "chapters/references"}
"""Pages to look something up in."""

NOT_MEASURED = {"chapters/architecture", "chapters/evidence"}
"""Pages that prove nothing by packets of their own."""

ORDER = ["The answer first", "The experiment", "What it proves", "What to do", "References"]
CHAPTERS = [name for name in documents(ROOT) if name.startswith("chapters/") and name not in LISTS]


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_has_the_common_shape(name: str) -> None:
    """What you will see, the answer first, the experiment, what it proves, what to do, references.

    An experiment may have headings of its own.
    """
    written = (ROOT / f"{name}.md").read_text(encoding="utf-8")
    text = re.sub(r"\A---\n.*?\n---\n\n", "", written, flags=re.DOTALL)
    outside = re.sub(r"^(`{3,}).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^## (.+)", outside, re.MULTILINE)
    common = [part for heading in headings for part in ORDER if heading.startswith(part)]

    assert re.match(r"# .+\n\n\*\*What you will see\.\*\* ", text)
    assert "The answer first" == headings[0]
    assert "References" == headings[-1]
    assert common == sorted(common, key=ORDER.index)
    assert {"What it proves", "What to do"} - set(common) == (
        {"What it proves"} if name in NOT_MEASURED else set()
    )


def test_lists_are_pages_of_the_book() -> None:
    """A page that is excused still exists."""
    assert LISTS | NOT_MEASURED <= set(documents(ROOT))
