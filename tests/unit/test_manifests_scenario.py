"""From a folder of manifests to a scenario: defaults, placement, addresses, notes."""

import shutil
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path

import pytest

from nodeport_lab.errors import ManifestError, UnknownNameError
from nodeport_lab.manifests import (
    bind_cidrs,
    build_scenario,
    cidr_facts,
    load_scenario,
    read_cluster,
    read_directory,
    read_objects,
)
from nodeport_lab.model import (
    ContainerPort,
    IPBlock,
    Namespace,
    Network,
    Node,
    Pod,
    Protocol,
    Scenario,
    Service,
    ServicePort,
)

MANIFESTS = Path(__file__).parents[2] / "manifests"

CLUSTER = """
apiVersion: kind.x-k8s.io/v1alpha4
kind: Cluster
name: dev
nodes:
  - role: control-plane
  - role: worker
    labels: {zone: east}
  - role: worker
"""

EMBEDDED_FACTS = {"nodes": "172.18.0.0/24", "pods": "10.244.0.0/16", "services": "10.96.0.0/16"}
OTHER_FACTS = {"nodes": "192.0.2.0/26", "pods": "10.1.0.0/16", "services": "10.2.0.0/16"}


def scenario(text: str, cluster: str = CLUSTER) -> Scenario:
    """The scenario of a text in a small cluster."""
    return build_scenario(read_cluster(cluster, "dev.yaml"), read_objects(text, "x.yaml"))


def deployment(name: str, replicas: int, spec: str = "") -> str:
    """A Deployment whose pods have one container."""
    return f"""
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: main}}]{spec}}}
"""


def pod(name: str, spec: str = "") -> str:
    """A Pod of one container."""
    return f"""
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec: {{containers: [{{name: main}}]{spec}}}
"""


def service(spec: str, name: str = "web") -> str:
    """A Service."""
    return f"""
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{{spec}}}
"""


# --- the report's scenario ----------------------------------------------------------------


def test_the_cluster_of_the_report() -> None:
    """One control plane and two workers, named as kind names them, with kind's subnets."""
    loaded = load_scenario(MANIFESTS)
    nodes = (Node("dev-control-plane", control_plane=True), Node("dev-worker"), Node("dev-worker2"))
    assert nodes == loaded.nodes
    assert ("dev", IPv4Network("10.244.0.0/16"), IPv4Network("10.96.0.0/16")) == (
        loaded.cluster,
        loaded.pod_cidr,
        loaded.service_cidr,
    )


def test_the_pods_of_the_report() -> None:
    """The server shares its node with client-a; client-b is on the other worker."""
    app = "nodeport-lab"
    http = ContainerPort(8080, Protocol.TCP, "http")
    expected = (
        Pod(app, "client-a", "dev-worker", (("app", "client"),), workload="client-a"),
        Pod(app, "client-b", "dev-worker2", (("app", "client"),), workload="client-b"),
        Pod(app, "hello-0", "dev-worker", (("app", "hello"),), (http,), workload="hello"),
    )
    loaded = load_scenario(MANIFESTS)
    assert expected == loaded.pods
    label = ("kubernetes.io/metadata.name", app)
    assert (Namespace(app, (label,)),) == loaded.namespaces


def test_the_service_of_the_report() -> None:
    """The ports of the Service, of the pod and of the node are three numbers."""
    port = ServicePort(80, 8080, Protocol.TCP, "http", 30080)
    expected = Service("nodeport-lab", "hello", (("app", "hello"),), (port,), "NodePort")
    assert (expected,) == load_scenario(MANIFESTS).services


def test_each_policy_has_a_file_of_its_name() -> None:
    """A policy is found by its name: the file is called like it and holds nothing else."""
    stems = [path.stem for path in sorted((MANIFESTS / "policies").iterdir())]
    names = [
        "both",
        "deny-egress",
        "ipblock-any",
        "ipblock-nodes",
        "ipblock-pods",
        "ipblock-services",
        "namespaceselector",
        "podselector-server",
    ]
    assert names == stems
    assert names == [policy.name for policy in load_scenario(MANIFESTS).policies]


def test_every_policy_of_the_report_selects_the_clients_for_egress_alone() -> None:
    """The policies differ in their peers only, so that their outcomes can be compared."""
    policies = load_scenario(MANIFESTS).policies
    assert {(("app", "client"),)} == {policy.pod_selector.match_labels for policy in policies}
    assert {frozenset({"egress"})} == {policy.directions for policy in policies}
    assert {()} == {rule.ports for policy in policies for rule in policy.egress}


def test_the_reports_manifests_need_no_note() -> None:
    """Nothing in the report's scenario is left unprobed."""
    assert () == load_scenario(MANIFESTS).notes


def test_reading_does_not_import_the_kubernetes_client() -> None:
    """The client takes a second to import; the fast path must never do it."""
    program = (
        "import sys; from pathlib import Path; from nodeport_lab.manifests import load_scenario;"
        f"load_scenario(Path({str(MANIFESTS)!r}));"
        "print(sorted({'kubernetes', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "[]\n" == done.stdout


# --- folders ------------------------------------------------------------------------------


def test_namespaces_are_applied_first() -> None:
    """Objects come in an order in which a cluster accepts them."""
    assert "Namespace" == read_directory(MANIFESTS)[0].kind


def test_an_unknown_cluster_names_those_that_there_are() -> None:
    """A cluster is the name of a file in `kind`."""
    with pytest.raises(UnknownNameError, match="no cluster 'prod'; choose one of: atlas, dev"):
        load_scenario(MANIFESTS, "prod")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A wrong path is an error that names the path."""
    with pytest.raises(ManifestError) as caught:
        load_scenario(tmp_path)
    path = tmp_path / "kind" / "dev.yaml"
    assert str(caught.value).startswith(f"{path}: this file cannot be read (No such file")
    (tmp_path / "kind").mkdir()
    shutil.copy(MANIFESTS / "kind" / "dev.yaml", path)
    with pytest.raises(ManifestError) as caught:
        load_scenario(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'workloads'}: there is no such folder")


def test_only_manifests_are_read(tmp_path: Path) -> None:
    """Files of another suffix belong to nobody; JSON is as good as YAML."""
    shutil.copytree(MANIFESTS, tmp_path / "copy")
    policies = tmp_path / "copy" / "policies"
    (policies / "notes.md").write_text("not: [a manifest")
    (policies / "z.json").write_text(
        '{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",'
        ' "metadata": {"name": "z", "namespace": "nodeport-lab"}, "spec": {}}'
    )
    names = [policy.name for policy in load_scenario(tmp_path / "copy").policies]
    assert [*(policy.name for policy in load_scenario(MANIFESTS).policies), "z"] == names


# --- kind ---------------------------------------------------------------------------------


def test_nodes_are_numbered_as_kind_numbers_them() -> None:
    """The first of a role has no number; a node without a role is a control plane."""
    text = CLUSTER.replace("nodes:", "nodes:\n  - {}").replace("name: dev", "name: x.y")
    names = [node.name for node in read_cluster(text, "dev.yaml").nodes]
    expected = ["x.y-control-plane", "x.y-control-plane2", "x.y-worker", "x.y-worker2"]
    assert expected == names


def test_the_defaults_of_kind() -> None:
    """Name and subnets are kind's where the configuration gives none."""
    cluster = read_cluster(CLUSTER.replace("name: dev", ""), "dev.yaml")
    assert ("kind", "kind-worker") == (cluster.name, cluster.nodes[1].name)
    assert IPv4Network("10.244.0.0/16") == cluster.pod_cidr
    assert IPv4Network("10.96.0.0/16") == cluster.service_cidr


@pytest.mark.parametrize(
    ("networking", "field", "expected"),
    [
        ("podSubnet: 'fd00:10:244::/56,10.9.0.0/16'", "podSubnet", "10.9.0.0/16"),
        ("ipFamily: dual", "ipFamily", "10.244.0.0/16"),
    ],
)
def test_of_two_families_the_lab_takes_ipv4_and_says_so(
    networking: str, field: str, expected: str
) -> None:
    """A dual-stack cluster is accepted; its IPv6 part is noted."""
    found = scenario("", f"{CLUSTER}\nnetworking: {{{networking}}}")
    note = f"dev.yaml, document 1, networking.{field}: IPv6 is accepted and never probed"
    assert (IPv4Network(expected), (note,)) == (found.pod_cidr, found.notes)


# --- namespaces, pods and placement -------------------------------------------------------


def test_the_default_namespace_is_there_when_something_lives_in_it() -> None:
    """A built-in namespace needs no manifest, and has the label that Kubernetes gives it."""
    label = ("kubernetes.io/metadata.name", "default")
    assert (Namespace("default", (label,)),) == scenario(pod("a")).namespaces
    assert () == scenario("").namespaces


def test_the_name_label_of_a_namespace_cannot_be_changed() -> None:
    """Kubernetes writes the name over whatever the manifest says."""
    text = """
    apiVersion: v1
    kind: Namespace
    metadata: {name: a, labels: {kubernetes.io/metadata.name: b, app: c}}
    """
    labels = (("app", "c"), ("kubernetes.io/metadata.name", "a"))
    assert (Namespace("a", labels),) == scenario(text).namespaces


def test_pods_without_a_node_take_the_workers_in_turn() -> None:
    """Placement is the same every time and spreads what may run anywhere."""
    text = pod("a") + deployment("d", 3) + pod("b", ", nodeName: dev-worker") + pod("c")
    placed = [(found.name, found.node) for found in scenario(text).pods]
    expected = [
        ("a", "dev-worker"),
        ("d-0", "dev-worker2"),
        ("d-1", "dev-worker"),
        ("d-2", "dev-worker2"),
        ("b", "dev-worker"),
        ("c", "dev-worker"),
    ]
    assert expected == placed


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (", nodeName: dev-worker2", "dev-worker2"),
        (", nodeSelector: {kubernetes.io/hostname: dev-worker2}", "dev-worker2"),
        (", nodeSelector: {zone: east}", "dev-worker"),
        (", nodeSelector: {zone: east, kubernetes.io/os: linux}", "dev-worker"),
        (", nodeName: dev-worker2, nodeSelector: {zone: east}", "dev-worker2"),
    ],
)
def test_a_pod_runs_where_it_asks_to(spec: str, expected: str) -> None:
    """NodeName decides, then the labels of the nodes."""
    assert [expected] * 2 == [found.node for found in scenario(deployment("d", 2, spec)).pods]


def test_a_deployment_without_replicas_has_one_pod() -> None:
    """The API's default is one pod; zero is none."""
    assert ["d-0"] == [
        found.name for found in scenario(deployment("d", 2).replace("replicas: 2", "")).pods
    ]
    assert () == scenario(deployment("d", 0)).pods


def test_ports_of_a_pod_are_those_that_can_be_reached() -> None:
    """All containers count, and init containers only if they keep running."""
    text = """
    apiVersion: v1
    kind: Pod
    metadata: {name: a}
    spec:
      hostNetwork: true
      initContainers:
        - {name: once, ports: [{containerPort: 1}]}
        - {name: sidecar, restartPolicy: Always, ports: [{containerPort: 2, protocol: UDP}]}
      containers:
        - {name: one, ports: [{containerPort: 3, name: http}]}
        - {name: two, ports: [{containerPort: 4, protocol: SCTP}]}
    """
    (found,) = scenario(text).pods
    expected = (
        ContainerPort(2, Protocol.UDP),
        ContainerPort(3, Protocol.TCP, "http"),
        ContainerPort(4, Protocol.SCTP),
    )
    assert (expected, True) == (found.ports, found.host_network)


def test_fields_that_the_lab_does_not_need_are_accepted() -> None:
    """A manifest full of what only a real cluster uses is read like any other."""
    spec = """, tolerations: [{operator: Exists}], priority: 1,
      dnsConfig: {options: [{name: ndots, value: "1"}]}, overhead: {cpu: 1.5},
      volumes: [{name: v, emptyDir: {sizeLimit: 1}}]"""
    status = "status: {phase: Running, startTime: 2026-01-31T12:00:00Z, conditions: null}"
    assert ["a"] == [found.name for found in scenario(pod("a", spec) + status).pods]


# --- Services -----------------------------------------------------------------------------


def test_the_defaults_of_a_service() -> None:
    """Type, protocol, targetPort and traffic policies are those of the API."""
    (found,) = scenario(service("ports: [{port: 80}]")).services
    assert Service("default", "web", (), (ServicePort(80, 80),)) == found


@pytest.mark.parametrize("target", [0, "''", "~"])
def test_an_empty_target_port_is_the_port(target: object) -> None:
    """The API takes 0, nothing and empty text for the Service's own port."""
    (found,) = scenario(service(f"ports: [{{port: 80, targetPort: {target}}}]")).services
    assert 80 == found.ports[0].target_port


def test_a_target_port_that_no_pod_has_is_accepted() -> None:
    """A name that nobody declares is a Service without endpoints, as in Kubernetes."""
    (found,) = scenario(service("ports: [{port: 80, targetPort: nobody}]")).services
    assert "nobody" == found.ports[0].target_port


def test_everything_a_service_can_say() -> None:
    """What the model holds of a Service is what the manifest says."""
    text = service("""
      type: LoadBalancer, selector: {b: c, a: d}, clusterIP: 10.96.0.9, clusterIPs: [10.96.0.9],
      externalTrafficPolicy: Local, internalTrafficPolicy: Local, externalIPs: [192.0.2.1],
      ports: [{name: a, port: 53, protocol: UDP, targetPort: dns, nodePort: 30053}]""")
    expected = Service(
        namespace="default",
        name="web",
        selector=(("a", "d"), ("b", "c")),
        ports=(ServicePort(53, "dns", Protocol.UDP, "a", 30053),),
        type_="LoadBalancer",
        cluster_ip="10.96.0.9",
        external_traffic_policy="Local",
        internal_traffic_policy="Local",
        external_ips=("192.0.2.1",),
    )
    assert (expected,) == scenario(text).services


def test_a_node_port_that_is_left_open_is_given_by_the_lab() -> None:
    """Every NodePort Service can be dialled: free numbers, the same ones every time."""
    text = (
        service("type: NodePort, ports: [{port: 80}]", "a")
        + service("type: NodePort, ports: [{port: 80, nodePort: 30086}]", "b")
        + service("type: LoadBalancer, ports: [{port: 80}]", "c")
        + service("type: NodePort, ports: [{port: 80, protocol: UDP}]", "d")
    )
    given = [found.ports[0].node_port for found in scenario(text).services]
    assert [30087, 30086, 30088, 30086] == given


@pytest.mark.parametrize(
    "spec",
    [
        "ports: [{port: 80}]",
        "type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: 80}]",
        "clusterIP: None, ports: [{port: 80}]",
    ],
)
def test_other_services_get_no_node_port(spec: str) -> None:
    """Only the types that have NodePorts get one, unless they decline."""
    assert scenario(service(spec)).services[0].ports[0].node_port is None


def test_services_without_an_address() -> None:
    """Headless Services and ExternalNames have no cluster IP and need no ports."""
    text = service("clusterIP: None", "a") + service(
        "type: ExternalName, externalName: example.com", "b"
    )
    assert ["None", "None"] == [found.cluster_ip for found in scenario(text).services]


# --- what has no effect -------------------------------------------------------------------


def test_ipv6_and_sctp_are_accepted_and_noted() -> None:
    """Each part that will not be probed is named with its place, and nothing else is."""
    text = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p}
spec:
  ingress: [{from: [{ipBlock: {cidr: 'fd00::/8'}}]}]
  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 1}, {protocol: SCTP}]}]
""" + service(
        "clusterIPs: [10.96.0.9, 'fd00::9'], externalIPs: ['2001:db8::1'],"
        "ipFamilies: [IPv4, IPv6], ports: [{port: 1, protocol: SCTP}]"
    )
    found = scenario(text)
    ignored = "is accepted and never probed"
    assert (
        f"x.yaml, document 2, spec.clusterIPs[1]: IPv6 {ignored}",
        f"x.yaml, document 2, spec.externalIPs[0]: IPv6 {ignored}",
        f"x.yaml, document 2, spec.ipFamilies[1]: IPv6 {ignored}",
        f"x.yaml, document 2, spec.ports[0].protocol: SCTP {ignored}",
        f"x.yaml, document 1, spec.ingress[0].from[0].ipBlock.cidr: IPv6 {ignored}",
        f"x.yaml, document 1, spec.egress[0].ports[1].protocol: SCTP {ignored}",
    ) == found.notes
    assert ("10.96.0.9", ()) == (found.services[0].cluster_ip, found.services[0].external_ips)
    assert (IPBlock(IPv6Network("fd00::/8")),) == found.policies[0].ingress[0].peers


@pytest.mark.parametrize("spec", ["ipFamilies: [IPv6]", "clusterIP: 'fd00::9'"])
def test_a_service_of_ipv6_alone_is_left_out_and_noted(spec: str) -> None:
    """A Service that has no IPv4 address could not be dialled here."""
    found = scenario(service(f"{spec}, ports: [{{port: 80}}]"))
    note = "x.yaml, document 1: this Service has IPv6 only; it is accepted and left out"
    assert ((), (note,)) == (found.services, found.notes)


def test_placement_that_the_lab_does_not_follow_is_noted() -> None:
    """An affinity is accepted, and a reader learns that it moved nothing."""
    affinity = ", affinity: {podAntiAffinity: {}}"
    text = pod("a", affinity) + deployment("d", 1, affinity)
    ignored = "accepted, but only nodeName and nodeSelector place pods here"
    assert (
        f"x.yaml, document 1, spec.affinity: {ignored}",
        f"x.yaml, document 2, spec.template.spec.affinity: {ignored}",
    ) == scenario(text).notes


# --- the CIDRs of a testbed ---------------------------------------------------------------


def test_binding_to_the_embedded_facts_changes_nothing() -> None:
    """The manifests hold the subnets of the embedded testbed already."""
    assert load_scenario(MANIFESTS) == load_scenario(MANIFESTS, facts=EMBEDDED_FACTS)
    objects = read_directory(MANIFESTS)
    assert list(objects) == [bind_cidrs(found, EMBEDDED_FACTS) for found in objects]


def test_binding_replaces_the_annotated_cidrs_and_no_others() -> None:
    """Each ipBlock follows its fact; selectors and 0.0.0.0/0 stay."""
    policies = {
        policy.name: policy for policy in load_scenario(MANIFESTS, facts=OTHER_FACTS).policies
    }
    cidrs = {
        name: [
            str(peer.cidr)
            for rule in policy.egress
            for peer in rule.peers
            if isinstance(peer, IPBlock)
        ]
        for name, policy in policies.items()
    }
    assert {
        "both": ["192.0.2.0/26"],
        "deny-egress": [],
        "ipblock-any": ["0.0.0.0/0"],
        "ipblock-nodes": ["192.0.2.0/26"],
        "ipblock-pods": ["10.1.0.0/16"],
        "ipblock-services": ["10.2.0.0/16"],
        "namespaceselector": [],
        "podselector-server": [],
    } == cidrs


def test_a_bound_policy_can_be_bound_again() -> None:
    """Binding keeps the annotation true, so the way back leads to the same manifest."""
    objects = read_directory(MANIFESTS)
    away = [bind_cidrs(found, OTHER_FACTS) for found in objects]
    assert away != list(objects)
    assert list(objects) == [bind_cidrs(found, EMBEDDED_FACTS) for found in away]


def test_binding_reaches_except_and_several_facts() -> None:
    """An annotation may name several CIDRs, and an exception follows like a range."""
    text = """
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata:
      name: p
      annotations: {nodeport-lab/cidr-facts: "10.0.0.0/8=nodes, 10.1.0.0/16=pods"}
    spec:
      ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.2.0.0/16, 10.1.0.0/16]}}]}]
    """
    (policy,) = read_objects(text, "x.yaml")
    bound = bind_cidrs(policy, {"nodes": "10.0.0.0/7", "pods": "11.0.0.0/16"})
    block = bound.field.value["spec"]["ingress"][0]["from"][0]["ipBlock"]
    assert {"cidr": "10.0.0.0/7", "except": ["10.2.0.0/16", "11.0.0.0/16"]} == block


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"pods": "10.1.0.0/16"}, "this testbed does not know the fact 'nodes'; it gives: pods"),
        ({}, "this testbed does not know the fact 'nodes'; it gives: none"),
        ({"nodes": "here"}, "the fact 'nodes' of this testbed is no range: 'here' is not an IPv4"),
    ],
)
def test_facts_that_do_not_fit_are_refused(facts: dict[str, str], expected: str) -> None:
    """A policy is never left with the addresses of another testbed."""
    (policy,) = (found for found in read_directory(MANIFESTS) if found.name == "ipblock-nodes")
    with pytest.raises(ManifestError) as caught:
        bind_cidrs(policy, facts)
    path = MANIFESTS / "policies" / "ipblock-nodes.yaml"
    place = f'{path}, document 1, metadata.annotations["nodeport-lab/cidr-facts"]: '
    assert str(caught.value).startswith(place + expected)


def test_the_facts_of_a_testbed_are_its_subnets() -> None:
    """What a testbed reports about its network is what binding needs."""
    network = Network(
        node_cidr=IPv4Network("172.18.0.0/24"),
        pod_cidr=IPv4Network("10.244.0.0/16"),
        service_cidr=IPv4Network("10.96.0.0/16"),
        nodes={"dev-worker": IPv4Address("172.18.0.2")},
        node_pod_cidrs={},
        pods={},
        cluster_ips={},
    )
    assert EMBEDDED_FACTS == cidr_facts(network)
