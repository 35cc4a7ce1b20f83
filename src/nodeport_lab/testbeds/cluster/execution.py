"""One command in a pod: what it wrote, how it ended, or why it did not.

The deadline covers connecting as well. `kubernetes.stream` has no time-out for that, and a
name that the websocket cannot resolve may keep it for minutes; so it works in a thread of
its own. When the deadline passes, the socket is shut down under it; only a thread that is
still connecting is left behind.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
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
    from kubernetes.stream import stream  # noqa: PLC0415 - slow, and only clusters need it

    attempt = _Attempt(stream, deadline)
    worker = threading.Thread(
        target=attempt.make, args=(api, namespace, pod, command, container), daemon=True
    )
    worker.start()
    try:
        worker.join(deadline)
    except BaseException:  # Ctrl-C: the command's answer is not waited for
        attempt.give_up()
        raise
    return attempt.told()


class _Attempt:
    """The exec itself; what it has gathered can be read at any time."""

    def __init__(self, stream: Callable[..., Any], deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline
        self._end = time.monotonic() + deadline
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
        more = {"container": container} if container else {}
        try:
            websocket = self._stream(
                api.connect_get_namespaced_pod_exec,
                pod,
                namespace,
                command=list(command),
                stdin=False,
                stdout=True,
                stderr=True,
                tty=False,
                _preload_content=False,
                binary=True,  # a character may be split between two frames
                **more,
            )
        except Exception as error:  # noqa: BLE001 - whatever the websocket library raises
            self._result = Execution("", "", None, _refusal(error))
            return
        with self._lock:
            self._websocket = websocket
            late = self._given_up
        failure = f"it had not ended after {self._deadline:g} s"
        if not late:
            try:
                websocket.run_forever(timeout=max(0.01, self._end - time.monotonic()))
                if not websocket.is_open():
                    failure = "the connection ended before the command did"
            except Exception as error:  # noqa: BLE001 - the same
                failure = f"the connection broke ({str(error) or type(error).__name__})"
        self._result = _ended(websocket, failure)
        # Not close(): it waits 3 s for the server's closing frame, and the socket stays.
        websocket.sock.shutdown()

    def give_up(self) -> Any:  # noqa: ANN401 - untyped library
        """Make the thread end, where it has connected; returns its websocket."""
        with self._lock:
            self._given_up = True
            websocket = self._websocket
        if websocket is not None:
            # Wakes the thread, which may be in the middle of a frame; closing would not.
            with contextlib.suppress(OSError, AttributeError):
                websocket.sock.sock.shutdown(socket.SHUT_RDWR)
        return websocket

    def told(self) -> Execution:
        result = self._result
        if result is not None:
            return result
        websocket = self.give_up()
        if websocket is None:
            late = f"the cluster did not start it within {self._deadline:g} s"
            return Execution("", "", None, late)
        return _ended(websocket, f"it had not ended after {self._deadline:g} s")


def _ended(websocket: Any, failure: str) -> Execution:  # noqa: ANN401 - untyped library
    """What has arrived; `failure` says why there may be no status among it.

    Where there is one, the command has ended, however the connection did: it is sent after
    all output. Source: ServeExec of the kubelet's package remotecommand.
    """
    # Not read_stdout: it would wait for more.
    channels = dict(websocket._channels)  # noqa: SLF001
    stdout, stderr, status = (
        channels.get(channel, b"").decode("utf-8", "replace") for channel in (1, 2, _ERROR)
    )
    if not status:
        return Execution(stdout, stderr, None, failure)
    code, unclear = _exit(status)
    return Execution(stdout, stderr, code, unclear)


def _exit(status: str) -> tuple[int | None, str | None]:
    """Exit code and failure from the error channel of the protocol `v4.channel.k8s.io`.

    Source: k8s.io/apimachinery `metav1.Status` with the cause `ExitCode`, as
    k8s.io/client-go/tools/remotecommand reads it.
    """
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
