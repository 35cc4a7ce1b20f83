"""The stand-ins of a sign-in: what they check, and what they say when it does not hold."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from nodeport_lab.stand_ins import issuer, portal, tokens
from nodeport_lab.stand_ins.serving import Asked, Page, Settings
from nodeport_lab.stand_ins.tokens import TokenError

URL = "http://issuer.example"
COMMON = {"client_id": "portal", "client_secret": "secret", "issuer": URL}
CLAIMS = {"iss": URL, "aud": "portal", "nonce": "n", "exp": time.time() + 3600}


def asked(path: str, body: str = "") -> Asked:
    """A request to the portal or to the issuer."""
    return Asked(path, body, "portal.example:30081", "192.0.2.1:1024")


def provider(settings: Settings) -> Callable[[str, str, str | None], Any]:
    """A way to call that hands the request to the issuer itself, without a network."""

    def call(_caller: str, url: str, body: str | None = None) -> dict[str, Any]:
        place = urlsplit(url)
        page = issuer.answer(settings, asked(place.path, body or ""))
        if page.status != 200:
            raise OSError(f"HTTP status {page.status}")
        return dict(json.loads(page.body))

    return call


def location(page: Page) -> str:
    """Where a page redirects to."""
    assert page.status == 302, page
    return dict(page.fields)["Location"]


def path_of(url: str) -> str:
    """The part of a URL that a server is asked for."""
    place = urlsplit(url)
    return f"{place.path}?{place.query}"


@pytest.mark.parametrize(
    ("claims", "secret", "complaint"),
    [
        (CLAIMS, "another", "not signed with the shared secret"),
        (CLAIMS | {"iss": "http://other.example"}, "secret", "issued by http://other.example"),
        (CLAIMS | {"aud": "somebody"}, "secret", "for somebody, not for portal"),
        (CLAIMS | {"exp": time.time() - 1}, "secret", "has expired"),
        (CLAIMS | {"nonce": "m"}, "secret", "answers another request"),
    ],
)
def test_a_token_that_a_client_must_reject_is(
    claims: dict[str, Any], secret: str, complaint: str
) -> None:
    """Each rule of OpenID Connect Core 1.0, section 3.1.3.7, on its own."""
    with pytest.raises(TokenError, match=complaint):
        tokens.check(
            tokens.sign(claims, secret), "secret", issuer=URL, client_id="portal", nonce="n"
        )


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "é.é.é"])
def test_what_is_no_token_is_rejected(token: str) -> None:
    """Whatever comes back, it is a sentence and not a traceback."""
    with pytest.raises(TokenError):
        tokens.check(token, "secret", issuer=URL, client_id="portal", nonce="n")


def test_a_good_token_is_believed() -> None:
    """Also with several audiences."""
    good = tokens.sign(CLAIMS | {"aud": ["other", "portal"]}, "secret")
    assert URL == tokens.check(good, "secret", issuer=URL, client_id="portal", nonce="n")["iss"]


@pytest.mark.parametrize(
    "told",
    [{}, {"authorization_endpoint": f"{URL}/authorize", "token_endpoint": "http://inside/token"}],
    ids=["discovered", "told"],
)
def test_a_sign_in_ends_at_the_portal(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str]
) -> None:
    """The portal sends to the issuer, that back with a code, which buys a token."""
    monkeypatch.setattr(portal, "call", provider(COMMON))
    settings = {**COMMON, **told}
    there = location(portal.answer(settings, asked("/")))
    assert there.startswith(f"{URL}/authorize?")
    back = location(issuer.answer(COMMON, asked(path_of(there))))
    assert back.startswith("http://portal.example:30081/callback?")
    page = portal.answer(settings, asked(path_of(back)))
    assert (200, "Hello World!\n") == (page.status, page.body)
    again = portal.answer(settings, asked(path_of(back)))
    assert (502, "the portal does not trust the issuer: nobody asked for this sign-in\n") == (
        again.status,
        again.body,
    )


def test_an_issuer_that_calls_itself_something_else_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OpenID Connect Discovery 1.0, section 4.3; this is why an internal URL alone fails."""
    monkeypatch.setattr(portal, "call", provider(COMMON))
    page = portal.answer({**COMMON, "issuer": "http://inside"}, asked("/"))
    assert page.status == 502
    assert page.body.endswith(f"it calls itself {URL}, not http://inside\n")


def test_a_token_of_another_issuer_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoints that are told do not weaken the check of `iss`."""
    monkeypatch.setattr(portal, "call", provider({**COMMON, "issuer": "http://other.example"}))
    told = {"authorization_endpoint": f"{URL}/authorize", "token_endpoint": f"{URL}/token"}
    settings = {**COMMON, **told}
    there = location(portal.answer(settings, asked("/")))
    back = location(issuer.answer(COMMON, asked(path_of(there))))
    page = portal.answer(settings, asked(path_of(back)))
    assert page.status == 502
    assert f"issued by http://other.example, not by {URL}" in page.body


def test_an_issuer_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser has an answer that names what failed."""

    def silence(*_: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr(portal, "call", silence)
    page = portal.answer(COMMON, asked("/"))
    assert (504, "the portal cannot reach the issuer: timed out\n") == (page.status, page.body)


def test_a_code_is_good_once_and_for_the_right_client() -> None:
    """A wrong secret buys nothing."""
    there = "/authorize?nonce=n&state=s&redirect_uri=http://portal.example/callback"
    code = parse_qs(urlsplit(location(issuer.answer(COMMON, asked(there)))).query)["code"][0]
    wrong = issuer.answer(COMMON, asked("/token", f"code={code}&client_secret=guess"))
    assert wrong.status == 400
