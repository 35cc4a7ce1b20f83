"""Rulesets as text: names that cannot break out, transactions that stay small."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeport_lab.dataplanes.nftables import (
    MAX_IDENTIFIER,
    MAX_STATEMENTS,
    MAX_TEXT,
    Table,
    element_sets,
    elements,
    identifier,
    transactions,
)

# What nft reads as one word, without quotes.
ONE_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
HOSTILE = [
    'a"b',
    "a'b",
    "a b",
    "a\nb",
    "a\\b",
    "a}b",
    "a{b",
    "a;b",
    "a#b",
    "a$b",
    "a@b",
    "a/b",
    "/* a",
    "ä",
    "\uff41",
    "",
    "\x00",
    '"; flush ruleset; #',
]

# --- names ----------------------------------------------------------------------------


def test_a_name_that_kubernetes_allows_is_kept_as_it_is() -> None:
    """Whoever lists the ruleset finds the policy that they wrote."""
    assert "egress-policy/nodeport-lab/deny-egress" == identifier(
        "egress-policy", "nodeport-lab", "deny-egress"
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_one_word(name: str) -> None:
    """Quotes, spaces, newlines, brackets, comments: nothing ends the name early."""
    assert ONE_WORD.fullmatch(identifier("policy", name, name))


@given(st.lists(st.text(max_size=150), max_size=4))
def test_no_name_at_all_breaks_out(parts: list[str]) -> None:
    """Whatever the text, the result is one word of bounded length, and of its kind."""
    name = identifier("policy", *parts)

    assert ONE_WORD.fullmatch(name)
    assert name.startswith("policy")
    assert len(name) <= MAX_IDENTIFIER


@given(
    st.lists(
        st.tuples(*[st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,120}[a-z0-9])?", fullmatch=True)] * 2),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
def test_valid_names_do_not_collide(names: list[tuple[str, str]]) -> None:
    """Two policies get two chains, also where a long name had to be cut."""
    one, two = names

    assert identifier("policy", *one) != identifier("policy", *two)


def test_long_names_that_begin_alike_stay_apart() -> None:
    """What is cut off lives on in a digest."""
    long = "a" * 250

    assert identifier("policy", "ns", f"{long}-1") != identifier("policy", "ns", f"{long}-2")


# --- anonymous sets -------------------------------------------------------------------


def test_elements_are_written_once_each() -> None:
    """Repeated values would be an error in a set of ranges."""
    assert "{ 10.0.0.1, 10.0.0.2 }" == elements(["10.0.0.1", "10.0.0.2", "10.0.0.1"])


# --- transactions ---------------------------------------------------------------------


def big_table(rules: int, chains: int = 3) -> Table:
    """A table with a set, that many rules in all, and one base chain."""
    table = Table("t", sets={"seen": "type ipv4_addr; flags dynamic"})
    for number in range(chains):
        mine = range(number, rules, chains)
        table.chain(f"c{number}", [f"tcp dport {rule + 1} accept" for rule in mine])
    table.chain("forward", ["jump c0"], hook="type filter hook forward priority 0")
    return table


@pytest.mark.parametrize(
    "rules", [0, 1, MAX_STATEMENTS - 1, MAX_STATEMENTS, MAX_STATEMENTS + 1, 5 * MAX_STATEMENTS]
)
def test_no_transaction_adds_more_rules_than_allowed(rules: int) -> None:
    """However many rules there are, each is added once, in order, in bounded portions."""
    table = big_table(rules)

    texts = transactions(table)

    added = [re.findall(r"^add rule ip t (\S+) (.*)$", text, re.MULTILINE) for text in texts]
    assert all(len(some) <= MAX_STATEMENTS for some in added)
    assert [
        (chain.name, rule) for chain in table.chains if not chain.hook for rule in chain.rules
    ] == [rule for some in added for rule in some]


def test_everything_is_declared_before_it_is_used() -> None:
    """The first transaction has every set and every chain without a hook, all empty."""
    first, *_ = transactions(big_table(3))

    assert (
        "add table ip t\n"
        "add set ip t seen { type ipv4_addr; flags dynamic; }\n"
        "add chain ip t c0\n"
        "add chain ip t c1\n"
        "add chain ip t c2\n"
    ) == first


def test_only_the_last_transaction_hooks() -> None:
    """No packet meets a ruleset that is half loaded."""
    *before, last = transactions(big_table(5 * MAX_STATEMENTS))

    assert not any("hook" in text for text in before)
    assert (
        "table ip t {\n"
        "  chain forward {\n"
        "    type filter hook forward priority 0;\n"
        "    jump c0\n"
        "  }\n"
        "}\n"
    ) == last


def test_the_replaced_table_goes_when_the_new_one_hooks() -> None:
    """Old rules end and new rules begin in one transaction, the last."""
    *before, last = transactions(big_table(3), replaces="old")

    assert not any("old" in text for text in before)
    assert last.endswith("}\ndelete table ip old\n")


def test_thousands_of_services_load_in_bounded_transactions() -> None:
    """Also where a base chain looks them up, which is hooked in the last transaction."""
    entries = [f"10.96.{n // 256}.{n % 256} . tcp . 80 : goto service/{n}" for n in range(3000)]
    sets = element_sets(entries)
    table = Table("services")
    for number in range(3000):
        table.chain(f"service/{number}", ["drop"])
    lookups = [f"ip daddr . meta l4proto . th dport vmap {some}" for some in sets]
    table.chain("output", lookups, hook="type nat hook output priority -100; policy accept")

    texts = transactions(table, replaces="before")

    assert entries == [one for some in sets for one in some.strip("{} ").split(", ")]
    assert all(len(text) <= MAX_TEXT and text.count("\n") <= MAX_STATEMENTS + 3 for text in texts)
    assert "jump output-rules" in texts[-1]
    assert [] == element_sets([])
