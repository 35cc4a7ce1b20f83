"""The gettext catalogues: bringing them up to date with the prose, and finding what they lack.

A catalogue holds the sentences of one folder of the book (a *domain*), each once, with its
translation. Cell outputs are no sentences of the book and stay as they are.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml
from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po
from markdown_it import MarkdownIt

from nodeport_lab.book import reproducibility
from nodeport_lab.book.languages import TRANSLATIONS, Language
from nodeport_lab.book.render import read
from nodeport_lab.book.site import assemble, run_sphinx
from nodeport_lab.book.sphinx_languages import PROMPTS

THEME = "sphinx"
"""The domain of buttons, labels and the site's title; Sphinx gives it that name."""

LABELS = (
    "Search this book...",
    "Show code cell {type}",
    "Hide code cell {type}",
    *(f"Link to this {what}" for what in ("heading", "image", "table", "code", "term")),
)
"""Labels of Jupyter Book, MyST-NB and Sphinx that these have not translated everywhere."""

_ROLE = re.compile(r"\{([\w:+-]+)\}$")
_TARGET = re.compile(r"<([^<>]+)>$")
_MARKDOWN = MarkdownIt("commonmark")

_HEADER = """\
# Translations of the book; `make catalogues` takes up new and changed sentences.
msgid ""
msgstr ""
"Language: {code}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def extract(root: Path) -> dict[str, Catalog]:
    """Every sentence of the book, by domain, without translations.

    Args:
        root: the checkout; its run notebooks are read as they are committed.

    Raises:
        NotebookError: the book does not build.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source, output = Path(scratch).resolve() / "source", Path(scratch) / "output"
        assemble(
            root, source, {str(reproducibility.PAGE): reproducibility.every_sentence().encode()}
        )
        run_sphinx(source, output, {}, "--builder", "custom", "--custom-builder", "gettext")
        templates = output / "_build" / "gettext"
        found = {
            file.stem: _sentences(file, (source, root.resolve()))
            for file in templates.glob("*.pot")
        }
    theme = found.setdefault(THEME, Catalog())
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    theme.add(config["title"], locations=[("_config.yml", 0)])
    for label in LABELS:
        theme.add(label)
    for notebook in sorted((root / "notebooks" / "runs").glob("*.ipynb")):
        for cell in read(notebook).cells:
            for prompt in PROMPTS:
                if text := cell.metadata.get("mystnb", {}).get(f"code_{prompt}"):
                    theme.add(text, locations=[("notebooks/runs", 0)])
    for message in _sentences(files("pydata_sphinx_theme") / "locale" / "sphinx.pot", ()):
        theme.add(message.id, locations=[("pydata-sphinx-theme", 0)])
    return found


def path(root: Path, language: Language, domain: str) -> Path:
    """Where a catalogue lies."""
    return root / "locales" / language.code / "LC_MESSAGES" / f"{domain}.po"


def load(root: Path, language: Language, domain: str) -> Catalog:
    """Read a catalogue; an empty one if there is none yet."""
    file = path(root, language, domain)
    if not file.is_file():
        return Catalog(locale=language.code)
    return read_po(io.BytesIO(file.read_bytes()), locale=language.code)


def update(root: Path, say: Callable[[str], None]) -> None:
    """Take up new and changed sentences in every catalogue, and drop those that are gone.

    A sentence that resembles an old one gets its translation, marked fuzzy: someone has to
    look at it.
    """
    templates = extract(root)
    for language in TRANSLATIONS:
        for domain, template in sorted(templates.items()):
            catalogue = load(root, language, domain)
            catalogue.update(template)
            file = path(root, language, domain)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_written(catalogue, language))
            waiting = len(list(faults(template, catalogue)))
            say(f"{file.relative_to(root)}: {len(template)} messages, {waiting} to look at")


def faults(template: Catalog, catalogue: Catalog) -> Iterator[str]:
    """What keeps a catalogue from being a full translation, a line for each message.

    Args:
        template: the sentences of a domain.
        catalogue: their translations.
    """
    for message in template:
        if not message.id:
            continue
        known = catalogue.get(message.id)
        if known is None or not known.string:
            yield f"not translated: {message.id}"
        elif known.fuzzy:
            yield f"changed, its translation is an old one: {message.id}"
        elif markup(_text(known.string)) != markup(_text(message.id)):
            yield f"other code, references or links in the translation: {message.id}"


def terms(root: Path, language: Language) -> Mapping[str, Sequence[str]]:
    """The words that a translation uses throughout: English -> those of the language."""
    document = yaml.safe_load((root / "locales" / "terms.yml").read_text(encoding="utf-8"))
    found: Mapping[str, Sequence[str]] = document[language.code]
    return found


def missing_terms(
    message: str, translation: str, words: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """The terms of a sentence whose words its translation lacks; code has none.

    A longer term goes before the shorter ones that it contains, and case does not matter.
    """
    said = " ".join(content for kind, content in _pieces(message) if kind in {"text", "term"})
    for term in sorted(words, key=len, reverse=True):
        pattern = re.compile(rf"(?<![\w/-]){re.escape(term)}s?(?![\w/-]|[.:]\w)", re.IGNORECASE)
        said, found = pattern.subn(" ", said)
        if found and not any(word in translation for word in words[term]):
            yield term


def markup(message: str) -> Counter[tuple[str, str]]:
    """What a translation has to keep, each with its kind.

    Code, targets of references and links, HTML, and how often something is emphasised.
    """
    return Counter((kind, content) for kind, content in _pieces(message) if kind != "text")


def has_words(message: str) -> bool:
    """Whether there is anything to translate besides code, references and numbers."""
    return any(
        letter.isalpha()
        for kind, content in _pieces(message)
        if kind in {"text", "term"}
        for letter in content
    )


def _pieces(message: str) -> Iterator[tuple[str, str]]:
    """A message as pairs: the kind of a piece, and its content or target.

    The kinds are those of Markdown, and for a role its name; the text that a role shows for
    a target is a piece of its own.
    """
    text = ""
    for token in _MARKDOWN.parseInline(message)[0].children or ():
        match token.type:
            case "text":
                text = token.content
                yield "text", _ROLE.sub("", text)
            case "code_inline":
                role, target = _ROLE.search(text), _TARGET.search(token.content)
                if role and target:
                    yield "text", token.content[: target.start()]
                shown = target[1] if role and target else token.content
                yield role[1] if role else "code", shown
                text = ""
            case "link_open":
                yield "link", str(token.attrs["href"])
            case "html_inline":
                yield "html", token.content
            case "strong_open" | "em_open":
                yield token.tag, ""


def _sentences(template: Traversable, roots: Sequence[Path]) -> Catalog:
    """The messages of a template that have words.

    Args:
        template: the file.
        roots: folders in one of which each stands, to say where; none for other people's.
    """
    catalogue = Catalog()
    for message in read_po(io.BytesIO(template.read_bytes())):
        if message.id and has_words(_text(message.id)):
            places = []
            if roots and isinstance(template, Path):
                file = (template.parent / message.locations[0][0]).resolve()
                own = next(root for root in roots if file.is_relative_to(root))
                places.append((file.relative_to(own).as_posix(), 0))
            catalogue.add(message.id, locations=places)
    return catalogue


def _text(message: object) -> str:
    """A message as one text; the book has no plurals."""
    return message if isinstance(message, str) else ""


def _written(catalogue: Catalog, language: Language) -> bytes:
    """The file of a catalogue, without dates: the same sentences, the same bytes."""
    content = io.BytesIO()
    write_po(content, catalogue, omit_header=True, ignore_obsolete=True, include_lineno=False)
    return _HEADER.format(code=language.code).encode() + content.getvalue().rstrip(b"\n") + b"\n"
