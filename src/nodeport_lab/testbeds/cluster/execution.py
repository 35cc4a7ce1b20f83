"""One command in a pod: what it wrote, how it ended, or why it did not.

The deadline covers connecting as well. `kubernetes.stream` has no time-out for that, and a
name that the websocket cannot resolve may keep it for minutes; so it works in a thread of
its own, which is left behind when the deadline passes.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from nodeport_lab.testbeds.cluster.failures import status_message

_ERROR = 3  # the channel of the exit status
_HANDSHAKE = re.compile(r"Handshake status (?P<status>\d+) (?P<reason>.*)")
_SEPARATOR = " -+-+- "


@dataclass(frozen=True, slots=True)
class Execution:
    """How a command in a pod ended.

    Attributes:
        stdout: what it wrote, also where it did not end.
        stderr: the same.
        exit_code: None where it did not end, or did not begin.
        failure: a sentence where `exit_code` is None.
    """

    stdout: str
    stderr: str
    exit_code: int | None
    failure: str | None = None


def execute(  # noqa: PLR0913 - a place and a command
    api: Any,  # noqa: ANN401 - kubernetes.client.CoreV1Api, which publishes no types
    namespace: str,
    pod: str,
    command: Sequence[str],
    *,
    container: str | None,
    deadline: float,
) -> Execution:
    """Run a command in a pod.

    Args:
        api: a CoreV1Api whose ApiClient no other thread uses meanwhile
            (kubernetes-client/python README, "stream": the client is patched during a call).
        namespace: of the pod.
        pod: its name.
        command: program and arguments; no shell is involved.
        container: its name; None for the pod's first.
        deadline: seconds for all of it.
    """
    attempt = _Attempt(time.monotonic() + deadline)
    worker = threading.Thread(
        target=attempt.make, args=(api, namespace, pod, command, container), daemon=True
    )
    worker.start()
    worker.join(deadline)
    return attempt.told(deadline)


class _Attempt:
    """The exec itself; what it has gathered can be read at any time."""

    def __init__(self, end: float) -> None:
        self._end = end
        self._websocket: Any = None
        self._result: Execution | None = None
        self._lock = threading.Lock()
        self._given_up = False

    def make(
        self,
        api: Any,  # noqa: ANN401 - see execute
        namespace: str,
        pod: str,
        command: Sequence[str],
        container: str | None,
    ) -> None:
        from kubernetes.stream import stream  # noqa: PLC0415 - slow, and only clusters need it

        more = {"container": container} if container else {}
        try:
            websocket = stream(
                api.connect_get_namespaced_pod_exec,
                pod,
                namespace,
                command=list(command),
                stdin=False,
                stdout=True,
                stderr=True,
                tty=False,
                _preload_content=False,
                **more,
            )
        except Exception as error:  # noqa: BLE001 - whatever the websocket library raises
            self._result = Execution("", "", None, _refusal(error))
            return
        with self._lock:
            self._websocket = websocket
            if self._given_up:
                _close(websocket)
                return
        broken: str | None = None
        try:
            websocket.run_forever(timeout=max(0.01, self._end - time.monotonic()))
        except Exception as error:  # noqa: BLE001 - the same
            broken = str(error) or type(error).__name__
        self._result = self._ended(websocket, broken)

    def told(self, deadline: float) -> Execution:
        with self._lock:
            if self._result is not None:
                return self._result
            self._given_up = True
        late = f"it had not ended after {deadline:g} s"
        if self._websocket is None:
            return Execution("", "", None, f"the cluster did not start it within {deadline:g} s")
        stdout, stderr = _output(self._websocket)
        _close(self._websocket)
        return Execution(stdout, stderr, None, late)

    def _ended(self, websocket: Any, broken: str | None) -> Execution:  # noqa: ANN401 - untyped library
        still_open = websocket.is_open()
        stdout, stderr = _output(websocket)
        status = websocket._channels.get(_ERROR, "")  # noqa: SLF001 - see _output
        _close(websocket)
        if broken is not None:
            return Execution(stdout, stderr, None, f"the connection broke ({broken})")
        if still_open:
            return Execution(stdout, stderr, None, "it had not ended in time")
        code, failure = _exit(status)
        return Execution(stdout, stderr, code, failure)


def _close(websocket: Any) -> None:  # noqa: ANN401 - untyped library
    websocket.close()
    websocket.sock.shutdown()  # after the server's own closing frame, close() keeps the socket


def _output(websocket: Any) -> tuple[str, str]:  # noqa: ANN401 - untyped library
    """What has arrived, without waiting for more."""
    channels = dict(websocket._channels)  # noqa: SLF001 - read_stdout would wait on an open one
    return channels.get(1, ""), channels.get(2, "")


def _exit(status: str) -> tuple[int | None, str | None]:
    """Exit code and failure from the error channel of the protocol `v4.channel.k8s.io`.

    Source: k8s.io/apimachinery `metav1.Status` with the cause `ExitCode`, as
    k8s.io/client-go/tools/remotecommand reads it.
    """
    if not status:
        return None, "the connection ended before the command did"
    try:
        found = yaml.safe_load(status)
        if found["status"] == "Success":
            return 0, None
        causes = found.get("details", {}).get("causes", ())
        codes = [cause["message"] for cause in causes if cause.get("reason") == "ExitCode"]
        if codes:
            return int(codes[0]), None
        return None, str(found.get("message") or "the cluster gave no reason")
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError):
        return None, f"its end could not be read ({status[:200]!r})"


def _refusal(error: Exception) -> str:
    """Why the cluster did not start the command, from what websocket-client says of it."""
    told = str(getattr(error, "reason", None) or error)
    handshake, *rest = told.split(_SEPARATOR)
    status = _HANDSHAKE.search(handshake)
    if status is None:
        cause = " ".join(told.split())[:300] or type(error).__name__
        return f"the cluster did not start it ({cause})"
    words = status_message(rest[-1]) if rest else None
    return (
        f"the cluster did not start it: {status['status']} "
        f"({words or status['reason'].strip() or 'no reason given'})"
    )
