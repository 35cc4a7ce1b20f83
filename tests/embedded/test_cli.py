"""The command line: what it prints, and the exit codes that scripts rely on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from nodeport_lab import schemas
from nodeport_lab.cli.run import _questions
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import LabError
from nodeport_lab.experiment import default_scenario, policy_names
from nodeport_lab.locations import claims_file as claims_path
from nodeport_lab.manifests import read_objects
from nodeport_lab.manifests.policies import read_policy
from nodeport_lab.model import PolicyPort
from nodeport_lab.suites import SUITES
from nodeport_lab.testbeds.embedded.lab import Lab
from nodeport_lab.variations import VARIATIONS

COMMAND = str(Path(sys.executable).parent / "nodeport-lab")


def call(*arguments: str, typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would, without a terminal."""
    return subprocess.run(
        [COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        input=typed,
        env={**os.environ, **environment},
    )


def test_the_reports_table_is_printed_and_closed_with_one_line() -> None:
    """`run` prints every policy, says in its last line what it means, and leaves with 0."""
    ended = call("run", "--deadline", "0.3")

    assert ended.returncode == 0
    assert ended.stderr == ""
    lines = ended.stdout.splitlines()
    for policy in policy_names(default_scenario()):
        assert any(line.startswith(policy) for line in lines)
    assert lines[-1].startswith("Which node's NodePort is dialled changes the answer under ")


def test_verdicts_are_printed_whatever_the_locale() -> None:
    """A locale of ASCII alone, as a bare container has it, ends no table."""
    ended = call("run", "-d", "cilium", "--policy", "both", PYTHONIOENCODING="ascii")

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "✗ timeout" in ended.stdout
    assert "✓ allowed" in ended.stdout


def test_no_escape_codes_without_a_terminal() -> None:
    """Piped output carries no colours, and no progress."""
    ended = call("run", "-d", "cilium", "--policy", "both", "--deadline", "0.2")

    assert "\x1b" not in ended.stdout + ended.stderr


def test_json_follows_its_schema() -> None:
    """`--json -` writes nothing but a document of schema 1 to standard output."""
    ended = call("run", "-d", "calico-iptables", "--policy", "both", "--json", "-")

    document = json.loads(ended.stdout)
    jsonschema.validate(document, schemas.load("observations"))
    assert ["calico-iptables"] == [run["dataplane"] for run in document["runs"]]
    assert {"both"} == {row["policy"] for row in document["runs"][0]["observations"]}


def test_a_suite_is_chosen_by_name() -> None:
    """`--suite` brings its own clients, policies and routes; `--policy` picks of those."""
    ended = call(
        *("run", "--suite", "ingress", "-d", "calico-ebpf", "--policy", "ingress-deny"),
        *("--deadline", "0.2", "--json", "-"),
    )

    (run,) = json.loads(ended.stdout)["runs"]
    assert ("ingress", "calico-ebpf") == (run["suite"], run["dataplane"])
    assert {"ingress-deny"} == {row["policy"] for row in run["observations"]}
    assert {"external", "host:dev-worker", "client-c"} <= {
        row["client"] for row in run["observations"]
    }
    jsonschema.validate(json.loads(ended.stdout), schemas.load("observations"))


def test_an_outside_machine_has_a_row_of_its_own_on_the_screen() -> None:
    """The table of the ingress suite is by client, and says what kind of evidence it is."""
    ended = call(
        *("run", "--suite", "ingress", "-d", "calico-ebpf", "--policy", "no-policy"),
        *("--deadline", "0.2"),
    )

    assert ended.returncode == 0
    shown = " ".join(ended.stdout.split())
    for said in ("calico-ebpf, modelled, not live", "external-routed", "host:dev-worker2"):
        assert said in shown


def test_a_suite_has_a_run_for_each_of_its_configurations() -> None:
    """The placement suite varies the scenario; the JSON names what was varied."""
    ended = call(
        *("run", "--suite", "placement", "-d", "cilium-kpr", "--policy", "no-policy"),
        *("--deadline", "0.2", "--json", "-"),
    )

    runs = json.loads(ended.stdout)["runs"]
    assert ["as-placed", "moved", "both", "host-network"] == [
        run["options"]["backend"] for run in runs
    ]


def test_junit_has_a_case_for_every_cell(tmp_path: Path) -> None:
    """`--junit` writes what CI systems read, beside the table."""
    file = tmp_path / "report.xml"
    ended = call(
        *("run", "-d", "calico-iptables", "--policy", "both", "--deadline", "0.2"),
        *("--junit", str(file)),
    )

    (suite,) = ET.fromstring(file.read_text())  # noqa: S314 - made right here
    assert ended.returncode == 0
    assert ("10", "0", "0") == tuple(suite.get(key) for key in ("tests", "failures", "errors"))
    assert {"both"} == {case.get("classname") for case in suite}
    assert "both" in ended.stdout


def test_a_cell_that_differs_from_the_documented_outcome_fails_the_run(tmp_path: Path) -> None:
    """Exit code 1 where a documented outcome does not hold; the cell is named."""
    told = claims_path().read_text()
    changed = told.replace("timeout", "refused")
    assert changed != told
    file = tmp_path / "claims.yml"
    file.write_text(changed)
    script = (
        "import nodeport_lab.locations as locations, pathlib, sys;"
        f"locations.claims_file = lambda: pathlib.Path({str(file)!r});"
        "from nodeport_lab.cli import main;"
        "sys.argv = ['nodeport-lab', 'run', '-d', 'calico-iptables', '--policy', 'deny-egress'];"
        "main()"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert "Not as documented: calico-iptables" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "-d", "calico"), "no dataplane 'calico'; choose one of: calico-iptables"),
        (("run", "-t", "moon"), "no testbed 'moon'; choose one of: embedded"),
        (("run", "--policy", "none"), "no policy 'none'; choose one of: no-policy"),
        (("run", "-o", "colour=red"), "'colour'; choose one of:"),
        (("run", "-o", "policyCIDRMatchMode=all"), "'all'; choose one of: none, nodes, pods"),
        (
            ("run", "-o", "policyCIDRMatchMode=pods"),
            "policyCIDRMatchMode=pods of cilium exists only with ciliumVersion=1.20; add that",
        ),
        (
            ("run", "-d", "cilium-kpr", "-o", "natOutgoing=Disabled"),
            "no option of cilium-kpr 'natOutgoing'; choose one of: backend, ciliumVersion",
        ),
        (
            ("run", "-d", "calico-iptables", "-o", "kubeProxyMode=ipvs"),
            "kubeProxyMode=ipvs of calico-iptables is live only",
        ),
        (("run", "-o", "backend=here"), "'here'; choose one of: as-placed, moved, both"),
        (("run", "--suite", "everything"), "no suite 'everything'; choose one of: report, egress"),
        (("run", "--suite", "udp", "--policy", "ingress-deny"), "no policy 'ingress-deny'"),
        (("run", "--junit", "/nowhere/at/all.xml"), "there is no folder /nowhere/at"),
        (("run", "-o", "policyCIDRMatchMode"), "has no value; write it like"),
        (("run", "--json", "-", "--junit", "-"), "cannot both go to standard output"),
        (("run", "--json", "/nowhere/at/all.json"), "there is no folder /nowhere/at"),
        (("exec", "-d", "cilium", "client-z", "--", "true"), "no pod 'client-z'; choose one of"),
        (("exec", "-d", "cilium", "client-a", "--", "no-such-program"), "'no-such-program'"),
        (("exec", "-d", "cilium", "client-a", "--"), "there is nothing to run"),
        (("shell", "-d", "cilium", "--in", "node:moon"), "no node 'moon'; choose one of: dev-"),
        (("shell", "-d", "cilium", "--in", "moon"), "no pod 'moon'; choose one of: client-a"),
        (
            ("trace", "-d", "cilium", "--from", "external", "--to", "cluster-ip"),
            "no Service of the scenario can be reached by cluster-ip from external; possible",
        ),
        (
            ("advise", "-d", "cilium", "--from", "client-a", "--to", "pod-ip"),
            "nothing is denied without a policy; name the one in force with --policy",
        ),
        (
            (
                *("advise", "-d", "cilium", "--policy", "both", "--from", "client-a"),
                *("--to", "nodeport:moon"),
            ),
            "no node 'moon'; choose one of: dev-",
        ),
        (
            ("trace", "-d", "cilium", "--from", "client-a", "--to", "nodeport"),
            "no route 'nodeport'; choose one of: pod-ip, cluster-ip, nodeport:NODE",
        ),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    """A wrong name ends before anything is created, with the valid names, in one line."""
    ended = call(*arguments, SHELL="/bin/sh")

    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_exec_resolves_names_and_passes_the_exit_code_on() -> None:
    """A command in a pod reaches a node by name, and its own exit code is the command's."""
    address = "http://dev-worker:30080/"
    curl = ("--", "curl", "-sS", "-m", "1", address)

    reached = call("exec", "-d", "calico-iptables", "client-b", *curl)
    denied = call("exec", "-d", "calico-iptables", "--policy", "deny-egress", "client-b", *curl)

    assert (0, "Hello World!\n") == (reached.returncode, reached.stdout)
    assert denied.returncode == 28  # curl's code for a time-out


def test_an_encapsulation_that_the_kernel_lacks_is_named() -> None:
    """Where no ipip device can be made, one sentence says so and what is possible instead."""
    chosen = ("-d", "calico-iptables", "-o", "encapsulation=IPIP")
    with Lab() as lab:
        exists = lab.request("has_device", kind="ipip")["has"]
    run = call("run", *chosen, "--policy", "both", "--deadline", "0.2")
    command = call("exec", *chosen, "client-a", "--", "true")

    if exists:
        assert (0, 0) == (run.returncode, command.returncode)
        return
    for ended in (run, command):
        assert ended.returncode == 2
        assert len(ended.stderr.strip().splitlines()) == 1
        assert "no ipip devices" in ended.stderr
    assert "encapsulation=VXLAN" in command.stderr
    assert "encapsulation=IPIP" not in command.stderr


def test_a_variation_holds_in_exec_too() -> None:
    """With the backend moved, its own node is another one: the label reaches it there."""
    arguments = ("exec", "-d", "calico-iptables", "--policy", "podselector-server", "client-b")
    curl = ("--", "curl", "-sS", "-m", "1", "http://dev-worker2:30080/")

    moved = call(*arguments[:1], "-o", "backend=moved", *arguments[1:], *curl)

    assert (0, "Hello World!\n") == (moved.returncode, moved.stdout)


def test_shell_opens_the_shell_and_passes_its_exit_code_on() -> None:
    """What is typed runs inside the node: its pods' cables are there, and the lab's rules."""
    ended = call(
        *("shell", "-d", "calico-iptables", "--in", "node:dev-worker2"),
        typed="cat /proc/net/dev\nnft list tables\nexit 7\n",
        SHELL="/bin/sh",
        PATH=f"{os.environ['PATH']}:/usr/sbin:/sbin",
    )

    assert ended.returncode == 7
    assert " cali" in ended.stdout
    assert "table ip kube-proxy" in ended.stdout
    assert "You are in node:dev-worker2 of a lab with calico-iptables." in ended.stderr


def test_shell_opens_in_a_pod() -> None:
    """`--in` takes a pod's name; names resolve there, and a policy is in force if named."""
    reach = "curl -s -o /dev/null -m 1 http://dev-worker:30080/ && echo reached || echo not\n"
    arguments = ("shell", "-d", "cilium-kpr", "--in", "client-b")

    free = call(*arguments, typed=reach, SHELL="/bin/sh")
    fenced = call(*arguments, "--policy", "deny-egress", typed=reach, SHELL="/bin/sh")

    assert ("reached\n", "not\n") == (free.stdout, fenced.stdout)


def test_advise_prints_a_policy_that_works() -> None:
    """What it prints can be applied as it is; what it opens besides is listed."""
    ended = call(
        *("advise", "-d", "calico-iptables", "--policy", "ipblock-nodes"),
        *("--from", "client-a", "--to", "nodeport:dev-worker", "--deadline", "0.2"),
    )
    printed = ended.stdout.partition("lets the connection through:")[2].partition("It also opens")[
        0
    ]
    (read,) = read_objects(printed, "printed.yaml")

    assert ended.returncode == 0
    assert ended.stdout.startswith("✓ egress: pods labelled app=hello, port 8080")
    assert read_policy(read).egress[0].ports == (PolicyPort(port=8080),)
    assert "client-a: cluster-ip, pod-ip" in ended.stdout


def test_advise_says_so_where_no_rule_works() -> None:
    """By default no rule of Cilium beside kube-proxy lets a pod reach a node's port."""
    ended = call(
        *("advise", "-d", "cilium", "--policy", "ipblock-nodes"),
        *("--from", "client-a", "--to", "nodeport:dev-worker", "--deadline", "0.1"),
    )

    assert ended.returncode == 0
    assert 8 == ended.stdout.count("✗ egress: ")
    assert "None of these rules lets the connection through" in ended.stdout


def test_list_names_all_there_is_to_choose_from() -> None:
    """Dataplanes with their options, variations and suites."""
    ended = call("list")

    assert ended.returncode == 0
    for name in (*DATAPLANES, *SUITES, *VARIATIONS):
        assert name in ended.stdout
    for dataplane in DATAPLANES.values():
        assert all(f"-o {name}=" in ended.stdout for name in dataplane.options)


def test_doctor_tries_every_dataplane() -> None:
    """`doctor` reports control probes for each dataplane, and leaves with 0 where all answer."""
    ended = call("doctor")

    assert ended.returncode == 0
    for name in DATAPLANES:
        assert f"embedded testbed, {name}: 10 of 10 control probes answered" in ended.stdout


def test_without_nft_the_remedy_is_told(tmp_path: Path) -> None:
    """On a machine without nft, `run` ends with exit code 2 and the command that mends it."""
    script = (
        "import nodeport_lab.testbeds.embedded.preflight as preflight, sys;"
        "preflight.find_nft = lambda: None;"
        "from nodeport_lab.cli import main;"
        "sys.argv = ['nodeport-lab', 'run'];"
        "main()"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert ended.returncode == 2
    assert "apt-get install nftables" in ended.stderr


def test_an_option_goes_to_the_dataplanes_that_have_it() -> None:
    """Without -d, an option of one dataplane leaves the others at their defaults."""
    questions = _questions("report", None, ["policyCIDRMatchMode=nodes"], None)

    assert {question.dataplane: dict(question.options) for question in questions} == {
        "calico-iptables": {},
        "cilium": {"policyCIDRMatchMode": "nodes"},
    }


def test_a_variation_goes_to_every_dataplane() -> None:
    """It changes the scenario, and every dataplane runs that."""
    questions = _questions("egress", None, ["backend=moved"], None)

    assert [(name, {"backend": "moved"}) for name in DATAPLANES] == [
        (question.dataplane, dict(question.options)) for question in questions
    ]


def test_what_is_typed_is_set_in_every_configuration_of_a_suite() -> None:
    """An option beside a suite that varies something else refines each of its runs."""
    questions = _questions("placement", ["cilium"], ["routingMode=native"], None)

    assert [("as-placed", "native"), ("moved", "native"), ("both", "native")] == [
        (question.options["backend"], question.options["routingMode"]) for question in questions[:3]
    ]


def test_an_option_that_no_chosen_dataplane_has_is_refused() -> None:
    """With -d, an option of another dataplane is an error."""
    with pytest.raises(LabError, match="option of calico-iptables"):
        _questions("report", ["calico-iptables"], ["policyCIDRMatchMode=nodes"], None)
