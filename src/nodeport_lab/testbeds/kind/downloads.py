"""Files from elsewhere: fetched once, and never used with another content than is pinned.

What has no known checksum, a version of Calico that somebody asks for, is fetched anew each
time; `up` and `status` list it.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import tempfile
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from nodeport_lab.errors import PrerequisiteError
from nodeport_lab.testbeds.kind.pins import Artefact

_TIME_OUT = 60.0  # seconds without an answer
_SCHEMES = ("http", "https")


def cache_directory() -> Path:
    """Where fetched files are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "nodeport-lab"


def fetch(artefact: Artefact) -> Path:
    """The file of an artefact: as given, from the cache, or fetched into it.

    Raises:
        PrerequisiteError: it cannot be fetched or kept, or its checksum is another one.
    """
    scheme = urlsplit(artefact.url).scheme
    if scheme in {"", "file"}:
        return _given(artefact)
    if scheme not in _SCHEMES:
        raise PrerequisiteError(
            f"{artefact.name}: {artefact.url} cannot be fetched, since {scheme} is not known here; "
            "name an http(s) address or a file"
        )
    wanted = artefact.sha256
    if wanted is not None:
        kept = _place(artefact, wanted)
        if kept.is_file() and _sha256(kept.read_bytes()) == wanted:
            return kept
    content = _downloaded(artefact)
    _check(artefact, content)
    kept = _place(artefact, _sha256(content))
    _keep(kept, content)
    return kept


def _place(artefact: Artefact, sha256: str) -> Path:
    return cache_directory() / f"{sha256[:16]}-{artefact.name}"


def _given(artefact: Artefact) -> Path:
    file = Path(artefact.url.removeprefix("file://")).expanduser()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise PrerequisiteError(
            f"{artefact.name}: {file} cannot be read ({error.strerror}); correct its path in the "
            "file of overrides"
        ) from error
    _check(artefact, content)
    return file


def _downloaded(artefact: Artefact) -> bytes:
    try:
        with urllib.request.urlopen(artefact.url, timeout=_TIME_OUT) as answer:  # noqa: S310 - http(s), see fetch
            content: bytes = answer.read()
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise PrerequisiteError(
            f"{artefact.url} cannot be fetched ({reason}); try again, or name a copy of "
            f"{artefact.name} in a file of overrides"
        ) from error
    return content


def _check(artefact: Artefact, content: bytes) -> None:
    found = _sha256(content)
    if artefact.sha256 not in {found, None}:
        raise PrerequisiteError(
            f"{artefact.name} from {artefact.url} has the SHA-256 {found} and not "
            f"{artefact.sha256}, so it is not used; fetch it again, or state the checksum of your "
            "own copy in a file of overrides"
        )


def _keep(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Written beside and moved into place: whoever reads it finds all of it or nothing.
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
            written = Path(part.name)
            try:
                part.write(content)
                part.flush()
                written.replace(file)
            except BaseException:
                written.unlink(missing_ok=True)
                raise
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise PrerequisiteError(
            f"{file} cannot be written ({error.strerror}); "
            + ("free some space" if full else "set XDG_CACHE_HOME to a directory of your own")
        ) from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
