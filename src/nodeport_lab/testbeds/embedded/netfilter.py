"""nft, run inside namespaces."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from nodeport_lab.testbeds.embedded import namespaces
from nodeport_lab.testbeds.embedded.processes import find_program

AT_ONCE = 40  # processes of nft; more take memory and save no time


def find_nft() -> str | None:
    """The path of nft."""
    return find_program("nft")


def load(opened: Mapping[str, int], rulesets: Mapping[str, Sequence[str]]) -> None:
    """Load rulesets, many namespaces at the same time, each one's texts in order.

    Raises:
        OSError: nft refused one; the message holds nft's own.
    """
    names = list(rulesets)
    for first in range(0, len(names), AT_ONCE):
        some = names[first : first + AT_ONCE]
        for stage in zip_longest(*(rulesets[name] for name in some)):
            started = [
                (name, text, start(opened[name], "-f", "-"))
                for name, text in zip(some, stage, strict=True)
                if text is not None
            ]
            failures = []
            for name, text, process in started:
                _, complaint = process.communicate(text.encode())
                if process.returncode:
                    failures.append(f"nft in {name}: {_first_line(complaint)}")
            if failures:
                raise OSError("; ".join(failures))


def set_elements(namespace: int, table: str) -> dict[str, list[list[Any]]]:
    """The elements of every dynamic set of a table: set name -> concatenated keys."""
    process = start(namespace, "-j", "list", "table", "ip", table)
    listing, complaint = process.communicate()
    if process.returncode:
        raise OSError(f"nft list table {table}: {_first_line(complaint)}")
    return {
        item["set"]["name"]: [element["concat"] for element in item["set"].get("elem", [])]
        for item in json.loads(listing)["nftables"]
        if "set" in item
    }


def start(namespace: int, *arguments: str) -> subprocess.Popen[bytes]:
    """Start nft inside a namespace, with pipes for its input and output.

    Raises:
        OSError: there is no nft.
    """
    nft = find_nft()
    if nft is None:
        raise OSError("nft is not installed")
    with namespaces.inside(namespace):
        return subprocess.Popen(  # noqa: S603 - a fixed program, its input is made by this package
            [nft, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def _first_line(complaint: bytes) -> str:
    return complaint.decode(errors="replace").strip().partition("\n")[0]
