"""YAML text in, plain values out, each knowing the file, document and path it came from.

The text is read event by event, because the usual constructors lose what a good error
needs (repeated keys, positions) and trust the text more than a file from a stranger
deserves. Nothing is ever executed: only plain scalars, lists and mappings exist here, and
nesting and size are bounded before anything is built. Scalars mean what they mean to
kubectl: no dates, no base-60 numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from nodeport_lab.errors import ManifestError

MAX_DEPTH = 64
"""How deep lists and mappings may nest."""

MAX_VALUES = 200_000
"""How many values one file may hold, those that its aliases repeat included."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML has it
_CORE_TAG = "tag:yaml.org,2002:"
_LONGEST_NAME = 320  # in a path: no shorter than the longest key of a label
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_NUMBER_START = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?(?:0x[0-9a-fA-F]+|0b[01]+|[1-9][0-9]*|0)")
_OCTAL = re.compile(r"[-+]?0o?[0-7]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LONGEST_INTEGER = 64  # longer ones are not counted out: no field of Kubernetes holds them


@dataclass(frozen=True, slots=True)
class Field:
    """A value of a manifest together with where it stands.

    Attributes:
        source: the file, or another name of where the text came from.
        document: number of the document in its source, from 1; 0 where the source is this
            very object.
        path: path of the field in the document ("spec.egress[0]"), empty for all of it.
        value: the plain value; None where the field is absent or null.
    """

    source: str
    document: int
    path: str
    value: Any

    def get(self, *names: str) -> Field:
        """The field of that name, several names deep; absent and null are the same."""
        field = self
        for name in names:
            mapping = field.value
            value = mapping.get(name) if isinstance(mapping, dict) else None
            field = Field(field.source, field.document, _member(field.path, name), value)
        return field

    def items(self) -> Iterator[Field]:
        """The entries of a list, none where there is no list."""
        for index, value in enumerate(self.value or ()):
            yield Field(self.source, self.document, f"{self.path}[{index}]", value)

    def members(self) -> Iterator[tuple[str, Field]]:
        """The entries of a mapping, none where there is no mapping."""
        for name, value in (self.value or {}).items():
            yield name, Field(self.source, self.document, _member(self.path, name), value)

    def must(self, rule: Callable[[Any], str | None]) -> Any:  # noqa: ANN401 - what it holds
        """The value, if this rule of `syntax` has nothing to say against it."""
        problem = rule(self.value)
        if problem:
            raise self.error(problem)
        return self.value

    @property
    def place(self) -> str:
        """File, document and path, in the words of an error."""
        document = f"{self.source}, document {self.document}" if self.document else self.source
        return f"{document}, {self.path}" if self.path else document

    def error(self, message: str) -> ManifestError:
        """An error that says where this field is and what is the matter with it."""
        return ManifestError(f"{self.place}: {message}")


def read_documents(text: str | bytes, source: str) -> tuple[Field, ...]:
    """Read every document of a YAML (or JSON) text; empty documents are left out.

    Args:
        text: the text; bytes must be UTF-8.
        source: name of the text for errors, usually its path.

    Raises:
        ManifestError: the text is no plain YAML, repeats a key, or exceeds a bound.
    """
    return tuple(_Builder(_decode(text, source), source).documents())


def _decode(text: str | bytes, source: str) -> str:
    try:
        if isinstance(text, bytes):
            return text.decode("utf-8-sig")
        text.encode("utf-8")
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        message = f"{source}: this is not UTF-8 text ({error.reason}); save it as UTF-8"
        raise ManifestError(message) from error
    return text


def _member(path: str, name: str) -> str:
    if len(name) > _LONGEST_NAME:
        name = name[:_LONGEST_NAME] + "..."
    if not _PLAIN_KEY.fullmatch(name):
        return f"{path}[{json.dumps(name)}]"
    return f"{path}.{name}" if path else name


class _Builder:
    """Builds values from YAML events, counting as it goes."""

    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._events = yaml.parse(text, Loader=_LOADER)
        self._document = 0
        self._values = 0
        # Name -> value, number of values and levels in it: what repeating it costs.
        self._anchors: dict[str, tuple[Any, int, int]] = {}

    def documents(self) -> Iterator[Field]:
        while not isinstance(event := self._next(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                self._document += 1
                self._anchors.clear()
                value, _ = self._build(self._next(), "", 0)
                if value is not None:
                    yield Field(self._source, self._document, "", value)

    def _next(self) -> yaml.Event:
        try:
            return next(self._events)
        except yaml.YAMLError as error:
            # The C and the Python reader both say what is wrong, under different names.
            problem = getattr(error, "problem", None) or getattr(error, "reason", "unreadable")
            mark = getattr(error, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark is not None else ""
            message = f"{self._source}{line}: this is not YAML ({problem}); mend the syntax"
            raise ManifestError(message) from error

    def _error(self, event: yaml.Event, path: str, message: str) -> ManifestError:
        mark = event.start_mark
        line = "" if mark is None else f" (line {mark.line + 1})"
        return Field(self._source, self._document, path, None).error(f"{message}{line}")

    def _build(self, event: yaml.Event, path: str, depth: int) -> tuple[Any, int]:
        """The value that starts with this event, and how many levels it has."""
        if isinstance(event, yaml.AliasEvent):
            return self._repeat(event, path, depth)
        before = self._values
        self._count(event, path, 1, depth)
        height = 0
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._refuse_tag(event, path, "seq")
            value = []
            while not isinstance(entry := self._next(), yaml.SequenceEndEvent):
                item, levels = self._build(entry, f"{path}[{len(value)}]", depth + 1)
                value.append(item)
                height = max(height, levels + 1)
        else:
            self._refuse_tag(event, path, "map")
            value, height = self._mapping(path, depth)
        anchor: str | None = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = (value, self._values - before, height)
        return value, height

    def _mapping(self, path: str, depth: int) -> tuple[dict[str, Any], int]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        height = 0
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            name, is_merge = self._key(event, path)
            field = _member(path, name)
            if name in own or (is_merge and merged):
                # Two files, one after the other, are the usual reason at the top.
                apart = "" if path else ", or put --- between two documents"
                message = f"the same key stands here twice; keep one of them{apart}"
                raise self._error(event, field, message)
            value, levels = self._build(self._next(), field, depth + 1)
            height = max(height, levels + 1)
            if is_merge:
                merged = self._merge(event, field, value)
            else:
                own[name] = value
        return {**merged, **own} if merged else own, height

    def _key(self, event: yaml.Event, path: str) -> tuple[str, bool]:
        """The text of a key, and whether it is the merge key `<<`."""
        if not isinstance(event, yaml.ScalarEvent):
            raise self._error(event, path, "a key is a word, not a list, mapping or alias")
        key = self._scalar(event, path)
        if key is None or isinstance(key, float):
            raise self._error(event, path, f"the key {event.value!r} is not text; put it in quotes")
        if not isinstance(key, str):
            return json.dumps(key), False  # as Kubernetes reads it: `1: x` is `"1": x`
        return key, key == "<<" and event.implicit[0]

    def _merge(self, event: yaml.Event, path: str, value: object) -> dict[str, Any]:
        sources = value if isinstance(value, list) else [value]
        merged: dict[str, Any] = {}
        for source in sources:
            if not isinstance(source, dict):
                raise self._error(event, path, "only mappings can be merged with '<<'")
            for name, part in source.items():
                merged.setdefault(name, part)
        return merged

    def _repeat(self, event: yaml.AliasEvent, path: str, depth: int) -> tuple[Any, int]:
        anchored = self._anchors.get(event.anchor or "")
        if anchored is None:
            message = f"the alias *{event.anchor} has no anchor before it; write the value out"
            raise self._error(event, path, message)
        value, size, height = anchored
        self._count(event, path, size, depth + height)
        return value, height

    def _count(self, event: yaml.Event, path: str, values: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self._error(event, "", f"nested deeper than {MAX_DEPTH} levels; flatten it")
        self._values += values
        if self._values > MAX_VALUES:
            message = f"more than {MAX_VALUES} values, aliases written out; split the file"
            raise self._error(event, path, message)

    def _refuse_tag(self, event: yaml.Event, path: str, *known: str) -> None:
        tag: str | None = getattr(event, "tag", None)
        if tag not in (None, "!", *(_CORE_TAG + name for name in known)):
            raise self._error(event, path, f"the tag {tag!r} is not plain YAML; remove it")

    def _scalar(self, event: yaml.ScalarEvent, path: str) -> str | int | float | bool | None:
        if event.implicit[0]:
            return _plain(event.value)
        self._refuse_tag(event, path, "str", "int", "bool", "float", "null")
        if event.tag in (None, "!", _CORE_TAG + "str"):
            return event.value
        return _plain(event.value)


def _plain(text: str) -> str | int | float | bool | None:
    """What an unquoted word means."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START or len(text) > _LONGEST_INTEGER:
        return text
    number = text.replace("_", "")
    if _OCTAL.fullmatch(number):
        return int(number, base=8)
    if _INTEGER.fullmatch(number):
        return int(number, base=0)
    return float(number) if _FLOAT.fullmatch(number) else text
