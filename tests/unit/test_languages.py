"""The languages of the book: addresses, search words, and what a translation has to keep."""

import pytest
from babel.messages import Catalog

from nodeport_lab.book.catalogues import (
    faults,
    has_words,
    load,
    markup,
    missing_terms,
    path,
    terms,
)
from nodeport_lab.book.languages import ENGLISH, TRANSLATIONS, Language, address
from nodeport_lab.book.sphinx_languages import split
from nodeport_lab.locations import repository_root

CHINESE = TRANSLATIONS[0]
ROOT = repository_root()
CATALOGUES = [
    (language, file.stem)
    for language in TRANSLATIONS
    for file in sorted(path(ROOT, language, "any").parent.glob("*.po"))
]


@pytest.mark.parametrize(
    ("page", "there", "back"),
    [
        ("index", "zh_CN/index.html", "../index.html"),
        ("chapters/udp", "../zh_CN/chapters/udp.html", "../../chapters/udp.html"),
        ("notebooks/runs/a", "../../zh_CN/notebooks/runs/a.html", "../../../notebooks/runs/a.html"),
    ],
)
def test_a_page_knows_its_address_in_another_language(page: str, there: str, back: str) -> None:
    """The address is relative, from any depth and in both directions."""
    assert there == address(page, ENGLISH, CHINESE)
    assert back == address(page, CHINESE, ENGLISH)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("数据面", ["数据", "据面"]),
        ("在 node 上", ["在", "node", "上"]),
        ("NodePort的策略", ["NodePort", "的策", "策略"]),
        ("client-a, 30080", ["client", "a", "30080"]),
    ],
)
def test_search_cuts_chinese_into_pairs(text: str, words: list[str]) -> None:
    """Chinese becomes overlapping pairs, whatever stands beside it stays whole words."""
    assert words == split(text)


@pytest.mark.parametrize(
    "translation",
    [
        "见 {doc}`options` 和 `nft`。",
        "**见** {doc}`method` 和 `nft`。",
        "见 {doc}`method` 和 `iptables`。",
        "见 {doc}`method`、`nft` 和 [这里](https://example.org)。",
        "见 {term}`method` 和 `nft`。",
    ],
)
def test_a_translation_keeps_code_references_links_and_emphasis(translation: str) -> None:
    """Another target, role, code, link or emphasis is found; a text of its own is not."""
    sentence = "See {doc}`method` and `nft`."

    assert markup(sentence) == markup("`nft` 见 {doc}`方法 <method>`。")
    assert markup(sentence) != markup(translation)


@pytest.mark.parametrize(
    ("message", "translated"),
    [
        ("See {doc}`method`.", True),
        ("{term}`verdict`", True),
        ("{doc}`the method <method>`", True),
        ("{doc}`method`", False),
        ("{glue:text}`a/run.ipynb::value:s`", False),
        ("`cli`, `book`", False),
        ("-300", False),
    ],
)
def test_only_words_are_translated(message: str, translated: bool) -> None:  # noqa: FBT001  # a table
    """Code, numbers and references that take the title of their target need no translation."""
    assert translated is has_words(message)


def test_what_a_catalogue_lacks_is_named() -> None:
    """Missing, outdated and unfaithful translations, and nothing else."""
    template, catalogue = Catalog(), Catalog(locale=CHINESE.code)
    for sentence in ("One.", "Two.", "Three `3`.", "Four `4`."):
        template.add(sentence)
    catalogue.add("Two.", "二。", flags=["fuzzy"])
    catalogue.add("Three `3`.", "三。")
    catalogue.add("Four `4`.", "四 `4`。")

    assert [
        "not translated: One.",
        "changed, its translation is an old one: Two.",
        "other code, references or links in the translation: Three `3`.",
    ] == list(faults(template, catalogue))


@pytest.mark.parametrize(("language", "domain"), CATALOGUES)
def test_every_sentence_of_a_catalogue_is_translated(language: Language, domain: str) -> None:
    """None is empty, outdated, or unfaithful; tests/site finds those that no catalogue has."""
    catalogue = load(ROOT, language, domain)

    assert len(catalogue)
    assert [] == list(faults(catalogue, catalogue))


@pytest.mark.parametrize(("language", "domain"), CATALOGUES)
def test_translations_use_the_terms(language: Language, domain: str) -> None:
    """Where a sentence has a term of `terms.yml`, its translation has the word for it."""
    words = terms(ROOT, language)
    missing = {
        message.id: found
        for message in load(ROOT, language, domain)
        if message.id
        and (found := list(missing_terms(str(message.id), str(message.string), words)))
    }

    assert {} == missing


@pytest.mark.parametrize(
    ("message", "translation", "missing"),
    [
        ("Policies see two Nodes.", "策略看到两个节点。", []),
        ("A node decides.", "它起决定作用。", ["node"]),
        ("`node` and client-node/node", "随意", []),
        ("the NodePort", "该 NodePort", []),
        ("its node port", "它的 NodePort", []),
        ("node port and node", "NodePort", ["node"]),
    ],
)
def test_terms_are_words_not_parts_of_names(
    message: str, translation: str, missing: list[str]
) -> None:
    """Case and plural do not matter, code and names do not count, long terms go first."""
    words = {"node": ["节点"], "node port": ["NodePort"], "NodePort": ["NodePort"]}

    assert missing == list(missing_terms(message, translation, words))
