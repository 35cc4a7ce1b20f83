"""What is told of programs and downloads that fail."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nodeport_lab.errors import PrerequisiteError, TestbedError
from nodeport_lab.testbeds.kind import downloads, engine, programs
from nodeport_lab.testbeds.kind.pins import Artefact
from nodeport_lab.testbeds.kind.programs import Ended

# In the form of kind 0.33: its own error, and below it what the engine said.
NO_IMAGE = """\
 ✗ Ensuring node image (kindest/node:v1.36.4)
ERROR: failed to create cluster: failed to pull image "kindest/node": command "docker pull \
kindest/node@sha256:099e" failed with error: exit status 1

Command Output: Using default tag
Error response from daemon: Get "https://images.example/": no such host
"""


TOLD = (
    'failed to create cluster: failed to pull image "kindest/node": `docker pull` failed '
    '(Error response from daemon: Get "https://images.example/": no such host)'
)


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        (NO_IMAGE, TOLD),
        ("some progress\nERROR: no nodes found\n", "no nodes found"),
        ("only this\n", "only this"),
        ("", "exit code 1"),
    ],
)
def test_a_complaint_names_its_cause(errors: str, told: str) -> None:
    """Also where kind prints it below its own error."""
    assert told == Ended(1, "", errors).complaint


@pytest.mark.parametrize(
    "complaint",
    [
        "unknown flag: --platform",
        '"--platform" requires API version 1.48, but the Docker daemon API version is 1.41',
    ],
)
def test_an_older_docker_saves_without_a_platform(
    monkeypatch: pytest.MonkeyPatch, complaint: str
) -> None:
    """In the words of Docker 20.10; what else fails is told."""
    calls: list[list[str]] = []

    def run(command: list[str], **_: object) -> None:
        calls.append(command)
        if "--platform" in command:
            raise TestbedError(f"`docker image save` failed: {complaint}")

    monkeypatch.setattr(programs, "run", run)
    engine.Engine("docker").save("curl:1", "linux/amd64", Path("a.tar"))
    assert ["docker", "image", "save", "--output", "a.tar", "curl:1"] == calls[-1]

    complaint = "no such image"
    with pytest.raises(TestbedError, match="no such image"):
        engine.Engine("docker").save("curl:1", "linux/amd64", Path("a.tar"))


def runs(process: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return told.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("deaf", ["", "trap '' TERM; "], ids=["obeys", "deaf"])
def test_what_a_program_has_started_stops_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaf: str
) -> None:
    """As kind's calls of the engine have to; one that ignores the request too."""
    monkeypatch.setattr(programs, "_GRACE", 0.2)
    noted = tmp_path / "child"
    script = f"{deaf}sleep 30 & echo $! > {noted}; wait; sleep 30"
    with pytest.raises(TestbedError, match="did not end within"):
        programs.run(["sh", "-c", script], within=0.5)
    child = int(noted.read_text(encoding="utf-8"))
    end = time.monotonic() + 5
    while runs(child) and time.monotonic() < end:
        time.sleep(0.01)
    assert not runs(child)


@pytest.mark.parametrize(
    "url", ["http://exa mple/x", "http://127.0.0.1:port/x", "ftp://127.0.0.1/x", "oci://a/b"]
)
def test_what_is_no_address_is_refused_in_a_sentence(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As typed in a file of overrides."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(PrerequisiteError, match="cannot be fetched"):
        downloads.fetch(Artefact("chart.tgz", url, "0" * 64, "a test"))
