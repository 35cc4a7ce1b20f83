"""Hostile manifests: refused with one sentence, or rendered harmless; never executed.

The fuzz run is longer where the environment asks for it:

    FUZZ_EXAMPLES=20000 python -m pytest -s -k fuzz tests/unit/test_check_hostile.py
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from support.users import manifests, pod, policy, service

from nodeport_lab.check.plan import make_plan
from nodeport_lab.check.questions import all_questions
from nodeport_lab.check.reasoning import Reasoner
from nodeport_lab.check.rules import read_rules
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.dataplanes.nftables import transactions
from nodeport_lab.errors import LabError, ManifestError
from nodeport_lab.manifests.documents import read_documents
from nodeport_lab.manifests.users import LARGEST_FILE, read_users_files, read_users_text
from nodeport_lab.manifests.users_scenario import users_scenario
from nodeport_lab.model import Scenario
from nodeport_lab.testbeds.embedded.addressing import plan_network

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
SECONDS = 10  # for one document, whatever stands in it
_NFT_TEXT = re.compile(r"[\x20-\x7e\n]*")
BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
)


def read(text: str) -> Scenario:
    """Everything that happens to a text before a packet is sent; returns the scenario."""
    made = users_scenario(read_users_text(text, "hostile.yaml"))
    network = plan_network(made.scenario, tunnel=True)
    reasoner = Reasoner(made.scenario, network, made.scenario.policies)
    make_plan([(all_questions(made.scenario, network), reasoner)])
    read_rules(made, network)
    return made.scenario


@pytest.mark.parametrize(
    ("text", "words"),
    {
        "bomb of aliases": (BOMB, "more than 200000 values"),
        "alias inside itself": ("a: &a [*a]", "no anchor before it"),
        "deep nesting": ("[" * 5000, "nested deeper than"),
        "duplicate key": (f"{pod('a')[:-1]}, kind: Pod}}", "stands here twice"),
        "tag of Python": ("!!python/object/apply:os.system [id]", "is not plain YAML"),
        "control characters": ("kind: \x00Pod", "this is not YAML"),
        "no object": ("- 1\n- 2", "stands where an object belongs"),
        "kind of another type": ("kind: {}", "stands where a kind belongs"),
        "replicas of another type": (
            (
                "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, "
                "spec: {replicas: many, selector: {}, template: {}}}"
            ),
            "a whole number",
        ),
        "too many replicas": (
            (
                "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: "
                "99999999999, selector: {matchLabels: {a: b}}, template: {metadata: "
                "{labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}"
            ),
            "the lab has room for|are not possible here",
        ),
        "number that no field holds": (
            service("a", f"{{ports: [{{port: {'9' * 60}}}]}}"),
            "a whole number",
        ),
        "port out of range": (service("a", "{ports: [{port: 65536}]}"), "is not a port"),
        "name for a shell": (pod("'$(reboot)'"), "is not a DNS name"),
        "name for nft": (pod("'a; flush ruleset'"), "is not a DNS name"),
        "name for HTML": (pod("'<script>'"), "is not a DNS name"),
        "name of a path": (pod("../../etc/passwd"), "is not a DNS name"),
        "label for nft": (pod("a", "'x }; delete table': y"), "is not a label key"),
        "node for a shell": (pod("a", extra="nodeName: '`id`', "), "is not a DNS name"),
        "range with host bits": (
            policy("p", "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.1/8}}]}]}"),
            "has host bits set",
        ),
        "range for nft": (
            policy("p", "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: '10/8 x'}}]}]}"),
            "is not an IPv4 or IPv6 range",
        ),
        "exceptions beyond counting": (
            policy(
                "p",
                "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: ["
                + ", ".join(f"10.{n // 256}.{n % 256}.0/24" for n in range(1001))
                + "]}}]}]}",
            ),
            "the lab takes 1000",
        ),
        "external address of the lab": (
            service("a", "{externalIPs: [224.0.0.1], ports: [{port: 80}]}"),
            "cannot stand for a Service",
        ),
    }.values(),
)
def test_what_is_hostile_is_refused_in_one_sentence(text: str, words: str) -> None:
    """Soon, with the place, and without any other kind of error."""
    start = time.process_time()
    with pytest.raises(ManifestError, match=words) as refused:
        read(text)

    assert time.process_time() - start < SECONDS
    assert "\n" not in str(refused.value)
    assert str(refused.value).isprintable()


def test_names_of_files_and_kinds_do_nothing_to_a_terminal() -> None:
    """Escape codes and line ends are replaced where a text names them."""
    reading = read_users_text(
        '{apiVersion: "v1\\e[31m", kind: "Config\\e[2JMap", metadata: {name: "\\a<b>"}}',
        "\x1b[31m\n.yaml",
    )

    (one,) = reading.ignored
    assert all(text.isprintable() for text in (one.kind, one.name, one.place, *reading.notes))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """Its size is asked first."""
    file = tmp_path / "large.yaml"
    with file.open("wb") as opened:
        opened.truncate(LARGEST_FILE + 1)

    with pytest.raises(ManifestError, match="split it"):
        read_users_files([str(file)])


def test_thousands_of_peers_are_compiled_within_bounds() -> None:
    """Every transaction stays as small as a user namespace takes it."""
    peers = ", ".join(f"{{ipBlock: {{cidr: 10.{n // 256}.{n % 256}.0/24}}}}" for n in range(4000))
    made = manifests(
        pod("web", port=8080),
        policy("p", f"{{podSelector: {{}}, ingress: [{{from: [{peers}]}}]}}"),
    )
    start = time.process_time()  # not the clock on the wall: the machine may be busy
    for text in _compiled(made.scenario):
        assert len(text) < 80 * 1024
    assert time.process_time() - start < SECONDS


def _compiled(scenario: Scenario) -> list[str]:
    """Everything that nft would be given, on a dataplane that matches addresses and one not."""
    texts = []
    for name in ("calico-iptables", "cilium"):
        dataplane = DATAPLANES[name]
        options = dataplane.complete({})
        network = plan_network(scenario, tunnel=dataplane.tunnel(options) is not None)
        tables = [
            *(
                table
                for some in dataplane.translate(scenario, network, options).values()
                for table in some
            ),
            *dataplane.police(scenario, network, scenario.policies, options).tables.values(),
        ]
        texts += [text for table in tables for text in transactions(table)]
    return texts


# --- fuzz -----------------------------------------------------------------------------

SEED_TEXTS = (
    "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {a: b}}}",
    pod("web", port=80, extra="hostNetwork: false, nodeSelector: {d: ssd}, "),
    (
        "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {"
        "replicas: 2, selector: {matchLabels: {app: db}}, template: {metadata: {labels: "
        "{app: db}}, spec: {containers: "
        "[{name: c, image: i}]}}}}"
    ),
    service(
        "web",
        "{type: NodePort, selector: {app: web}, externalIPs: [192.0.2.1], "
        "ports: [{port: 80, targetPort: http, nodePort: 30080}]}",
    ),
    policy(
        "p",
        "{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress], ingress: [{from: "
        "[{podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: "
        "[{port: http}]}], egress: [{to: [{namespaceSelector: {matchExpressions: [{key: a, "
        "operator: In, values: [b]}]}}], ports: [{port: 1, endPort: 9, protocol: UDP}]}]}",
    ),
    (
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, "
        "metadata: {name: s, namespace: shop, labels: {kubernetes.io/service-name: "
        "web}}, endpoints: [{addresses: "
        "[10.0.0.1], targetRef: {kind: Pod, name: web}}]}"
    ),
)
SEEDS = [found.value for found in read_documents("\n---\n".join(SEED_TEXTS), "seeds")]
STRANGE: st.SearchStrategy[object] = st.one_of(
    st.sampled_from(
        [None, True, -1, 0, 70000, 2**70, 1.5, "", "x", "None", "0.0.0.0/0", "::/0", "10.0.0.0/33",
         "$(id)", "`id`", "a; drop", "<b>", "../..", "\x1b[2J", "ä", "a" * 400, [], {}, [[]],
         {"": None}, "web", "http", "shop", "TCP", "SCTP", "Local", "ExternalName", "10.96.0.1"]
    ),
    st.text(max_size=12),
    st.integers(),
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A few valid objects, in some of which something strange stands somewhere."""
    documents = []
    numbers = st.lists(st.sampled_from(range(len(SEEDS))), min_size=1, max_size=5, unique=True)
    for number in draw(numbers):
        document = json.loads(json.dumps(SEEDS[number]))
        for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
            _mutate(draw, document)
        documents.append(document)
    return "\n---\n".join(map(json.dumps, documents))


def _mutate(draw: st.DrawFn, document: object) -> None:
    """Put something strange in place of a part, add a part, or take one away."""
    here: Any = document
    while isinstance(here, dict | list) and here:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = draw(st.sampled_from(keys))
        inside = here[key]
        if isinstance(inside, dict | list) and inside and draw(st.integers(0, 4)):
            here = inside
            continue
        change = draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            here[key] = draw(STRANGE)
        elif change == "remove":
            del here[key]
        elif isinstance(here, dict):
            here[draw(st.text(max_size=8))] = draw(STRANGE)
        else:
            here.append(inside)
        return


def test_fuzz_of_objects(record_property: Callable[[str, object], None]) -> None:
    """Every mutation is read or refused; what is read compiles to harmless rules."""
    outcomes: Counter[str] = Counter()

    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(mutated())
    def fuzz(text: str) -> None:
        try:
            scenario = read(text)
        except LabError as error:
            outcomes["refused"] += 1
            outcomes["lines too many"] += "\n" in str(error)
            return
        outcomes["read"] += 1
        if scenario.pods and len(scenario.policies):
            shown = replace(scenario, policies=scenario.policies)
            assert all(_NFT_TEXT.fullmatch(rules) for rules in _compiled(shown))
            outcomes["compiled"] += 1

    fuzz()
    record_property("examples", dict(outcomes))
    print(f"fuzz of objects: {dict(outcomes)}")  # noqa: T201 - for pytest -s
    assert outcomes["read"]
    assert outcomes["refused"]
    assert not outcomes["lines too many"]


def test_fuzz_of_bytes(record_property: Callable[[str, object], None]) -> None:
    """Any text at all is read or refused, with indicators of YAML more often than by chance."""
    outcomes: Counter[str] = Counter()
    words = st.sampled_from(
        [
            *"{}[]:,-&*!|>'\"%@`#\n ",
            "---\n",
            "kind: Pod\n",
            "&a ",
            "*a",
            "<<: *a",
            "!!binary ",
            "\t",
        ]
    )
    texts = st.one_of(
        st.binary(max_size=200),
        st.lists(st.one_of(words, st.text(max_size=4)), max_size=40).map(
            lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
        ),
    )

    @hypothesis.settings(max_examples=EXAMPLES, deadline=None)
    @hypothesis.given(texts)
    def fuzz(text: bytes) -> None:
        try:
            users_scenario(read_users_text(text, "fuzz"))
        except ManifestError as error:
            outcomes["refused"] += 1
            outcomes["lines too many"] += "\n" in str(error)
        else:
            outcomes["read"] += 1

    fuzz()
    record_property("examples", dict(outcomes))
    print(f"fuzz of bytes: {dict(outcomes)}")  # noqa: T201 - for pytest -s
    assert outcomes["refused"]
    assert not outcomes["lines too many"]
