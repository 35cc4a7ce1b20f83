"""The command line: what it prints, and the exit codes that scripts rely on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from nodeport_lab import claims_file, schemas
from nodeport_lab.cli import _questions
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import LabError
from nodeport_lab.locations import claims_file as claims_path

COMMAND = str(Path(sys.executable).parent / "nodeport-lab")


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would, without a terminal."""
    return subprocess.run(
        [COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def test_the_reports_table_is_printed_and_closed_with_one_line() -> None:
    """`run` prints every policy, says in its last line what it means, and leaves with 0."""
    ended = call("run", "--deadline", "0.3")

    assert ended.returncode == 0
    assert ended.stderr == ""
    lines = ended.stdout.splitlines()
    for policy in claims_file.load(claims_path()).policies:
        assert any(line.startswith(policy) for line in lines)
    assert lines[-1].startswith("Which node's NodePort is dialled changes the answer under ")


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
        (("run", "-o", "policyCIDRMatchMode=all"), "'all'; choose one of: none, nodes"),
        (("run", "-o", "policyCIDRMatchMode"), "has no value; write it like"),
        (("run", "--json", "/nowhere/at/all.json"), "there is no folder /nowhere/at"),
        (("exec", "-d", "cilium", "client-z", "--", "true"), "no pod 'client-z'; choose one of"),
        (("exec", "-d", "cilium", "client-a", "--", "no-such-program"), "'no-such-program'"),
        (("exec", "-d", "cilium", "client-a", "--"), "there is nothing to run"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    """A wrong name ends before anything is created, with the valid names, in one line."""
    ended = call(*arguments)

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
    questions = _questions(None, ["policyCIDRMatchMode=nodes"], None)

    assert {question.dataplane: dict(question.options) for question in questions} == {
        "calico-iptables": {},
        "cilium": {"policyCIDRMatchMode": "nodes"},
    }


def test_an_option_that_no_chosen_dataplane_has_is_refused() -> None:
    """With -d, an option of another dataplane is an error."""
    with pytest.raises(LabError, match="option of calico-iptables"):
        _questions(["calico-iptables"], ["policyCIDRMatchMode=nodes"], None)
