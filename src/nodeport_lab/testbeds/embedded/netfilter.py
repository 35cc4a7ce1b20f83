"""nftables inside namespaces: its library for rulesets and listings, nft itself to monitor.

The library is the one that nft is made of, and comes with it. Called in this process it
answers in a tenth of the time that starting nft takes.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from nodeport_lab.testbeds.embedded import namespaces
from nodeport_lab.testbeds.embedded.processes import find_program

LIBRARY = "libnftables.so.1"
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = (-1, 1 << 25), (-3, 1 << 25), (-8, 1)
_JSON = 1 << 4  # NFT_CTX_OUTPUT_JSON of nftables/libnftables.h


def find_nft() -> str | None:
    """The path of nft."""
    return find_program("nft")


def has_library() -> bool:
    """Whether the library that nft is made of can be loaded."""
    with suppress(OSError):
        return bool(_library())
    return False


def keep_memory() -> None:
    """Have this process keep freed memory, where its C library can (mallopt(3)).

    The library frees megabytes after each ruleset; to give them to the kernel and to take
    them back costs more time than all the rest of loading.
    """
    with suppress(AttributeError):
        set_option = ctypes.CDLL(None).mallopt
        for option, value in (_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX):
            set_option(option, value)


def load(opened: Mapping[str, int], rulesets: Mapping[str, Sequence[str]]) -> None:
    """Load rulesets, each namespace's texts in order; what is refused ends it.

    One after the other: the library is not made for threads, which would share its counters.

    Raises:
        OSError: one was refused; the message holds nftables' own.
    """
    for name, texts in rulesets.items():
        for text in texts:
            try:
                _run(opened[name], text)
            except OSError as error:
                raise OSError(f"nft in {name}: {error}") from error


def set_elements(namespace: int, table: str) -> dict[str, list[list[Any]]]:
    """The elements of every dynamic set of a table: set name -> concatenated keys.

    Raises:
        OSError: there is no such table.
    """
    listing = json.loads(_run(namespace, f"list table ip {table}", _JSON))
    return {
        item["set"]["name"]: [element["concat"] for element in item["set"].get("elem", [])]
        for item in listing["nftables"]
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


def _run(namespace: int, commands: str, output: int = 0) -> str:
    """Run nft commands in a namespace and return what they print.

    A context's netlink socket stays in the namespace in which the context was made.
    """
    library = _library()
    with namespaces.inside(namespace):
        context = library.nft_ctx_new(0)
        if not context:
            raise OSError("nftables does not start")
    try:
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        library.nft_ctx_output_set_flags(context, output)
        if library.nft_run_cmd_from_buffer(context, commands.encode()):
            raise OSError(_first_line(library.nft_ctx_get_error_buffer(context)))
        printed: bytes = library.nft_ctx_get_output_buffer(context)
        return printed.decode()
    finally:
        library.nft_ctx_free(context)


@cache
def _library() -> ctypes.CDLL:
    """libnftables(3), as far as it is used here."""
    library = ctypes.CDLL(LIBRARY)
    context = ctypes.c_void_p
    for name, given, returned in (
        ("nft_ctx_new", (ctypes.c_uint32,), context),
        ("nft_ctx_free", (context,), None),
        ("nft_ctx_buffer_output", (context,), ctypes.c_int),
        ("nft_ctx_buffer_error", (context,), ctypes.c_int),
        ("nft_ctx_output_set_flags", (context, ctypes.c_uint), None),
        ("nft_run_cmd_from_buffer", (context, ctypes.c_char_p), ctypes.c_int),
        ("nft_ctx_get_output_buffer", (context,), ctypes.c_char_p),
        ("nft_ctx_get_error_buffer", (context,), ctypes.c_char_p),
    ):
        function = getattr(library, name)
        function.argtypes, function.restype = given, returned
    return library


def _first_line(complaint: bytes) -> str:
    return complaint.decode(errors="replace").strip().partition("\n")[0]
