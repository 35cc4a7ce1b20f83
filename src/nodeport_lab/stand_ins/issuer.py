"""A small OpenID provider: discovery, the authorization code flow, ID tokens.

Everybody who asks is signed in already, and one client is known. Settings: `port`,
`issuer` (its URL, in every document and token), `client_id`, `client_secret`.

Source: OpenID Connect Discovery 1.0, section 4; OpenID Connect Core 1.0, section 3.1.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode, urlsplit

from nodeport_lab.stand_ins import tokens
from nodeport_lab.stand_ins.serving import (
    Asked,
    Page,
    Settings,
    document,
    redirection,
    serve,
    text,
)

DISCOVERY = "/.well-known/openid-configuration"
AUTHORIZATION = "/authorize"
TOKEN = "/token"  # noqa: S105 - a path
_VALID = 60  # seconds

_codes: dict[str, str] = {}
"""Authorization code -> the nonce of its request."""


def answer(settings: Settings, asked: Asked) -> Page:
    """The page at a path."""
    place = urlsplit(asked.path)
    if place.path == DISCOVERY:
        return document(_described(settings["issuer"]))
    if place.path == AUTHORIZATION:
        return redirection(_sent_back(_fields(place.query)))
    if place.path == TOKEN:
        return _traded(settings, _fields(asked.body))
    return text("Hello World!\n")


def _fields(form: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(form).items()}


def _described(issuer: str) -> dict[str, object]:
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTHORIZATION,
        "token_endpoint": issuer + TOKEN,
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["HS256"],
    }


def _sent_back(query: Mapping[str, str]) -> str:
    """Where the browser goes with a new code."""
    code = secrets.token_urlsafe(8)
    _codes[code] = query["nonce"]
    return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"


def _traded(settings: Settings, form: Mapping[str, str]) -> Page:
    """The tokens for a code, once."""
    nonce = _codes.pop(form.get("code", ""), None)
    if nonce is None or form.get("client_secret") != settings["client_secret"]:
        return text("invalid_grant\n", 400)
    now = int(time.time())
    claims = {
        "iss": settings["issuer"],
        "sub": "somebody",
        "aud": settings["client_id"],
        "nonce": nonce,
        "iat": now,
        "exp": now + _VALID,
    }
    return document(
        {
            "token_type": "Bearer",
            "access_token": secrets.token_urlsafe(8),
            "id_token": tokens.sign(claims, settings["client_secret"]),
        }
    )


if __name__ == "__main__":
    serve(answer)
