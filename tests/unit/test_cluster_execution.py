"""Commands in pods, over real websockets: exit codes, deadlines, and what breaks."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from kubernetes import client
from support.kubernetes_api import KubernetesApi, Ran

from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.execution import Execution

TIMEOUT = 1.0  # seconds for a request


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """The client imports this when it is first used, which takes longer than deadlines here."""
    client.CoreV1Api()


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
@pytest.mark.parametrize("code", [0, 1, 28, 127])
def test_output_and_exit_code_come_back(
    api: KubernetesApi, connection: Connection, protocol: str, code: int
) -> None:
    """In both versions of the protocol, standard output and error apart."""
    api.protocols = (protocol,)
    api.run = lambda _pod, command: Ran(" ".join(command), "said", code)

    ended = connection.execute("lab", "a", ["curl", "--max-time", "1"], deadline=3)
    assert Execution("curl --max-time 1", "said", code) == ended


def test_much_output_comes_back_whole(api: KubernetesApi, connection: Connection) -> None:
    """Over many frames."""
    api.run = lambda _pod, _command: Ran("0123456789" * 100_000)

    assert 1_000_000 == len(connection.execute("lab", "a", ["x"], deadline=5).stdout)


def test_a_deadline_is_one(api: KubernetesApi, connection: Connection) -> None:
    """What was written until then is kept, and it is no success."""
    api.run = lambda _pod, _command: Ran("so far", seconds=5)
    start = time.monotonic()
    ended = connection.execute("lab", "a", ["x"], deadline=0.4)

    assert 0.4 <= time.monotonic() - start < 1.0
    assert ("so far", None) == (ended.stdout, ended.exit_code)
    assert "had not ended" in str(ended.failure)


def test_the_deadline_covers_connecting(api: KubernetesApi, connection: Connection) -> None:
    """The library has no time-out for it."""
    api.faults["GET", "/exec"] = 1.2
    start = time.monotonic()
    ended = connection.execute("lab", "a", ["x"], deadline=0.4)

    assert time.monotonic() - start < 1.0
    assert "the cluster did not start it within 0.4 s" == ended.failure
    api.faults.clear()
    assert 0 == connection.execute("lab", "a", ["x"], deadline=2).exit_code
    for thread in threading.enumerate():  # the one left behind
        if thread.daemon and thread is not threading.current_thread():
            thread.join(3)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_what_does_not_start_is_told(
    api: KubernetesApi, connection: Connection, status: int
) -> None:
    """With the cluster's status and words."""
    api.faults["GET", "/exec"] = status
    ended = connection.execute("lab", "a", ["x"], deadline=2)

    assert Execution(
        "", "", None, f"the cluster did not start it: {status} (injected {status})"
    ) == ended  # fmt: skip


def test_a_pod_that_is_not_there(api: KubernetesApi, connection: Connection) -> None:
    """The same."""
    api.run = lambda _pod, _command: None

    ended = connection.execute("lab", "gone", ["x"], deadline=2)
    assert 'the cluster did not start it: 404 (pods "gone" not found)' == ended.failure


def test_a_connection_that_ends_too_early_is_no_success(
    api: KubernetesApi, connection: Connection
) -> None:
    """Without the status of the command nothing is known of its end."""
    api.run = lambda _pod, _command: Ran("part", code=None)

    ended = connection.execute("lab", "a", ["x"], deadline=2)
    assert Execution("part", "", None, "the connection ended before the command did") == ended


def test_a_dropped_handshake_is_told(api: KubernetesApi, connection: Connection) -> None:
    """It is the cluster's failure, not the command's."""
    api.faults["GET", "/exec"] = "drop"

    ended = connection.execute("lab", "a", ["x"], deadline=2)
    assert ended.exit_code is None
    assert "did not start it" in str(ended.failure)


def test_many_at_once_do_not_mix(api: KubernetesApi, connection: Connection) -> None:
    """Also beside ordinary requests: the library patches a shared client, ours are apart."""
    api.run = lambda pod, _command: Ran(pod * 1000, seconds=0.05)
    names = [f"pod-{number}" for number in range(48)]

    def execute(name: str) -> bool:
        connection.list("v1", "Pod", "lab")
        ended = connection.execute("lab", name, ["x"], deadline=10)
        return (ended.stdout, ended.exit_code) == (name * 1000, 0)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(execute, names))


def test_a_character_between_two_frames_stays_whole(
    api: KubernetesApi, connection: Connection
) -> None:
    """Frames are cut by bytes."""
    text = "x" + "é" * 50_000
    api.run = lambda _pod, _command: Ran(text)

    assert text == connection.execute("lab", "a", ["x"], deadline=5).stdout


@pytest.mark.parametrize(
    ("ran", "ended"),
    [
        (Ran("all", code=7, ends="dropped"), Execution("all", "", 7)),
        (Ran("all", code=0, ends="kept"), Execution("all", "", 0)),
        (
            Ran("part", ends="stalled"),
            Execution("part", "", None, "it had not ended after 0.4 s"),
        ),
    ],
)
def test_the_status_is_the_end_however_the_connection_does(
    api: KubernetesApi, connection: Connection, ran: Ran, ended: Execution
) -> None:
    """And without it there is none: the deadline holds also in the middle of a frame."""
    api.run = lambda _pod, _command: ran
    start = time.monotonic()

    assert ended == connection.execute("lab", "a", ["x"], deadline=0.4)
    assert time.monotonic() - start < 1.0
    assert_no_thread_remains()


def test_a_server_that_goes_away_in_the_middle_is_told(
    api: KubernetesApi, connection: Connection
) -> None:
    """With what the command had written until then."""
    end = threading.Timer(0.2, api.go_away)

    def run(_pod: str, _command: Sequence[str]) -> Ran:
        end.start()
        return Ran("so far", seconds=5)

    api.run = run
    start = time.monotonic()
    ended = connection.execute("lab", "a", ["x"], deadline=10)

    assert time.monotonic() - start < 5
    assert ("so far", None) == (ended.stdout, ended.exit_code)
    assert "connection" in str(ended.failure)
    end.join()


def test_ctrl_c_does_not_wait_for_the_command(api: KubernetesApi, connection: Connection) -> None:
    """Nor leave its connection open."""
    api.run = lambda _pod, _command: Ran(seconds=20)
    main = threading.main_thread().ident
    assert main is not None
    impatience = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    impatience.start()
    start = time.monotonic()

    with pytest.raises(KeyboardInterrupt):
        connection.execute("lab", "a", ["x"], deadline=20)
    assert time.monotonic() - start < 2
    impatience.join()
    assert_no_thread_remains()


def assert_no_thread_remains() -> None:
    """Threads of commands end soon after them; nothing else here is a daemon."""
    for thread in threading.enumerate():
        if thread.name.endswith("(make)"):
            thread.join(2)
            assert not thread.is_alive()
