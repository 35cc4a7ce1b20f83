"""Labs leave nothing behind and touch nothing of their machine."""

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.dataplanes.names import pod_namespace
from nodeport_lab.errors import PrerequisiteError, TestbedError
from nodeport_lab.experiment import Question, find_policy, run_all
from nodeport_lab.model import Scenario
from nodeport_lab.testbeds.embedded import EmbeddedTestbed, preflight
from nodeport_lab.testbeds.embedded.lab import Lab
from nodeport_lab.testbeds.embedded.netfilter import find_nft
from nodeport_lab.testbeds.embedded.plan import Plan

CALICO = DATAPLANES["calico-iptables"]
EMPTY_PLAN = Plan("192.0.2.1", 24, "tunnel", None, nodes=(), outside=()).to_json()

# A process that owns a running lab, tells its pid, and waits to be killed.
OWNER = """
import sys, time
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.experiment import default_scenario
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
with EmbeddedTestbed(default_scenario(), DATAPLANES["cilium"], {}) as running:
    print(running.lab.pid, flush=True)
    if sys.argv[1:] == ["raise"]:
        raise ValueError("as an exception in a notebook would")
    time.sleep(60)
"""


def descendants(pid: int) -> set[int]:
    """A process and everything below it."""
    found = {pid}
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        for child in Path(f"/proc/{pid}/task").glob("*/children"):
            for number in child.read_text().split():
                found |= descendants(int(number))
    return found


def gone(pids: set[int], within: float = 5.0) -> bool:
    """Whether all of these processes end in time."""
    until = time.monotonic() + within
    while any(_runs(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def namespaces_of(pids: set[int]) -> set[str]:
    """Every namespace that these processes are in."""
    return {
        str(path.readlink())
        for pid in pids
        for path in Path(f"/proc/{pid}/ns").iterdir()
        if path.name in {"net", "mnt", "pid", "user"}
    }


def started() -> set[tuple[int, str]]:
    """Every process of this machine, with the time at which it started."""
    found = set()
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                status = (path / "stat").read_text().rpartition(")")[2].split()
                found.add((int(path.name), status[19]))
    return found


def start_owner(*arguments: str) -> tuple[subprocess.Popen[str], set[int]]:
    """Start a process that owns a lab; wait for the lab."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert owner.stdout is not None
    return owner, descendants(int(owner.stdout.readline()))


@pytest.mark.parametrize("victim", ["owner", "outermost", "host"])
def test_sigkill_of_any_process_leaves_no_process(victim: str) -> None:
    """Whoever is killed, every process of the lab is gone, and with them its namespaces."""
    owner, lab = start_owner()
    assert len(lab) > 1
    own = namespaces_of({os.getpid()})
    made = namespaces_of(lab) - own
    assert made

    before = started()
    os.kill({"owner": owner.pid, "outermost": min(lab), "host": max(lab)}[victim], signal.SIGKILL)

    assert gone(lab)
    owner.kill()
    owner.communicate()
    still = set()
    # The kernel gives the number of a namespace that is gone to a new one of somebody else.
    for pid, _ in before & started():
        try:
            still |= namespaces_of({pid})
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    assert not made & still


def test_an_exception_leaves_nothing() -> None:
    """A lab whose owner fails is gone when the owner is."""
    owner, lab = start_owner("raise")
    owner.communicate(timeout=10)

    assert owner.returncode == 1
    assert gone(lab)


@pytest.mark.parametrize("delay", [0.05, 0.3, 0.6, 1.0, 1.5])
def test_ctrl_c_at_any_moment_leaves_nothing(delay: float) -> None:
    """An interrupt of the whole foreground group ends a run and all of its processes."""
    command = Path(sys.executable).parent / "nodeport-lab"
    running = subprocess.Popen(
        [command, "run", "-d", "calico-iptables"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    time.sleep(delay)
    started = descendants(running.pid)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=15)

    # Python itself exits with 1 when it is interrupted before it has read its site module.
    python_begun = "Fatal Python error: init_import_site" not in said
    assert running.returncode not in ({0, 1} if python_begun else {0})
    begun = "main()" in said  # before that, Python itself is still importing
    assert "Traceback" not in said or not begun
    assert gone(started)


def machine_state() -> dict[str, str]:
    """What of the machine's own network a lab could have touched."""
    nft = find_nft()
    rules = subprocess.run(
        [nft or "nft", "list", "ruleset"], capture_output=True, text=True, check=False
    )
    settings = {
        str(path): path.read_text()
        for root in ("ipv4/conf", "ipv4/neigh")
        for path in Path("/proc/sys/net", root).glob("*/*")
        if path.name in {"rp_filter", "forwarding", "proxy_arp", "send_redirects", "proxy_delay"}
        and os.access(path, os.R_OK)
    }
    return settings | {
        "rules": rules.stdout + rules.stderr,
        "devices": Path("/proc/net/dev").read_text().count("\n").__str__(),
        "routes": Path("/proc/net/route").read_text(),
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "forward": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "named": str(sorted(Path("/run/netns").glob("*"))),
    }


def test_the_machines_own_network_is_not_touched(scenario: Scenario) -> None:
    """Devices, routes, rules, mounts and sysctls are the same before, during and after a lab."""
    before = machine_state()
    with EmbeddedTestbed(scenario, DATAPLANES["cilium"], {}) as running:
        running.execute(pod_namespace(scenario.pods[0]), ["true"])
        during = machine_state()
    after = machine_state()

    assert during == before
    assert after == before


def test_two_labs_at_once_do_not_disturb_each_other(scenario: Scenario) -> None:
    """Two runs side by side, one denying everything, come out as they do alone."""
    questions = [
        Question("calico-iptables", {}, ["deny-egress"]),
        Question("calico-iptables", {}, ["no-policy"]),
    ]

    denied, free = run_all(questions, deadline=0.2, scenario=scenario)

    assert {row.outcome for row in denied.observations} == {"timeout"}
    assert {row.outcome for row in free.observations} == {"allowed"}


def test_a_dead_lab_is_reported_in_one_sentence(scenario: Scenario) -> None:
    """Asking a lab whose process was killed names what was asked and what to do."""
    with EmbeddedTestbed(scenario, CALICO, {}) as running:
        os.kill(running.lab.pid, signal.SIGKILL)

        with pytest.raises(
            TestbedError, match=r"^the lab's process ended while .* start it again$"
        ):
            running.apply([find_policy(scenario, "both")])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ("nft", "apt-get install nftables"),
        ("libnftables", "apt-get install nftables"),
        ("unshare", "apt-get install util-linux"),
    ],
)
def test_a_missing_program_is_named_with_its_remedy(
    missing: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is created, a missing program is named with the command that mends it."""
    preflight.isolation.cache_clear()
    monkeypatch.setattr(
        preflight, "find_nft", lambda: None if missing == "nft" else "/usr/sbin/nft"
    )
    monkeypatch.setattr(preflight, "has_library", lambda: missing != "libnftables")
    monkeypatch.setattr(
        shutil, "which", lambda name: None if name == missing else f"/usr/bin/{name}"
    )

    with pytest.raises(PrerequisiteError, match=remedy):
        preflight.isolation()
    preflight.isolation.cache_clear()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
        ("kernel/unprivileged_userns_clone", "0"),
        ("user/max_user_namespaces", "0"),
    ],
)
def test_the_setting_in_the_way_is_named(
    key: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where user namespaces are refused, the sysctl that refuses them is named."""
    preflight.isolation.cache_clear()
    monkeypatch.setattr(preflight, "_try", lambda _command: "unshare failed")
    monkeypatch.setattr(preflight, "_sysctl", {key: value}.get)

    with pytest.raises(PrerequisiteError, match=f"{key.replace('/', '.')}={value}"):
        preflight.isolation()
    preflight.isolation.cache_clear()


@pytest.mark.parametrize(
    ("complaint", "cause"),
    [
        ("unshare: unshare failed: Operation not permitted", "seccomp"),
        ("unshare: mount /proc failed: Operation not permitted", "systempaths"),
        ("/proc/sys is read-only", "systempaths"),
    ],
)
def test_a_locked_down_container_is_named(
    complaint: str, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a container engine refuses, the option that lifts it is named."""
    preflight.isolation.cache_clear()
    monkeypatch.setattr(preflight, "_try", lambda _command: complaint)
    monkeypatch.setattr(preflight, "_sysctl", lambda _key: None)

    with pytest.raises(PrerequisiteError, match=cause):
        preflight.isolation()
    preflight.isolation.cache_clear()


def test_another_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Linux, one sentence says so and where results can be read."""
    preflight.isolation.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")

    with pytest.raises(PrerequisiteError, match="needs Linux"):
        preflight.isolation()
    preflight.isolation.cache_clear()


def test_labs_at_once_share_a_process_and_end_alone() -> None:
    """They are copies of one process; one that ends leaves the other, the last one nothing."""
    with Lab() as first:
        second = Lab()
        for lab in (first, second):
            lab.request("wire", plan=EMPTY_PLAN)
        shared = descendants(first.pid)
        assert first.pid == second.pid

        second.close()
        time.sleep(0.5)

        assert sum(map(_runs, shared)) == len(shared) - 1
        assert first.request("has_device", kind="veth") == {"has": True}
    assert gone(shared)


def test_a_lab_closed_meanwhile_is_an_error_and_keeps_nobody_waiting() -> None:
    """A thread that waits for an answer is told, at once, that there will be none."""
    lab = Lab()
    lab.request("wire", plan=EMPTY_PLAN)
    sleep = {"namespace": "switch", "arguments": ["sleep", "60"], "hosts": {}}
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(lab.request, "execute", **sleep)
        time.sleep(0.2)
        started = descendants(lab.pid)
        lab.close()
        with pytest.raises(TestbedError, match="ended while it was asked to execute"):
            asked.result(timeout=5)
    assert gone(started)
