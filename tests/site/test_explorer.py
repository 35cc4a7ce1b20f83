"""The page that answers questions: what it says is what the published observations say."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice, product
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from nodeport_lab.report.words import SYMBOLS

from .conftest import PATIENCE, Site

pytestmark = pytest.mark.browser

Question = tuple[str, str, str, str, str]
"""Suite, policy, client, way, dataplane."""

SAMPLE = 67
"""Every so manieth question is asked on the page itself; the rest of its script alone."""

ASKED_AT_ONCE = 500
"""Questions that cross from here to the browser together: all of them, with their answers, are
megabytes, which a busy machine loses its patience with."""

FIRST: Question = (
    "egress", "ipblock-nodes", "client-b", "nodeport:hello:dev-worker2", "calico-iptables",
)  # fmt: skip
OTHER: Question = (
    "ingress", "ingress-ipblock-external", "external", "nodeport:hello:dev-worker", "cilium-kpr",
)  # fmt: skip


def published(site: Site) -> dict[str, Any]:
    """The JSON beside the page."""
    text = (site.html / "explorer" / "observations.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def answers(document: dict[str, Any]) -> dict[Question, dict[str, Any]]:
    """Every question with its answer, read from the JSON by its schema."""
    found = {}
    for run in document["runs"]:
        rows = zip(run["policies"], run["cells"], strict=True)
        for (policy, row), (column, way) in product(rows, enumerate(run["ways"])):
            client, service, route, node, _, dialled = way
            name = ":".join(part for part in (route, service, node) if part is not None)
            verdict, control, _, logged, decisions = run["records"][row[column]]
            found[run["suite"], policy["name"], client, name, run["dataplane"]] = {
                "run": run["run"],
                "basis": run["basis"],
                "dialled": dialled,
                "outcome": verdict if control == "allowed" else "no path",
                "logged": logged,
                "decisions": [run["decisions"][number] for number in decisions],
            }
    return found


def asked(question: Question) -> str:
    """The part of the page's address that holds a question."""
    return "#ask=" + "/".join(quote(part, safe="") for part in question)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A window as wide as a phone, which holds the page to saying nothing to the console."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    context.set_default_timeout(PATIENCE)
    said: list[str] = []
    requested: list[str] = []
    context.on("console", lambda one: said.append(one.text) if one.type != "log" else None)
    context.on("weberror", lambda one: said.append(str(one.error)))
    context.on("request", lambda one: requested.append(one.url))
    yield context
    context.close()
    assert [] == said
    assert {"file"} >= {urlsplit(url).scheme for url in requested} - {"data"}


@pytest.fixture
def page(context: BrowserContext, site: Site) -> Page:
    """The page, opened as a file."""
    shown = context.new_page()
    shown.goto(address(site))
    shown.wait_for_selector(".ask-headline")
    return shown


def address(site: Site, question: Question | None = None) -> str:
    """Where the page lies, with a question."""
    return (site.html / "chapters" / "explorer.html").as_uri() + (
        asked(question) if question else ""
    )


def batched(questions: Iterable[Question], size: int) -> Iterator[list[Question]]:
    """The questions in their order, so many at once."""
    waiting = iter(questions)
    while batch := list(islice(waiting, size)):
        yield batch


def chosen(page: Page) -> Question:
    """What the fields of the form say."""
    values = [
        page.locator(f"#ask-{part}").input_value()
        for part in ("policy", "client", "way", "dataplane")
    ]
    return (page.locator("input[name=suite]:checked").input_value(), *values)  # type: ignore[return-value]


def test_script_holds_what_the_json_holds(page: Page, site: Site) -> None:
    """A page that is opened as a file reads the script; people and programs read the JSON."""
    assert published(site) == json.loads(page.evaluate("JSON.stringify(nodeportLabObservations)"))


def test_every_answer_is_the_published_one(page: Page, site: Site) -> None:
    """All of them, by the script that the page asks."""
    wanted = answers(published(site))

    given = []
    for questions in batched(wanted, ASKED_AT_ONCE):
        given += page.evaluate(
            """(questions) => {
                const atlas = nodeportLabAtlas(nodeportLabObservations);
                return questions.map(([suite, policy, client, way, dataplane]) => {
                    const found = atlas.answer({ suite, policy, client, way, dataplane });
                    return {
                        run: found.run, basis: found.basis, dialled: found.way.dialled,
                        outcome: found.outcome, logged: found.logged,
                        decisions: found.decisions.map((one) => [one.direction, one.node, one.hook,
                            one.source, one.destination, one.policy, one.rule, one.action]),
                    };
                });
            }""",
            questions,
        )

    assert len(wanted) > 4_500
    assert list(wanted.values()) == given


def test_the_page_shows_the_published_answers(page: Page, site: Site) -> None:
    """Verdict with its symbol, what was seen and where, which rule decided, and the basis."""
    wanted = answers(published(site))
    shown = []
    for question in list(wanted)[::SAMPLE]:
        page.evaluate("(hash) => { location.hash = hash; }", asked(question))
        page.wait_for_function(
            "(hash) => document.querySelector('.ask-link').hash === hash", arg=asked(question)
        )
        shown.append(question)
        answer = wanted[question]
        outcome = f"{SYMBOLS[answer['outcome']]} {answer['outcome']}"
        headline, facts, walk, current = (
            " ".join(page.locator(place).all_inner_texts())
            for place in (".ask-headline", ".ask-facts", ".ask-walk", "td button[aria-current]")
        )

        assert question == chosen(page)
        assert headline.startswith(outcome), question
        assert f"{outcome} {outcome}" == current, question
        assert answer["basis"].capitalize() in facts
        assert answer["dialled"] in facts
        assert answer["run"] in facts
        assert outcome in walk
        for direction, node, hook, source, destination, policy, rule, _ in answer["decisions"]:
            assert f"{direction.capitalize()} policy saw" in facts
            assert f"{hook} on {node}" in facts
            assert source in facts
            assert f"→ {destination}" in facts
            assert rule in facts
            assert (policy or "no policy") in facts
            assert f"saw {source} → {destination}" in walk
        assert len(answer["decisions"]) == walk.count("saw ")
        assert page.evaluate("document.documentElement.scrollWidth") == 390, question

    assert len(shown) > 60


def test_tables_show_the_answers_elsewhere(page: Page, site: Site) -> None:
    """Every cell of both tables says what the JSON says of its question."""
    wanted = answers(published(site))
    for question in (FIRST, OTHER):
        page.goto(address(site, question))
        found = page.eval_on_selector_all(
            "td button", "(all) => all.map((one) => [one.dataset.asks, one.textContent])"
        )
        told = {asked(one): answer["outcome"] for one, answer in wanted.items()}

        assert [(where, f"{SYMBOLS[told[where]]} {told[where]}") for where, _ in found] == [
            (where, text) for where, text in found
        ]
        suite, policy, client, way, _ = question
        dataplanes = {one[4] for one in wanted if one[0] == suite}
        assert {
            asked(one)
            for one in wanted
            if one[0] == suite and one[2] == client and (one[1] == policy or one[3] == way)
        } == {where for where, _ in found}
        assert 6 == len(dataplanes)


def test_the_note_names_the_dataplanes_on_which_the_node_decides(page: Page, site: Site) -> None:
    """Counted from the JSON: different outcomes for different nodes that are dialled."""
    wanted = answers(published(site))
    for suite, policy, client, way, dataplane in (FIRST, OTHER):
        page.goto(address(site, (suite, policy, client, way, dataplane)))
        outcomes: dict[str, set[str]] = {}
        for one, answer in wanted.items():
            if one[:3] == (suite, policy, client) and one[3].startswith("nodeport:"):
                outcomes.setdefault(one[4], set()).add(answer["outcome"])
        deciding = [name for name, found in outcomes.items() if len(found) > 1]

        note = page.locator("h3:has-text('every node') + p").inner_text()
        assert f"decides on {len(deciding)} of 6 dataplanes: {', '.join(deciding)}." in note


def test_an_answer_is_a_link(page: Page, context: BrowserContext, site: Site) -> None:
    """Choices stand in the address; whoever opens it sees the same, and a bad one does no harm."""
    assert FIRST == chosen(page)
    page.get_by_label("the server (ingress)").check()
    for label, value in zip(
        ("Policy", "Client", "What the client dials", "Dataplane"), OTHER[1:], strict=True
    ):
        page.get_by_label(label, exact=True).select_option(value)
    assert page.url == address(site, OTHER)

    again = context.new_page()
    again.goto(page.url)
    assert OTHER == chosen(again)
    assert page.locator(".ask-headline").inner_text() == again.locator(".ask-headline").inner_text()

    for damaged in ("#ask=egress/mars", "#ask=%E0%A4%A/x", "#the-experiment"):
        again.goto("about:blank")
        again.goto(address(site) + damaged)
        assert "egress" == chosen(again)[0]


def test_the_page_is_used_by_keyboard(page: Page) -> None:
    """Fields by Tab, a table as one stop with arrow keys in it; the focus is never lost."""
    page.locator("#ask-policy").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    assert "client" == page.evaluate("document.activeElement.name")
    assert "ipblock-pods" == chosen(page)[1]

    page.locator("table").first.locator("button[aria-current]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    target = page.evaluate("document.activeElement.dataset.asks")
    page.keyboard.press("Enter")

    assert target == page.evaluate("location.hash")
    assert target == page.evaluate("document.activeElement.dataset.asks")
    assert ("nodeport:hello:dev-worker", "calico-nftables") == chosen(page)[3:]
    assert [1, 1] == page.eval_on_selector_all(
        "table[role=grid]",
        "(all) => all.map((one) => one.querySelectorAll('button[tabindex=\"0\"]').length)",
    )


def test_the_answer_is_announced(page: Page) -> None:
    """The headline is a live region; the sentence for readers without scripts is gone."""
    assert page.get_by_role("status").inner_text() == page.locator(".ask-headline").inner_text()
    assert page.locator(".explorer-without-script").is_hidden()


def test_without_scripts_the_page_points_to_the_tables(browser: Browser, site: Site) -> None:
    """A sentence and two links, in place of an empty page."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address(site))
    told = page.locator(".explorer-without-script")

    assert "need JavaScript" in told.inner_text()
    assert ["egress-atlas.html", "ingress-atlas.html"] == [
        link.get_attribute("href") for link in told.locator("a").all()
    ]
    context.close()


def test_the_page_speaks_the_language_of_the_book(context: BrowserContext, site: Site) -> None:
    """All words exist in both languages; outputs of the lab stay as they are."""
    page = context.new_page()
    page.route(
        "**/chapters/explorer.html",
        lambda route: route.fulfill(
            content_type="text/html",
            body=(site.html / "chapters" / "explorer.html")
            .read_text(encoding="utf-8")
            .replace('<html lang="en"', '<html lang="zh-CN"', 1),
        ),
    )
    page.goto(address(site))

    assert page.locator(".ask-headline").inner_text().startswith("✗ timeout：client-b")  # noqa: RUF001
    assert 1 == page.get_by_label("数据面", exact=True).count()
    shapes = page.evaluate(
        """() => {
            const shape = (value) => typeof value === "object"
                ? Object.fromEntries(Object.keys(value).map((key) => [key, shape(value[key])]))
                : `${typeof value} ${value.length * (typeof value === "function")}`;
            return Object.values(nodeportLabWords).map(shape);
        }"""
    )
    assert shapes[0] == shapes[1]
