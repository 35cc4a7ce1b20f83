"""A small OpenID provider: discovery, the authorization code flow, ID tokens.

Everybody who asks is signed in already, and one client is known. Settings: `port`,
`issuer` (its URL, in every document and token), `client_id`, `client_secret`.

Source: OpenID Connect Discovery 1.0, section 4; OpenID Connect Core 1.0, section 3.1.
"""

from __future__ import annotations

import secrets
import time
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
    issuer, client_id = settings["issuer"], settings["client_id"]
    place = urlsplit(asked.path)
    if place.path == DISCOVERY:
        return document(
            {
                "issuer": issuer,
                "authorization_endpoint": issuer + AUTHORIZATION,
                "token_endpoint": issuer + TOKEN,
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["HS256"],
            }
        )
    if place.path == AUTHORIZATION:
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        code = secrets.token_urlsafe(8)
        _codes[code] = query["nonce"]
        return redirection(
            f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"
        )
    if place.path == TOKEN:
        form = {name: values[0] for name, values in parse_qs(asked.body).items()}
        nonce = _codes.pop(form.get("code", ""), None)
        if nonce is None or form.get("client_secret") != settings["client_secret"]:
            return text("invalid_grant\n", 400)
        now = int(time.time())
        claims = {"iss": issuer, "sub": "somebody", "aud": client_id, "nonce": nonce}
        signed = tokens.sign({**claims, "iat": now, "exp": now + _VALID}, settings["client_secret"])
        return document({"token_type": "Bearer", "access_token": code, "id_token": signed})
    return text("Hello World!\n")


if __name__ == "__main__":
    serve(answer)
