"""ID tokens: signed and checked as OpenID Connect Core 1.0 says, with a shared secret.

Source: OpenID Connect Core 1.0, sections 2 and 3.1.3.7; RFC 7515 (JWS), RFC 7518 (HS256).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

_HEADER = {"alg": "HS256", "typ": "JWT"}


class TokenError(Exception):
    """A token that a client must reject; the message says why."""


def sign(claims: Mapping[str, Any], secret: str) -> str:
    """The token that says this."""
    said = ".".join(_encoded(json.dumps(part).encode()) for part in (_HEADER, claims))
    return f"{said}.{_encoded(_signature(said, secret))}"


def check(token: str, secret: str, *, issuer: str, client_id: str, nonce: str) -> dict[str, Any]:
    """The claims of a token, if a client that trusts this issuer may believe them.

    Raises:
        TokenError: the signature, `iss`, `aud`, `exp` or `nonce` is not as it must be.
    """
    said, _, signature = token.rpartition(".")
    try:
        genuine = hmac.compare_digest(_decoded(signature), _signature(said, secret))
        header, claims = (json.loads(_decoded(part)) for part in said.split("."))
    except ValueError as error:
        raise TokenError("the ID token is not one") from error
    if not genuine or header.get("alg") != _HEADER["alg"]:
        raise TokenError("the ID token is not signed with the shared secret")
    if claims.get("iss") != issuer:
        raise TokenError(f"the ID token is issued by {claims.get('iss')}, not by {issuer}")
    if client_id not in (claims.get("aud"), *_several(claims.get("aud"))):
        raise TokenError(f"the ID token is for {claims.get('aud')}, not for {client_id}")
    if claims.get("exp", 0) <= time.time():
        raise TokenError("the ID token has expired")
    if claims.get("nonce") != nonce:
        raise TokenError("the ID token answers another request")
    return dict(claims)


def _several(audience: object) -> list[object]:
    return audience if isinstance(audience, list) else []


def _signature(said: str, secret: str) -> bytes:
    return hmac.new(secret.encode(), said.encode(), hashlib.sha256).digest()


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
