"""Can this machine run the embedded testbed, and if not, what stands in the way?

It tries instead of guessing: the same `unshare` that starts a lab, asked to do nothing.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from nodeport_lab.errors import PrerequisiteError
from nodeport_lab.testbeds.embedded.netfilter import LIBRARY, find_nft, has_library

OLDEST_KERNEL = (5, 4)  # pidfd_open is 5.3; every supported Debian and Ubuntu is newer
_RELEASE_PARTS = 2


@cache
def isolation() -> tuple[str, ...]:
    """The command that puts what follows it into namespaces of its own.

    Raises:
        PrerequisiteError: the kernel or the machine's settings refuse; says which.
    """
    if sys.platform != "linux":
        raise PrerequisiteError(
            f"the embedded testbed needs Linux and this is {platform.system()}; "
            "use a Linux machine or a virtual machine, or read the stored results in the book"
        )
    release = platform.release()
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:_RELEASE_PARTS])
    if version < OLDEST_KERNEL:
        raise PrerequisiteError(
            f"Linux {release} is too old for the embedded testbed; "
            f"use {OLDEST_KERNEL[0]}.{OLDEST_KERNEL[1]} or newer"
        )
    if shutil.which("unshare") is None:
        raise PrerequisiteError(
            "the program unshare is missing; install it with: apt-get install util-linux"
        )
    if find_nft() is None:
        raise PrerequisiteError(
            "the program nft is missing; install it with: apt-get install nftables"
        )
    if not has_library():
        raise PrerequisiteError(
            f"the library {LIBRARY}, which nft is made of, is missing; "
            "install it with: apt-get install nftables"
        )
    rootless = ("unshare", "--user", "--map-root-user", *_NAMESPACES)
    complaint = _try(rootless)
    if complaint is None:
        return rootless
    if os.geteuid() == 0:
        as_root = ("unshare", *_NAMESPACES)
        if _try(as_root) is None:
            return as_root
    raise PrerequisiteError(_obstacle(complaint))


_NAMESPACES = (
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)


def _try(command: tuple[str, ...]) -> str | None:
    """None if the command works here, else what it complained about."""
    check = "test -w /proc/sys/net/ipv4/ip_forward && " + f"{find_nft()} list tables"
    ended = subprocess.run(  # noqa: S603 - fixed programs
        [*command, "sh", "-c", check],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode == 0:
        return None
    return ended.stderr.strip() or "/proc/sys is read-only"


def _obstacle(complaint: str) -> str:
    """Name the setting that forbids user namespaces here, with its remedy."""
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor keeps ordinary users from making user namespaces with rights in them "
            "(kernel.apparmor_restrict_unprivileged_userns=1); run with sudo, or allow it with: "
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        return (
            "this kernel keeps ordinary users from making user namespaces "
            "(kernel.unprivileged_userns_clone=0); run with sudo, or allow it with: "
            "sudo sysctl -w kernel.unprivileged_userns_clone=1"
        )
    if _sysctl("user/max_user_namespaces") == "0":
        return (
            "user namespaces are switched off (user.max_user_namespaces=0); "
            "switch them on with: sudo sysctl -w user.max_user_namespaces=10000"
        )
    if "read-only" in complaint.lower() or "mount" in complaint.lower():
        return (
            f"this container hides or write-protects /proc ({complaint}); start it with "
            "--security-opt systempaths=unconfined, or run on the host"
        )
    return (
        f"this machine refuses new namespaces ({complaint}), as a container's seccomp profile "
        "does; start the container with --security-opt seccomp=unconfined "
        "--security-opt systempaths=unconfined, or run on the host"
    )


def _sysctl(key: str) -> str | None:
    try:
        return (Path("/proc/sys") / key).read_text().strip()
    except OSError:
        return None
