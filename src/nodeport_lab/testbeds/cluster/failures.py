"""What a cluster's API can answer instead of an answer, as one sentence each."""

from __future__ import annotations

import json

from nodeport_lab.errors import TestbedError

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, GONE = 401, 403, 404, 409, 410
UNPROCESSABLE, TOO_MANY = 422, 429
_SERVER = 500

_REMEDIES = {
    400: "the cluster takes this for a malformed request; check its version",
    UNAUTHORIZED: "log in again, or name another context",
    FORBIDDEN: "ask for the right, or print what is needed with: "
    "nodeport-lab run -t live --print-rbac",
    NOT_FOUND: "check its name and namespace",
    CONFLICT: "something else holds or changes it; look who, then try again",
    GONE: "the cluster has dropped that version of it; try again",
    UNPROCESSABLE: "the cluster's own checks refuse it; see its words",
    TOO_MANY: "the API server is busy; try again later",
}
_SERVER_REMEDY = "the fault is on the cluster's side; look at its API server, then try again"


class ClusterError(TestbedError):
    """The cluster's API refused, failed, or could not be reached.

    Attributes:
        status: the HTTP status, or None where there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        """Say what was asked and what came of it, in one sentence."""
        super().__init__(message)
        self.status = status


def passing(error: ClusterError) -> bool:
    """Whether the same may succeed a moment later, or has succeeded without an answer."""
    return error.status is None or error.status == TOO_MANY or error.status >= _SERVER


def refused(asked: str, status: int, reason: str | None, body: str | bytes | None) -> ClusterError:
    """An answer that is no success.

    Args:
        asked: what was asked for ("get Pod nodeport-lab/client-a").
        status: the HTTP status.
        reason: its name, where the server gave one.
        body: the answer, a Status object as a rule.
    """
    said = _words(body) or reason or "no reason given"
    remedy = _SERVER_REMEDY if status >= _SERVER else _REMEDIES.get(status, "see its words")
    return ClusterError(f"{asked}: the cluster answered {status} ({said}); {remedy}", status)


def unreachable(asked: str, server: str, cause: BaseException) -> ClusterError:
    """No answer at all."""
    told = " ".join(str(cause).split())[-300:] or type(cause).__name__
    if "SSL" in told:  # urllib3 and the client wrap it in exceptions of their own
        return ClusterError(
            f"{asked}: no trusted connection to {server} ({told}); check its address and "
            "certificate authority in the kubeconfig"
        )
    return ClusterError(
        f"{asked}: {server} gave no answer ({told}); is the cluster running, and reachable "
        "from this machine?"
    )


def status_message(body: str | bytes | None) -> str | None:
    """The message of a Status object; None where the text holds none."""
    return _words(body)


def _words(body: str | bytes | None) -> str | None:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body or ""
    try:
        status = json.loads(text)
    except ValueError:
        return " ".join(text.split())[:300] or None
    message = status.get("message") if isinstance(status, dict) else None
    return " ".join(str(message).split())[:500] if message else None
