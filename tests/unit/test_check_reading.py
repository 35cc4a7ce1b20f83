"""Manifests of users: what is read of them, what is left out, and what is assumed."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from nodeport_lab.errors import LabError, ManifestError
from nodeport_lab.manifests.users import read_listed, read_users_files, read_users_text
from nodeport_lab.manifests.users_cluster import check_subnets
from nodeport_lab.manifests.users_scenario import UsersManifests, users_scenario
from nodeport_lab.model import ContainerPort, Protocol
from nodeport_lab.services import selected_pods

NODES = IPv4Network("172.18.0.0/24")
POD_SPEC = "{containers: [{name: c, image: i, ports: [{containerPort: 8080, name: http}]}]}"
TEMPLATE = f"{{metadata: {{labels: {{app: web}}}}, spec: {POD_SPEC}}}"


def read(text: str, **how: object) -> UsersManifests:
    """The scenario of a text."""
    return users_scenario(read_users_text(text, "mine.yaml"), **how)  # type: ignore[arg-type]


def workload(kind: str, extra: str = "", version: str = "apps/v1", template: str = TEMPLATE) -> str:
    """A workload of some kind in namespace shop."""
    selector = "" if kind == "Job" else "selector: {matchLabels: {app: web}}, "
    return (
        f"{{apiVersion: {version}, kind: {kind}, metadata: {{name: web, namespace: shop}}, "
        f"spec: {{{selector}{extra}template: {template}}}}}"
    )


@pytest.mark.parametrize(
    ("kind", "extra", "version", "names"),
    [
        ("Deployment", "replicas: 2, ", "apps/v1", ["web-0", "web-1"]),
        ("ReplicaSet", "", "apps/v1", ["web-0"]),
        ("StatefulSet", "replicas: 2, ordinals: {start: 5}, ", "apps/v1", ["web-5", "web-6"]),
        ("DaemonSet", "", "apps/v1", ["web-0", "web-1", "web-2"]),
        ("Job", "parallelism: 2, ", "batch/v1", ["web-0", "web-1"]),
        ("Deployment", "replicas: 0, ", "apps/v1", []),
    ],
)
def test_every_kind_of_workload_makes_its_pods(
    kind: str, extra: str, version: str, names: list[str]
) -> None:
    """As many as their controllers would make, with the ports of the template."""
    pods = read(workload(kind, extra, version)).scenario.pods

    assert names == [pod.name for pod in pods]
    assert all(pod.ports == (ContainerPort(8080, name="http"),) for pod in pods)
    assert all(pod.workload == "web" for pod in pods)


def test_a_daemonset_runs_once_on_every_worker() -> None:
    """And on no other node."""
    manifests = read(workload("DaemonSet"), nodes=4)

    workers = [node.name for node in manifests.scenario.nodes if not node.control_plane]
    assert workers == [pod.node for pod in manifests.scenario.pods]


def test_controllers_add_their_labels() -> None:
    """Policies may select a pod of a StatefulSet by its name, and those of a Job by the Job's."""
    stateful = read(workload("StatefulSet")).scenario.pods[0]
    job = read(workload("Job", version="batch/v1")).scenario.pods[0]

    assert ("statefulset.kubernetes.io/pod-name", "web-0") in stateful.labels
    assert ("batch.kubernetes.io/job-name", "web") in job.labels


def test_pods_are_placed_in_turn_or_together() -> None:
    """Both placements are made, so that pods of a pair share a node and do not."""
    text = workload("Deployment", "replicas: 3, ")

    assert 3 == len({pod.node for pod in read(text).scenario.pods})
    assert 1 == len({pod.node for pod in read(text, together=True).scenario.pods})


@pytest.mark.parametrize("together", [False, True])
def test_nodes_have_the_names_and_labels_that_pods_ask_for(together: bool) -> None:  # noqa: FBT001
    """nodeName, the host's name as a label, and labels that contradict each other."""

    def pod(name: str, spec: str) -> str:
        containers = "containers: [{name: c, image: i}]"
        metadata = f"{{name: {name}}}"
        return (
            f"{{apiVersion: v1, kind: Pod, metadata: {metadata}, spec: {{{spec}, {containers}}}}}"
        )

    text = "\n---\n".join(
        [
            pod("a", "nodeName: gke-1"),
            pod("b", "nodeSelector: {kubernetes.io/hostname: gke-2}"),
            pod("c", "nodeSelector: {disk: ssd}"),
            pod("d", "nodeSelector: {disk: hdd, zone: x}"),
            pod("e", "nodeSelector: {disk: ssd}"),
        ]
    )

    pods = {pod.name: pod.node for pod in read(text, together=together).scenario.pods}
    assert "gke-1" == pods["a"]
    assert "gke-2" == pods["b"]
    assert pods["c"] != pods["d"]


def test_host_network_pods_get_nodes_whose_ports_are_free() -> None:
    """As the scheduler would; where there is none left, that is said."""
    spec = POD_SPEC.replace("{containers", "{hostNetwork: true, containers", 1)
    template = f"{{metadata: {{labels: {{app: web}}}}, spec: {spec}}}"
    text = workload("Deployment", "replicas: 3, ", template=template)

    assert 3 == len({pod.node for pod in read(text, together=True).scenario.pods})
    with pytest.raises(ManifestError, match="no node is left on which port 8080 is free"):
        read(text, nodes=2)


def test_other_kinds_are_left_out_and_named() -> None:
    """Policies of other APIs are named one by one: their effect is missing."""
    reading = read_users_text(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\n"
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n---\n"
        "{apiVersion: crd.projectcalico.org/v1, kind: NetworkPolicy, metadata: {name: calico}}\n"
        "---\n{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: l7}}\n"
        "---\n{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: fn}}\n",
        "mixed.yaml",
    )

    calico, cilium, others = reading.notes
    assert () == reading.objects
    assert "document 3" in calico
    assert "NetworkPolicy of crd.projectcalico.org/v1 calico" in calico
    assert "CiliumNetworkPolicy of cilium.io/v2 l7" in cilium
    assert others.endswith("ConfigMap (2), Service of serving.knative.dev/v1 (1)")


def test_what_kubectl_prints_is_read() -> None:
    """Status, managedFields, generated names, and fields that are null."""
    (found,) = read_users_text(
        """
apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: v1
  kind: Pod
  metadata:
    generateName: web-
    creationTimestamp: null
    managedFields: [{manager: kubectl, anything: [goes]}]
  spec: {containers: [{name: c, image: i, resources: {}}]}
  status: {phase: Running, a-field-of-tomorrow: 1}
""",
        "all.yaml",
    ).objects

    assert "web-0" == found.name


def test_pods_that_have_ended_are_left_out() -> None:
    """They have no network any more."""
    reading = read_users_text(
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Succeeded}}", "x"
    )

    assert ["Pod that has ended"] == [one.kind for one in reading.ignored]


def test_pods_speak_for_what_made_them() -> None:
    """As in `kubectl get all -o yaml`: a Deployment whose pods are given makes no others."""
    owner = (
        "ownerReferences: "
        "[{apiVersion: apps/v1, kind: ReplicaSet, name: web-5d4f, uid: u, controller: true}]"
    )
    pod = (
        "{apiVersion: v1, kind: Pod, metadata: {name: web-5d4f-x, namespace: shop, "
        f"labels: {{app: web}}, {owner}}}, spec: {POD_SPEC[:-1]}, nodeName: n7}}}}"
    )
    manifests = read(f"{workload('Deployment', 'replicas: 2, ')}\n---\n{pod}")

    (only,) = manifests.scenario.pods
    assert ("web-5d4f-x", "n7", "web") == (only.name, only.node, "web")


def test_lists_of_a_cluster_are_read() -> None:
    """What the API lists, and typed lists whose items leave their kind to the list."""
    pod = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    listed = [{"apiVersion": "v1", "kind": "PodList", "items": [pod]}]

    (found,) = read_listed(listed, "cluster").objects
    assert ("Pod", "a") == (found.kind, found.name)


def test_namespaces_that_nobody_describes_are_assumed() -> None:
    """With their name as their only label, and a note."""
    manifests = read(workload("Deployment"))

    (shop,) = manifests.scenario.namespaces
    assert (("kubernetes.io/metadata.name", "shop"),) == shop.labels
    assert any("no manifest describes the namespace shop" in note for note in manifests.notes)


def service(spec: str, name: str = "web") -> str:
    """A Service in namespace shop."""
    metadata = f"{{name: {name}, namespace: shop}}"
    return f"{{apiVersion: v1, kind: Service, metadata: {metadata}, spec: {spec}}}"


def test_pods_listen_on_what_services_send_them() -> None:
    """Whether their containers declare it or not, and a note says so."""
    text = f"{workload('Deployment')}\n---\n" + service(
        "{selector: {app: web}, ports: [{port: 53, targetPort: 5353, protocol: UDP}]}"
    )

    manifests = read(text)
    (pod,) = manifests.scenario.pods
    assert ContainerPort(5353, Protocol.UDP) in pod.ports
    assert any("shop/web (port 5353)" in note for note in manifests.notes)


def test_the_subnet_of_services_follows_their_addresses() -> None:
    """As in what kubectl prints of a cluster whose subnet is another than kubeadm's."""
    text = service("{clusterIP: 10.43.7.9, clusterIPs: [10.43.7.9], ports: [{port: 80}]}")

    assert IPv4Network("10.43.0.0/16") == read(text).scenario.service_cidr


def test_cluster_ips_that_have_no_subnet_are_replaced() -> None:
    """And the note names the option that helps."""
    text = "\n---\n".join(
        service(f"{{clusterIP: {ip}, ports: [{{port: 80}}]}}", name)
        for ip, name in (("10.43.7.9", "a"), ("192.168.0.1", "b"))
    )

    manifests = read(text)
    assert {None} == {one.cluster_ip for one in manifests.scenario.services}
    assert any("--subnet services=CIDR" in note for note in manifests.notes)


def test_endpoint_slices_stand_behind_services_without_a_selector() -> None:
    """Endpoints that are pods of the manifests; others are named."""
    text = "\n---\n".join(
        [
            workload("Deployment"),
            service("{ports: [{port: 80, targetPort: 8080}]}"),
            (
                "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, "
                "metadata: {name: s, namespace: shop, labels: {kubernetes.io/service-name: web}}, "
                "endpoints: [{addresses: [10.0.0.1], targetRef: {kind: Pod, name: web-0}}, "
                "{addresses: [192.0.2.7]}]}"
            ),
        ]
    )

    manifests = read(text)
    (web,) = manifests.scenario.services
    assert ["web-0"] == [pod.name for pod in selected_pods(manifests.scenario, web)]
    assert any("endpoints[1]" in note for note in manifests.notes)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("{clusterIP: None, selector: {app: web}}", "is headless"),
        ("{type: ExternalName, externalName: example.com}", "is a name for a host outside"),
        ("{selector: {app: none}, ports: [{port: 80}]}", "no pod stands behind"),
    ],
)
def test_services_that_cannot_be_dialled_are_explained(spec: str, words: str) -> None:
    """None of them is passed over in silence."""
    notes = read(service(spec)).notes

    assert any(words in note for note in notes)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("0.0.0.0", "cannot stand for a Service"),  # noqa: S104
        ("127.0.0.1", "cannot stand for a Service"),
        ("10.244.1.1", "belongs to the cluster's own"),
    ],
)
def test_impossible_external_ips_are_refused(address: str, words: str) -> None:
    """They would capture the lab's own addresses."""
    with pytest.raises(ManifestError, match=words):
        read(service(f"{{externalIPs: [{address}], ports: [{{port: 80}}]}}"))


def test_two_services_cannot_share_an_external_address_and_port() -> None:
    """Kubernetes leaves open which of them answers."""
    spec = "{externalIPs: [192.0.2.1], ports: [{port: 80}]}"

    with pytest.raises(ManifestError, match="belongs to the Service shop/a already"):
        read(f"{service(spec, 'a')}\n---\n{service(spec, 'b')}")


def test_the_same_object_twice_counts_once_and_others_clash() -> None:
    """Folders often hold copies; two versions of one name are a mistake."""
    one = service("{ports: [{port: 80}]}")

    assert 1 == len(read(f"{one}\n---\n{one}").scenario.services)
    with pytest.raises(ManifestError, match="stands already"):
        read(f"{one}\n---\n{service('{ports: [{port: 81}]}')}")


def test_folders_are_read_with_the_folders_in_them(tmp_path: Path) -> None:
    """Hidden ones are not, nor files of other kinds; `-` is standard input."""
    for name in ("a.yaml", "deep/b.yml", "deep/c.json", ".git/d.yaml", "notes.txt"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        metadata = f'{{"name": "{file.stem}"}}'
        file.write_text(f'{{"apiVersion": "v1", "kind": "Namespace", "metadata": {metadata}}}')
    piped = b"{apiVersion: v1, kind: Namespace, metadata: {name: piped}}"

    reading = read_users_files([str(tmp_path), "-"], piped)

    assert ["a", "b", "c", "piped"] == [found.name for found in reading.objects]


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    """A path that is not there, a folder without manifests, a template."""
    with pytest.raises(ManifestError, match="No such file"):
        read_users_files([str(tmp_path / "missing.yaml")])
    with pytest.raises(ManifestError, match=r"ends in \.yaml"):
        read_users_files([str(tmp_path)])
    with pytest.raises(ManifestError, match="helm template"):
        read_users_text("{{- if .Values.x }}\nkind: Pod\n{{- end }}", "chart.yaml")


def test_subnets_of_the_real_cluster_are_checked() -> None:
    """Unknown names, IPv6 and overlaps are refused before anything is created."""
    assert {"pods": IPv4Network("10.0.0.0/16")} == check_subnets({"pods": "10.0.0.0/16"}, NODES)
    for given, words in (
        ({"host": "10.0.0.0/8"}, "not known"),
        ({"pods": "fd00::/64"}, "IPv6"),
        ({"pods": "10.96.0.0/12"}, "overlaps"),
        ({"services": "10.9.0.0/28"}, "too small"),
    ):
        with pytest.raises(LabError, match=words):
            check_subnets(given, NODES)
