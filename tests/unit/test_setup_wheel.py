"""What a built wheel carries, and where the lab finds its files."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nodeport_lab import locations

ROOT = locations.repository_root()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of the wheel, as pip would lay it out."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def in_wheel(installed: Path, expression: str) -> str:
    """The value of an expression over `locations`, with the wheel's copy of the package."""
    code = f"from nodeport_lab import locations; print({expression})"
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(installed)},
        cwd=installed,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def files(folder: Path) -> dict[str, bytes]:
    """Relative path -> content of every file below a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_checkout_uses_its_own_files() -> None:
    """An edit of a manifest takes effect without installing again."""
    assert ROOT / "manifests" == locations.manifests_directory()
    assert ROOT / "notebooks" / "claims.yml" == locations.claims_file()
    assert Path(__file__).is_relative_to(ROOT)


def test_a_wheel_carries_every_manifest(installed: Path) -> None:
    """The lab runs the same manifests from an installed wheel."""
    carried = Path(in_wheel(installed, "locations.manifests_directory()"))
    assert carried.is_relative_to(installed)
    assert files(ROOT / "manifests") == files(carried)


def test_a_wheel_carries_the_claims(installed: Path) -> None:
    """An installed lab compares with the same documented outcomes."""
    carried = Path(in_wheel(installed, "locations.claims_file()"))
    assert carried.is_relative_to(installed)
    assert locations.claims_file().read_bytes() == carried.read_bytes()


def test_a_wheel_is_no_checkout(installed: Path) -> None:
    """What needs notebooks and chapters says that it needs the repository."""
    code = (
        "from nodeport_lab import errors, locations\n"
        "try:\n    locations.repository_root()\n"
        "except errors.LabError as error:\n    print(error)"
    )
    message = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(installed)},
        cwd=installed,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "clone the repository and run `make setup` there" in message
