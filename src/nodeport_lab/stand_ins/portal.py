"""An application behind a sign-in: a client of an OpenID provider.

`/` sends a browser to the provider, `/callback` trades its code for an ID token, checks that
and answers `Hello World!`. Settings: `port`, `issuer`, `client_id`, `client_secret`, and,
for a client that is told and does not discover, `authorization_endpoint` and
`token_endpoint`.

Source: OpenID Connect Core 1.0, section 3.1; OpenID Connect Discovery 1.0, section 4.3: the
`issuer` of the document must be the URL that the client was given.
"""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs, urlencode, urlsplit

from nodeport_lab.stand_ins import tokens
from nodeport_lab.stand_ins.serving import (
    Asked,
    Page,
    Settings,
    call,
    redirection,
    serve,
    text,
)

CALLBACK = "/callback"
_DISCOVERY = "/.well-known/openid-configuration"
_UNREACHABLE, _UNWELL = 504, 502

_nonces: dict[str, str] = {}
"""State of a request for a sign-in -> its nonce."""


class IssuerError(Exception):
    """The document of a provider that is not the one that was asked for."""


def answer(settings: Settings, asked: Asked) -> Page:
    """The page at a path, or a sentence on what failed."""
    try:
        place = urlsplit(asked.path)
        if place.path != CALLBACK:
            return redirection(sign_in(settings, asked))
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        return _signed_in(settings, asked, query)
    except OSError as error:
        return text(f"the portal cannot reach the issuer: {error}\n", _UNREACHABLE)
    except (IssuerError, tokens.TokenError) as error:
        return text(f"the portal does not trust the issuer: {error}\n", _UNWELL)


def sign_in(settings: Settings, asked: Asked) -> str:
    """The URL at which a browser signs in.

    Raises:
        OSError: the provider cannot be asked.
        IssuerError: it calls itself something else.
    """
    state, nonce = secrets.token_urlsafe(8), secrets.token_urlsafe(8)
    endpoint = _endpoint(settings, asked, "authorization_endpoint")
    _nonces[state] = nonce
    request = {
        "response_type": "code",
        "scope": "openid",
        "client_id": settings["client_id"],
        "redirect_uri": f"http://{asked.host}{CALLBACK}",
        "state": state,
        "nonce": nonce,
    }
    return f"{endpoint}?{urlencode(request)}"


def _signed_in(settings: Settings, asked: Asked, query: dict[str, str]) -> Page:
    nonce = _nonces.pop(query.get("state", ""), None)
    if nonce is None:
        raise tokens.TokenError("nobody asked for this sign-in")
    form = {
        "grant_type": "authorization_code",
        "code": query.get("code", ""),
        "redirect_uri": f"http://{asked.host}{CALLBACK}",
        "client_id": settings["client_id"],
        "client_secret": settings["client_secret"],
    }
    found = call(asked.caller, _endpoint(settings, asked, "token_endpoint"), urlencode(form))
    tokens.check(
        found["id_token"],
        settings["client_secret"],
        issuer=settings["issuer"],
        client_id=settings["client_id"],
        nonce=nonce,
    )
    return text("Hello World!\n")


def _endpoint(settings: Settings, asked: Asked, name: str) -> str:
    """An endpoint of the provider, as it was told or as the provider tells."""
    if name in settings:
        return str(settings[name])
    found = call(asked.caller, settings["issuer"] + _DISCOVERY)
    if found["issuer"] != settings["issuer"]:
        raise IssuerError(f"it calls itself {found['issuer']}, not {settings['issuer']}")
    return str(found[name])


if __name__ == "__main__":
    serve(answer)
