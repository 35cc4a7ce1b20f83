"""Rights: what is asked for is what is used, and what is printed grants it."""

from __future__ import annotations

from typing import Any, cast

import pytest
import yaml
from support.live_cluster import LiveCluster

from nodeport_lab.errors import PrerequisiteError, UnknownNameError
from nodeport_lab.locations import manifests_directory
from nodeport_lab.testbeds.cluster import rights
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.enforcement import CANARY


def granted(documents: list[dict[str, Any]]) -> set[tuple[str | None, str, str, str]]:
    """Namespace, group, resource and verb of every rule."""
    return {
        (role["metadata"].get("namespace"), group, resource, verb)
        for role in documents
        for rule in role.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def printed(namespace: str, extras: tuple[str, ...]) -> list[dict[str, Any]]:
    """The documents of --print-rbac."""
    return list(yaml.safe_load_all(rights.print_rbac(namespace, extras)))


@pytest.mark.parametrize("extras", [(), tuple(rights.EXTRAS)])
def test_the_printed_roles_grant_exactly_the_rights(extras: tuple[str, ...]) -> None:
    """No more, and each where it is needed."""
    places: dict[str, str | None] = {rights.OWN: "team-a", rights.CLUSTER: None}
    if "create-namespace" in extras:  # a namespace whose name is not known beforehand
        places[rights.OWN] = None
    wanted = {
        (places.get(right.place, right.place), right.group, right.resource, verb)
        for right in rights.rights(extras)
        for verb in right.verbs
    }

    assert wanted == granted(printed("team-a", extras))


def test_every_role_is_bound_to_the_account() -> None:
    """A role without a binding grants nothing."""
    documents = printed("team-a", tuple(rights.EXTRAS))
    roles = {
        (d["kind"], d["metadata"]["name"], d["metadata"].get("namespace"))
        for d in documents
        if "rules" in d
    }
    bound = {
        (d["roleRef"]["kind"], d["roleRef"]["name"], d["metadata"].get("namespace"))
        for d in documents
        if "roleRef" in d
    }

    assert roles == bound
    for document in documents:
        for subject in document.get("subjects", ()):
            assert {
                "kind": "ServiceAccount",
                "name": "nodeport-lab",
                "namespace": "team-a",
            } == subject


def test_nothing_is_granted_beyond_reading_outside_of_the_own_namespace() -> None:
    """Except to create a namespace, and to run programs in the CNI's pods where that is wanted."""
    for namespace, _, resource, verb in granted(
        printed("team-a", ("read-configuration", "host-network"))
    ):
        assert namespace == "team-a" or verb in {"get", "list"}, (namespace, resource, verb)


def test_a_check_passes_fails_and_admits_what_it_cannot_know() -> None:
    """Before anything is created."""
    cluster = LiveCluster()
    assert [] == rights.check(cast("Connection", cluster), "team-a")
    cluster.denied = {("delete", "pods")}
    with pytest.raises(PrerequisiteError, match=r"in team-a: delete pods \(clients.*--print-rbac"):
        rights.check(cast("Connection", cluster), "team-a")
    cluster.may = lambda *_a, **_k: None  # type: ignore[method-assign]
    assert "create pods/exec" in rights.check(cast("Connection", cluster), "team-a")


def test_an_extra_that_does_not_exist_is_refused() -> None:
    """With those that do."""
    with pytest.raises(UnknownNameError, match="node-evidence"):
        rights.print_rbac("team-a", ["everything"])


def job() -> list[dict[str, Any]]:
    """The documents of the Job."""
    path = manifests_directory() / "live" / "job.yaml"
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def test_the_job_has_exactly_the_rights_that_are_printed() -> None:
    """One source of truth: what the lab itself says that it needs."""
    assert printed("nodeport-lab", ("read-configuration",)) == [
        one for one in job() if one["kind"] not in {"Namespace", "ConfigMap", "Job"}
    ]


def test_the_job_s_kubeconfig_and_command_belong_together() -> None:
    """Its context exists, and the account's token is read from where Kubernetes mounts it."""
    (configuration,) = [one for one in job() if one["kind"] == "ConfigMap"]
    (work,) = [one for one in job() if one["kind"] == "Job"]
    kubeconfig = yaml.safe_load(configuration["data"]["kubeconfig"])
    pod = work["spec"]["template"]
    script = pod["spec"]["containers"][0]["command"][-1]

    assert f"--context {kubeconfig['contexts'][0]['name']} " in script
    assert "--namespace nodeport-lab " in script
    assert "--json -" in script
    assert kubeconfig["users"][0]["user"]["tokenFile"].startswith("/var/run/secrets/")
    assert "nodeport-lab" == pod["spec"]["serviceAccountName"]
    assert 0 == work["spec"]["backoffLimit"]
    assert CANARY in pod["metadata"]["labels"]  # policies for every pod spare it
