"""YAML as kubectl understands it, read within bounds and with positions."""

from pathlib import Path

import pytest

from nodeport_lab.errors import ManifestError
from nodeport_lab.manifests.documents import MAX_DEPTH, MAX_VALUES, read_documents


def value(text: str) -> object:
    """The value of the only document of a text."""
    (document,) = read_documents(text, "x.yaml")
    return document.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080", 8080),
        ("-1", -1),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0b11", 3),
        ("0644", 420),
        ("0o644", 420),
        ("1.5", 1.5),
        ("12e5", 1200000.0),
        ("08", 8.0),
        ("yes", True),
        ("off", False),
        ("'yes'", "yes"),
        ('"8080"', "8080"),
        ("!!str 8080", "8080"),
        ("!!int 8080", 8080),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("1.2.3", "1.2.3"),
        ("22:22", "22:22"),
        ("2026-01-31", "2026-01-31"),
        ("=", "="),
        ("-", [None]),
        (".", "."),
        ("y", "y"),
        ("9" * 5000, "9" * 5000),
        ("|\n  a\n  b", "a\nb"),
        ("{1: a, true: b}", {"1": "a", "true": "b"}),
        ("[a, {b: ~}]", ["a", {"b": None}]),
        ('{"a": [1, "b", null, true]}', {"a": [1, "b", None, True]}),
    ],
)
def test_scalars_mean_what_they_mean_to_kubernetes(text: str, expected: object) -> None:
    """Words, numbers and keys are read as the Kubernetes tools read them."""
    assert expected == value(text)


def test_aliases_and_merge_keys_are_written_out() -> None:
    """A merge key adds what is not there yet, and earlier sources win over later ones."""
    text = """
    one: &one {a: 1, b: 1}
    two: &two {b: 2, c: 2}
    both: {<<: [*one, *two], c: 3}
    again: *one
    """
    read = value(text)
    assert isinstance(read, dict)
    assert {"a": 1, "b": 1, "c": 3} == read["both"]
    assert {"a": 1, "b": 1} == read["again"]


def test_documents_keep_their_number_when_empty_ones_are_left_out() -> None:
    """An empty document is counted, so that errors name the one a reader would count to."""
    documents = read_documents("---\na: 1\n---\n---\n# nothing\n---\na: 2\n", "x.yaml")
    assert [1, 4] == [document.document for document in documents]


def test_a_field_knows_its_path() -> None:
    """Paths are written as Kubernetes writes them, odd keys in quotes."""
    (document,) = read_documents("a: [{app.kubernetes.io/name: x}]", "dir/x.yaml")
    (item,) = document.get("a").items()
    ((_, label),) = item.members()
    assert 'dir/x.yaml, document 1, a[0]["app.kubernetes.io/name"]' == label.place


def test_a_very_long_key_is_cut_in_the_path() -> None:
    """An error stays readable, whatever a key looks like."""
    (document,) = read_documents(f"{{{'k' * 900}: 1}}", "x.yaml")
    ((_, member),) = document.members()
    assert f'["{"k" * 320}..."]' == member.path


def test_absent_and_null_fields_are_the_same() -> None:
    """A field that is null, absent, or inside something absent has no value."""
    (document,) = read_documents("a: null\nb: 1", "x.yaml")
    assert [None, None, None] == [
        document.get(*names).value for names in (("a",), ("c", "d"), ("b", "c"))
    ]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_bytes_are_utf_8_with_or_without_a_mark(mark: bytes) -> None:
    """Bytes are decoded as UTF-8; a byte order mark is no part of the text."""
    (document,) = read_documents(mark + "a: ö".encode(), "x.yaml")
    assert {"a": "ö"} == document.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a: 1\na: 2",
            "a: the same key stands here twice; keep one of them, or put --- between two documents",
        ),
        (
            "s:\n- b: 1\n  b: 2",
            "x.yaml, document 1, s[0].b: the same key stands here twice; keep one of them (line 3)",
        ),
        ("a: 1\n'a': 2", "document 1, a: the same key stands here twice"),
        ("1: x\n'1': y", "document 1, 1: the same key stands here twice"),
        ("---\n---\nb: {a: 1, a: 2}", "x.yaml, document 2, b.a: the same key stands here twice"),
        ("a: [1", "this is not YAML"),
        ("a: b: c", "x.yaml, line 1: this is not YAML"),
        ("a:\n\tb: 1", "x.yaml, line 2: this is not YAML"),
        ("a: \0", "x.yaml: this is not YAML"),
        ("a: \ud800", "x.yaml: this is not UTF-8 text"),
        (b"a: \xff", "x.yaml: this is not UTF-8 text"),
        ("a: !!python/object/apply:os.getcwd []", "is not plain YAML; remove it"),
        ("a: !!binary aGk=", "is not plain YAML; remove it"),
        ("a: !mine {}", "the tag '!mine' is not plain YAML; remove it"),
        ("? [a]\n: b", "a key is a word"),
        ("~: b", "the key '~' is not text; put it in quotes"),
        ("1.5: b", "the key '1.5' is not text; put it in quotes"),
        ("a: *b", "document 1, a: the alias *b has no anchor before it"),
        ("a: &a [*a]", "document 1, a[0]: the alias *a has no anchor before it"),
        ("--- &a 1\n--- *a", "document 2: the alias *a has no anchor before it"),
        ("<<: 1", "only mappings can be merged"),
    ],
)
def test_text_that_is_no_plain_yaml_is_refused(text: str | bytes, expected: str) -> None:
    """Everything else is one error that says where and what to do."""
    with pytest.raises(ManifestError) as caught:
        read_documents(text, "x.yaml")
    assert expected in str(caught.value)


def nested_aliases(levels: int) -> str:
    """The billion laughs: every line repeats the line before nine times."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        repeated = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} [{repeated}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("[" * 100_000, f"nested deeper than {MAX_DEPTH} levels", id="flow"),
        pytest.param(
            "\n".join(" " * depth + "a:" for depth in range(2000)),
            f"nested deeper than {MAX_DEPTH} levels",
            id="block",
        ),
        pytest.param(
            f"a0: &a0 {'[' * 60}{']' * 60}\n"
            + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 9)),
            f"nested deeper than {MAX_DEPTH} levels",
            id="aliases of aliases",
        ),
        pytest.param(nested_aliases(12), f"more than {MAX_VALUES} values", id="billion laughs"),
        pytest.param("[" + "1," * MAX_VALUES + "]", f"more than {MAX_VALUES} values", id="wide"),
    ],
)
def test_size_and_depth_are_bounded(text: str, expected: str) -> None:
    """A text that would fill the memory or the stack is refused, and the error says the bound."""
    with pytest.raises(ManifestError) as caught:
        read_documents(text, "x.yaml")
    assert expected in str(caught.value)


def test_depth_at_the_bound_is_accepted() -> None:
    """The bound is the deepest nesting that is still read."""
    assert read_documents("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH, "x.yaml")


def test_reading_runs_nothing(tmp_path: Path) -> None:
    """A tag that would make an unsafe loader run a command leaves no trace."""
    trace = tmp_path / "trace"
    with pytest.raises(ManifestError):
        read_documents(f"a: !!python/object/apply:os.mkdir ['{trace}']", "x.yaml")
    assert not trace.exists()
