"""Records as files: one run each, under a name that sorts by date, never written twice."""

from __future__ import annotations

import json
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from nodeport_lab import observations
from nodeport_lab.errors import LabError
from nodeport_lab.model import Run

_TELLING = ("kubernetes", "calico", "cilium")
"""Versions that decide what is observed, as far as a run has them, in this order."""
_HARMFUL = re.compile(r"[^A-Za-z0-9.]+")
_AMPLE = 1 << 20  # bytes; the largest suite's record has half of it
_LONGEST = 180  # characters of a name, of the 255 bytes that file systems take


@dataclass(frozen=True, slots=True)
class Record:
    """A run and the file that it was kept in."""

    run: Run
    file: Path


def stamped(run: Run, now: datetime | None = None) -> Run:
    """The run with the date and the kernel of the machine that the command ran on.

    What the run says of either is kept. On `kind` this kernel is also that of the nodes.
    """
    made = (now or datetime.now(UTC)).astimezone(UTC)
    return replace(
        run,
        date=run.date or made.strftime("%Y-%m-%dT%H:%M:%SZ"),
        versions={"host-kernel": platform.release(), **run.versions},
    )


def check_folder(folder: Path) -> None:
    """Refuse a folder that records cannot be written to; nothing is left in it.

    Called before anything runs, so that no observation is lost for want of a place.

    Raises:
        LabError: it is no folder, cannot be written, or has no room.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if _is(path))
    if not existing.is_dir():
        raise LabError(f"records go to a folder, and {existing} is a file; name another one")
    try:
        with tempfile.TemporaryFile(dir=existing) as trial:
            trial.write(bytes(_AMPLE))
            trial.flush()
            os.fsync(trial.fileno())
    except OSError as error:
        raise LabError(
            f"{folder} cannot take records, {_why(error)}; make room, mend its rights or name "
            "another folder"
        ) from error


def write(run: Run, folder: Path) -> Path:
    """Keep a run in a file of its own, whole or not at all.

    The text is written and synced beside its place, then linked there: a link never
    replaces a file (link(2), EEXIST), so a name that is taken gets a number.

    Args:
        run: as `stamped` returns it.
        folder: made if it is missing.

    Returns:
        The file.

    Raises:
        LabError: it cannot be written; the folder holds what it held.
    """
    text = json.dumps(observations.to_json([run]), indent=1) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=folder, prefix=".", suffix=".part"
        ) as part:
            part.write(text)
            part.flush()
            os.fsync(part.fileno())
            Path(part.name).chmod(0o644)
            return _placed(Path(part.name), folder, file_name(run))
    except OSError as error:
        raise LabError(
            f"the record cannot be written to {folder}, {_why(error)}; make room or mend its "
            "rights, and run again"
        ) from error


def file_name(run: Run) -> str:
    """Date, testbed, dataplane, versions and suite, without `.json`.

    Only letters, digits, dots, hyphens and underscores: no system takes them amiss.
    """
    date = (run.date or "undated").replace("-", "").replace(":", "")
    told = [name for name in _TELLING if name in run.versions] or ["nodeport-lab"]
    versions = "-".join(
        f"{name}-{run.versions[name].removeprefix('v')}" for name in told if name in run.versions
    )
    parts = (date, run.testbed, run.dataplane, versions or "unknown", run.suite)
    return "_".join(_HARMFUL.sub("-", part).strip("-.") for part in parts)[:_LONGEST]


def read(path: Path) -> tuple[Record, ...]:
    """The records of a file, or of every JSON file below a folder, sorted by name.

    Raises:
        LabError: there is none, or a file is no record; the message names it.
    """
    if not path.exists():
        raise LabError(f"there is no file or folder {path}; make a record with run --record")
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    records = tuple(record for file in files for record in _records(file))
    if not records:
        raise LabError(f"{path} holds no record; make one with run --record {path}")
    return records


def _records(file: Path) -> Iterator[Record]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise LabError(f"{file} cannot be read, {_why(error)}; mend its rights") from error
    except ValueError as error:
        raise LabError(f"{file} is no JSON: {error}; remove it or record again") from error
    try:
        runs = observations.from_json(document)
    except LabError as error:
        raise LabError(f"{file}: {error}") from error
    yield from (Record(run, file) for run in runs)


def _placed(part: Path, folder: Path, name: str) -> Path:
    for number in count(1):
        target = folder / (f"{name}.json" if number == 1 else f"{name}-{number}.json")
        try:
            os.link(part, target)
        except FileExistsError:
            continue
        return target
    raise AssertionError  # count() does not end


def _is(path: Path) -> bool:
    """Whether there is something at a path; below a file, or behind a locked door, nothing is."""
    try:
        return path.exists()
    except OSError:
        return False


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
