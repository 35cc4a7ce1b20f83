"""The scripts behind `make setup`, against stand-ins for Python, apt and sudo."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from nodeport_lab.locations import repository_root

SCRIPTS = repository_root() / "scripts"


@dataclass(frozen=True, slots=True)
class Machine:
    """A PATH that holds nothing but what a test puts there."""

    bin: Path

    def command(self, name: str, body: str = "exit 0") -> None:
        """Put a shell script in the PATH."""
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the project's scripts on this machine."""
        return subprocess.run(
            [SCRIPTS / script, *arguments],
            cwd=self.bin.parent,
            env={"PATH": str(self.bin)},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        """The apt-get commands that were called, in order."""
        log = self.bin.parent / "calls"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An ordinary user's Debian without sudo; apt records calls and installs commands."""
    made = Machine(tmp_path / "bin")
    made.bin.mkdir()
    for tool in ("sh", "grep", "chmod"):
        found = shutil.which(tool)
        assert found
        (made.bin / tool).symlink_to(found)
    made.command("id", "echo 1000")
    made.command(
        "apt-cache", 'case $2 in chromium) c="(none)";; *) c=1.0;; esac; echo "Candidate: $c"'
    )
    made.command(
        "apt-get",
        f"""echo "$@" >> {tmp_path}/calls
case "$*" in install*nftables*) echo '#!/bin/sh' > {made.bin}/nft; chmod +x {made.bin}/nft;; esac
case "$*" in install*curl*) echo '#!/bin/sh' > {made.bin}/curl; chmod +x {made.bin}/curl;; esac""",
    )
    return made


INSTALL = "install -qq -y --no-install-recommends"


def test_nothing_missing_is_quiet(machine: Machine) -> None:
    """With every command there, apt is not called and nothing is printed."""
    machine.command("nft")
    machine.command("curl")
    result = machine.run("system-packages", "nft", "--", "curl")
    assert (0, "", "", []) == (result.returncode, result.stdout, result.stderr, machine.calls())


def test_root_installs_all_that_is_missing_in_one_call(machine: Machine) -> None:
    """As root the packages come in a single install that asks nothing."""
    machine.command("id", "echo 0")
    result = machine.run("system-packages", "nft", "curl", "--")
    assert result.returncode == 0
    assert ["update -qq", f"{INSTALL} nftables curl"] == machine.calls()


def test_sudo_without_a_password_is_used(machine: Machine) -> None:
    """An ordinary user with `sudo -n` gets the packages as well."""
    machine.command("sudo", 'shift; "$@"')
    result = machine.run("system-packages", "nft", "--")
    assert result.returncode == 0
    assert ["update -qq", f"{INSTALL} nftables"] == machine.calls()


def test_a_package_that_the_release_lacks_does_not_keep_the_others_out(machine: Machine) -> None:
    """An unknown package is left out of the call and reported."""
    machine.command("id", "echo 0")
    result = machine.run("system-packages", "nft", "--", "chromium")
    assert result.returncode == 0
    assert ["update -qq", f"{INSTALL} nftables"] == machine.calls()
    assert "Not on this machine: chromium." in result.stderr


def test_a_needed_command_that_stays_missing_fails_with_the_one_command(machine: Machine) -> None:
    """Without any right to install, the command to type is printed and the target stops."""
    result = machine.run("system-packages", "nft", "curl", "--")
    assert result.returncode == 1
    assert (
        "Not on this machine: nft curl. Install with: sudo apt-get install nftables curl\n"
        == result.stderr
    )
    assert [] == machine.calls()


def test_a_wanted_command_that_stays_missing_is_only_reported(machine: Machine) -> None:
    """What a target can go on without does not stop it."""
    result = machine.run("system-packages", "--", "curl")
    assert result.returncode == 0
    assert "Install with: sudo apt-get install curl" in result.stderr


def python_stand_in(version: str, *, new_enough: bool, ensurepip: bool) -> str:
    """The body of a `python` that answers the three questions of scripts/environment."""
    return f"""case "$2" in
*print*) echo {version};;
*version_info*) exit {0 if new_enough else 1};;
*ensurepip*) exit {0 if ensurepip else 1};;
*) echo unexpected; exit 9;;
esac"""


def test_a_python_that_is_missing_is_named(machine: Machine) -> None:
    """Without the interpreter there is one sentence with the command that brings it."""
    result = machine.run("environment", "python3")
    assert result.returncode == 1
    assert (
        "There is no python3 here; install it with: sudo apt-get install python3 python3-venv\n"
        == result.stderr
    )


def test_a_python_that_is_too_old_is_refused(machine: Machine) -> None:
    """An old interpreter is refused before anything is made, with its version and the remedy."""
    machine.command("python3", python_stand_in("3.9", new_enough=False, ensurepip=True))
    result = machine.run("environment", "python3")
    assert result.returncode == 1
    assert result.stderr.startswith("python3 is Python 3.9 and the lab needs 3.11 or newer")
    assert result.stderr.count("\n") == 1
    assert not (machine.bin.parent / ".venv").exists()


def test_a_python_without_ensurepip_names_its_package(machine: Machine) -> None:
    """Debian keeps ensurepip in a package of its own; the message names it."""
    machine.command("python3", python_stand_in("3.12", new_enough=True, ensurepip=False))
    result = machine.run("environment", "python3")
    assert result.returncode == 1
    assert (
        "python3 cannot make virtual environments; "
        "mend it with: sudo apt-get install python3.12-venv\n" == result.stderr
    )


def test_hunspell_comes_with_its_dictionary(machine: Machine) -> None:
    """The program alone knows no British word."""
    result = machine.run("system-packages", "hunspell", "--")
    assert result.returncode == 1
    assert "sudo apt-get install hunspell hunspell-en-gb\n" in result.stderr
