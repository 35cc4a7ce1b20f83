"""What Kubernetes does not know is one clear error with file, document and field."""

import pytest

from nodeport_lab.errors import ManifestError
from nodeport_lab.manifests import build_scenario, read_cluster, read_objects
from nodeport_lab.model import Scenario

CLUSTER = """
apiVersion: kind.x-k8s.io/v1alpha4
kind: Cluster
name: dev
nodes: [{role: control-plane}, {role: worker}, {role: worker}]
"""

POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: p}}
spec: {spec}
"""

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec: {spec}
"""

SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {spec}
"""

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec: {spec}
"""

TEMPLATE = "template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web}]}}"


def scenario(text: str) -> Scenario:
    """The scenario of a text in a cluster of two workers."""
    return build_scenario(read_cluster(CLUSTER, "dev.yaml"), read_objects(text, "x.yaml"))


def peer(text: str) -> str:
    """A policy with one egress peer."""
    return POLICY.format(spec=f"{{egress: [{{to: [{text}]}}]}}")


def selector(text: str) -> str:
    """A policy with this podSelector."""
    return POLICY.format(spec=f"{{podSelector: {text}}}")


def clause(text: str) -> str:
    """A policy with one egress port clause."""
    return POLICY.format(spec=f"{{egress: [{{ports: [{text}]}}]}}")


def service_port(text: str, more: str = "") -> str:
    """A Service with these ports."""
    return SERVICE.format(spec=f"{{ports: [{text}]{more}}}")


def container(text: str) -> str:
    """A Pod with one container of these fields."""
    return POD.format(spec=f"{{containers: [{{name: web, {text}}}]}}")


def named(name: str, kind: str = "Pod") -> str:
    """An object of that name that has nothing else."""
    return f"{{apiVersion: v1, kind: {kind}, metadata: {{name: {name}}}}}"


PEER = "spec.egress[0].to[0]"
PORT = "spec.egress[0].ports[0]"

CASES = {
    # kinds, lists and metadata
    "not a mapping": ("- a", "", "a list stands where an object belongs"),
    "no kind": ("{apiVersion: v1}", "kind", "nothing stands where a kind belongs"),
    "unknown kind": (
        "{apiVersion: networking.k8s.io/v1, kind: Ingress}",
        "kind",
        (
            "the lab reads ConfigMap, DaemonSet, Deployment, EndpointSlice, Job, List, Namespace, "
            "NetworkPolicy, Pod, ReplicaSet, Service, StatefulSet, and not 'Ingress'"
        ),
    ),
    "misspelt kind": ("{kind: Networkpolicy}", "kind", "did you mean 'NetworkPolicy'?"),
    "kind of another type": ("{kind: [Pod]}", "kind", "a list stands where a kind belongs"),
    "no apiVersion": ("{kind: Pod}", "apiVersion", "this Pod is missing; write v1"),
    "other apiVersion": (
        "{kind: Deployment, apiVersion: extensions/v1beta1}",
        "apiVersion",
        "this Deployment is 'extensions/v1beta1'; write apps/v1",
    ),
    "fault inside a List": (
        "{apiVersion: v1, kind: List, items: [{kind: CronJob}]}",
        "items[0].kind",
        "and not 'CronJob'",
    ),
    "List without items": ("{apiVersion: v1, kind: List}", "items", "this field is missing"),
    "no name": ("{apiVersion: v1, kind: Pod}", "metadata.name", "this Pod has no name"),
    "name with capitals": (named("Web"), "metadata.name", "'Web' is not a DNS name"),
    "name with an underscore": (named("a_b"), "metadata.name", "'a_b' is not a DNS name"),
    "long name": (named("a" * 254), "metadata.name", "is not a DNS name"),
    "Service name with a dot": (named("a.b", "Service"), "metadata.name", "is not a DNS label"),
    "Namespace with a dot": (named("a.b", "Namespace"), "metadata.name", "is not a DNS label"),
    "name of another type": (named("1"), "metadata.name", "number 1 stands where text belongs"),
    "Namespace in a namespace": (
        "{apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: b}}",
        "metadata.namespace",
        "a Namespace lives in no namespace",
    ),
    "bad namespace": (
        "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: B}}",
        "metadata.namespace",
        "'B' is not a DNS label",
    ),
    "bad label value": (
        "{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {app: '-'}}}",
        "metadata.labels.app",
        "'-' is not a label value",
    ),
    "bad annotation key": (
        "{apiVersion: v1, kind: Namespace, metadata: {name: a, annotations: {/: x}}}",
        'metadata.annotations["/"]',
        "'/' is not a label key",
    ),
    # fields and types
    "unknown field": (
        POLICY.format(spec="{podSelectors: {}}"),
        "spec.podSelectors",
        "there is no such field; did you mean 'podSelector'?",
    ),
    "unknown field in another spelling": (
        peer("{ipblock: {cidr: 10.0.0.0/8}}"),
        f"{PEER}.ipblock",
        "did you mean 'ipBlock'?",
    ),
    "unknown field without a near miss": (
        POLICY.format(spec="{zzz: 1}"),
        "spec.zzz",
        "choose one of: egress, ingress, podSelector, policyTypes",
    ),
    "field in the spelling of Python": (clause("{end_port: 1}"), f"{PORT}.end_port", "'endPort'"),
    "mapping for a list": (
        POLICY.format(spec="{egress: {}}"),
        "spec.egress",
        "a mapping stands where a list belongs",
    ),
    "list for a mapping": (POLICY.format(spec="[]"), "spec", "a list stands where a mapping"),
    "text for a mapping": (peer("{podSelector: all}"), f"{PEER}.podSelector", "the text 'all'"),
    "empty entry": (POLICY.format(spec="{egress: [~]}"), "spec.egress[0]", "this entry is empty"),
    "text for a number": (
        service_port("{port: '80'}"),
        "spec.ports[0].port",
        "the text '80' stands where a whole number belongs; write a whole number, without quotes",
    ),
    "number for text": (
        selector("{matchLabels: {app: 1}}"),
        "spec.podSelector.matchLabels.app",
        "the number 1 stands where text belongs; put it in quotes",
    ),
    "word that YAML takes for a boolean": (
        selector("{matchLabels: {app: yes}}"),
        "spec.podSelector.matchLabels.app",
        "true stands where text belongs; put it in quotes",
    ),
    "fraction for a number": (service_port("{port: 80.0}"), "spec.ports[0].port", "number 80.0"),
    "boolean for a number": (service_port("{port: true}"), "spec.ports[0].port", "true stands"),
    "text for a boolean": (POD.format(spec="{hostNetwork: 'true'}"), "spec.hostNetwork", "'true'"),
    "endless number": (service_port(f"{{port: {10**30}}}"), "spec.ports[0].port", "whole number"),
    "no time": (
        "{apiVersion: v1, kind: Namespace, metadata: {name: a, creationTimestamp: now}}",
        "metadata.creationTimestamp",
        "the text 'now' stands where a time such as",
    ),
    "missing field": (
        selector("{matchExpressions: [{operator: Exists}]}"),
        "spec.podSelector.matchExpressions[0].key",
        "this field is missing",
    ),
    "required field that is null": (
        peer("{ipBlock: {cidr: ~}}"),
        f"{PEER}.ipBlock.cidr",
        "missing",
    ),
    # selectors
    "unknown operator": (
        selector("{matchExpressions: [{key: a, operator: in, values: [b]}]}"),
        "spec.podSelector.matchExpressions[0].operator",
        "'in' is not known here; did you mean 'In'?",
    ),
    "In without values": (
        selector("{matchExpressions: [{key: a, operator: In}]}"),
        "spec.podSelector.matchExpressions[0].values",
        "the operator In needs at least one value",
    ),
    "NotIn with no value in the list": (
        selector("{matchExpressions: [{key: a, operator: NotIn, values: []}]}"),
        "spec.podSelector.matchExpressions[0].values",
        "the operator NotIn needs at least one value",
    ),
    "Exists with values": (
        selector("{matchExpressions: [{key: a, operator: Exists, values: [b]}]}"),
        "spec.podSelector.matchExpressions[0].values",
        "the operator Exists takes no values",
    ),
    "bad value of an expression": (
        selector("{matchExpressions: [{key: a, operator: In, values: [b, 'c d']}]}"),
        "spec.podSelector.matchExpressions[0].values[1]",
        "'c d' is not a label value",
    ),
    "bad key of an expression": (
        selector("{matchExpressions: [{key: a/b/c, operator: Exists}]}"),
        "spec.podSelector.matchExpressions[0].key",
        "'a/b/c' is not a label key",
    ),
    "bad label key": (
        selector("{matchLabels: {-a: b}}"),
        "spec.podSelector.matchLabels.-a",
        "'-a' is not a label key",
    ),
    "bad label key prefix": (
        selector("{matchLabels: {A/b: c}}"),
        'spec.podSelector.matchLabels["A/b"]',
        "what stands before '/' must be a DNS name",
    ),
    "long label value": (
        selector(f"{{matchLabels: {{a: {'b' * 64}}}}}"),
        "spec.podSelector.matchLabels.a",
        "is not a label value",
    ),
    # policies
    "unknown policyType": (
        POLICY.format(spec="{policyTypes: [Egress, Outgress]}"),
        "spec.policyTypes[1]",
        "'Outgress' is not known here; did you mean 'Egress'?",
    ),
    "empty peer": (peer("{}"), PEER, "this peer is empty"),
    "ipBlock and a selector": (
        peer("{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}"),
        PEER,
        "a peer is an ipBlock or selectors, not both",
    ),
    "ipBlock and a namespaceSelector in ingress": (
        POLICY.format(
            spec="{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, namespaceSelector: {}}]}]}"
        ),
        "spec.ingress[0].from[0]",
        "a peer is an ipBlock or selectors, not both",
    ),
    "long prefix": (
        peer("{ipBlock: {cidr: 10.0.0.0/33}}"),
        f"{PEER}.ipBlock.cidr",
        "'10.0.0.0/33' is not an IPv4 or IPv6 range; write it like 10.0.0.0/8",
    ),
    "address without a prefix": (
        peer("{ipBlock: {cidr: 10.0.0.0}}"),
        f"{PEER}.ipBlock.cidr",
        "'10.0.0.0' is not an IPv4 or IPv6 range",
    ),
    "netmask": (
        peer("{ipBlock: {cidr: 10.0.0.0/255.0.0.0}}"),
        f"{PEER}.ipBlock.cidr",
        "is not an IPv4 or IPv6 range",
    ),
    "leading zero": (peer("{ipBlock: {cidr: 010.0.0.0/8}}"), f"{PEER}.ipBlock.cidr", "is not an"),
    "host bits": (
        peer("{ipBlock: {cidr: 172.18.0.1/24}}"),
        f"{PEER}.ipBlock.cidr",
        "'172.18.0.1/24' has host bits set; write 172.18.0.0/24",
    ),
    "IPv4 written as IPv6": (
        peer("{ipBlock: {cidr: '::ffff:10.0.0.0/104'}}"),
        f"{PEER}.ipBlock.cidr",
        "is an IPv4 range written as IPv6",
    ),
    "except outside": (
        peer("{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}"),
        f"{PEER}.ipBlock.except[0]",
        "'11.0.0.0/16' is no smaller part of '10.0.0.0/8'",
    ),
    "except that is everything": (
        peer("{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.0.0.0/8]}}"),
        f"{PEER}.ipBlock.except[1]",
        "is no smaller part of",
    ),
    "except of the other family": (
        peer("{ipBlock: {cidr: 10.0.0.0/8, except: ['fd00::/16']}}"),
        f"{PEER}.ipBlock.except[0]",
        "is no smaller part of",
    ),
    "except with host bits": (
        peer("{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.1/24]}}"),
        f"{PEER}.ipBlock.except[0]",
        "has host bits set",
    ),
    "unknown protocol": (
        clause("{protocol: FOO, port: 1}"),
        f"{PORT}.protocol",
        "'FOO' is not known here; choose one of: SCTP, TCP, UDP",
    ),
    "protocol in small letters": (clause("{protocol: tcp}"), f"{PORT}.protocol", "mean 'TCP'?"),
    "port 0": (clause("{port: 0}"), f"{PORT}.port", "0 is not a port"),
    "large port": (clause("{port: 65536}"), f"{PORT}.port", "65536 is not a port"),
    "number as a port's name": (clause("{port: '80'}"), f"{PORT}.port", "write 80 without quotes"),
    "long port name": (clause(f"{{port: {'a' * 16}}}"), f"{PORT}.port", "is not a port name"),
    "endPort alone": (clause("{endPort: 80}"), f"{PORT}.endPort", "a range needs a number in port"),
    "endPort after a name": (
        clause("{port: http, endPort: 80}"),
        f"{PORT}.endPort",
        "a range needs a number in port",
    ),
    "endPort before port": (
        clause("{port: 81, endPort: 80}"),
        f"{PORT}.endPort",
        "80 lies before the range's start 81",
    ),
    "large endPort": (
        clause("{port: 1, endPort: 70000}"),
        f"{PORT}.endPort",
        "70000 is not a port",
    ),
    "policy named like its absence": (
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: no-policy}}",
        "metadata.name",
        "what the lab calls the absence of policy",
    ),
    # pods and Deployments
    "no spec": (named("web"), "spec", "this field is missing"),
    "no containers": (POD.format(spec="{}"), "spec.containers", "this field is missing"),
    "empty containers": (POD.format(spec="{containers: []}"), "spec.containers", "at least one"),
    "containers of one name": (
        POD.format(spec="{containers: [{name: a}, {name: a}]}"),
        "spec.containers[1].name",
        "two containers are called 'a'",
    ),
    "container's name": (container("image: x, ports: [{}]"), "spec.containers[0].ports[0]", "miss"),
    "containerPort 0": (
        container("ports: [{containerPort: 0}]"),
        "spec.containers[0].ports[0].containerPort",
        "0 is not a port",
    ),
    "container's protocol": (
        container("ports: [{containerPort: 1, protocol: ICMP}]"),
        "spec.containers[0].ports[0].protocol",
        "'ICMP' is not known here",
    ),
    "name of a container's port": (
        container("ports: [{containerPort: 1, name: a--b}]"),
        "spec.containers[0].ports[0].name",
        "'a--b' is not a port name",
    ),
    "ports of one name": (
        container("ports: [{containerPort: 1, name: a}, {containerPort: 2, name: a}]"),
        "spec.containers[0].ports[1].name",
        "two ports are called 'a'",
    ),
    "hostPort": (
        container("ports: [{containerPort: 1, hostPort: -1}]"),
        "spec.containers[0].ports[0].hostPort",
        "-1 is not a port",
    ),
    "unknown node": (
        POD.format(spec="{containers: [{name: web}], nodeName: worker9}"),
        "spec.nodeName",
        "no worker is called 'worker9'; the workers of this cluster are dev-worker, dev-worker2",
    ),
    "control plane": (
        POD.format(spec="{containers: [{name: web}], nodeName: dev-control-plane}"),
        "spec.nodeName",
        "no worker is called 'dev-control-plane'",
    ),
    "unknown host name": (
        POD.format(spec="{containers: [{name: web}], nodeSelector: {kubernetes.io/hostname: x}}"),
        "spec.nodeSelector",
        "no worker has these labels",
    ),
    "Deployment without a selector": (
        DEPLOYMENT.format(spec=f"{{{TEMPLATE}}}"),
        "spec.selector",
        "this field is missing",
    ),
    "Deployment with an empty selector": (
        DEPLOYMENT.format(spec=f"{{selector: {{}}, {TEMPLATE}}}"),
        "spec.selector",
        "an empty selector would claim every pod",
    ),
    "Deployment that does not select its pods": (
        DEPLOYMENT.format(spec=f"{{selector: {{matchLabels: {{app: x}}}}, {TEMPLATE}}}"),
        "spec.selector",
        "the selector does not select the pods of the template",
    ),
    "negative replicas": (
        DEPLOYMENT.format(
            spec=f"{{replicas: -1, selector: {{matchLabels: {{app: web}}}}, {TEMPLATE}}}"
        ),
        "spec.replicas",
        "-1 pods are not possible here; ask for 0 to 250",
    ),
    "very many replicas": (
        DEPLOYMENT.format(
            spec=f"{{replicas: 1000000000, selector: {{matchLabels: {{app: web}}}}, {TEMPLATE}}}"
        ),
        "spec.replicas",
        "ask for 0 to 250",
    ),
    # Services
    "no ports": (SERVICE.format(spec="{}"), "spec.ports", "a ClusterIP Service needs at least one"),
    "unknown type": (
        service_port("{port: 80}", ", type: Nodeport"),
        "spec.type",
        "'Nodeport' is not known here; did you mean 'NodePort'?",
    ),
    "port 65536": (service_port("{port: 65536}"), "spec.ports[0].port", "65536 is not a port"),
    "targetPort": (
        service_port("{port: 80, targetPort: '8080'}"),
        "spec.ports[0].targetPort",
        "write 8080 without quotes",
    ),
    "nodePort outside the range": (
        service_port("{port: 80, nodePort: 8080}", ", type: NodePort"),
        "spec.ports[0].nodePort",
        "8080 is not in the range of NodePorts; use a number from 30000 to 32767",
    ),
    "nodePort of a ClusterIP": (
        service_port("{port: 80, nodePort: 30080}"),
        "spec.ports[0].nodePort",
        "a Service of type ClusterIP has no NodePort",
    ),
    "nodePort twice in a Service": (
        service_port(
            "{port: 80, nodePort: 30080, name: a}, {port: 81, nodePort: 30080, name: b}",
            ", type: NodePort",
        ),
        "spec.ports[1].nodePort",
        "30080 belongs to the Service default/web already",
    ),
    "ports without names": (
        service_port("{port: 80, name: a}, {port: 81}"),
        "spec.ports[1].name",
        "must name each",
    ),
    "Service ports of one name": (
        service_port("{port: 80, name: a}, {port: 81, name: a}"),
        "spec.ports[1].name",
        "two ports are called 'a'",
    ),
    "port twice": (
        service_port("{port: 80, name: a}, {port: 80, name: b}"),
        "spec.ports[1].port",
        "port 80 stands here twice for TCP",
    ),
    "bad port name of a Service": (
        service_port("{port: 80, name: A}"),
        "spec.ports[0].name",
        "'A' is not a DNS label",
    ),
    "traffic policy": (
        service_port("{port: 80}", ", type: NodePort, externalTrafficPolicy: local"),
        "spec.externalTrafficPolicy",
        "did you mean 'Local'?",
    ),
    "traffic policy without external traffic": (
        service_port("{port: 80}", ", externalTrafficPolicy: Local"),
        "spec.externalTrafficPolicy",
        "a ClusterIP Service has no external traffic",
    ),
    "bad clusterIP": (service_port("{port: 80}", ", clusterIP: x"), "spec.clusterIP", "'x' is not"),
    "clusterIP outside the subnet": (
        service_port("{port: 80}", ", clusterIP: 10.97.0.1"),
        "spec.clusterIP",
        "10.97.0.1 is outside the cluster's service subnet",
    ),
    "headless NodePort": (
        service_port("{port: 80}", ", clusterIP: None, type: NodePort"),
        "spec.clusterIP",
        "a NodePort Service cannot be headless",
    ),
    "bad externalIP": (
        service_port("{port: 80}", ", externalIPs: [192.0.2.300]"),
        "spec.externalIPs[0]",
        "'192.0.2.300' is not an IPv4 or IPv6 address",
    ),
    "externalIP that is IPv4 written as IPv6": (
        service_port("{port: 80}", ", externalIPs: ['::ffff:192.0.2.1']"),
        "spec.externalIPs[0]",
        "is an IPv4 address written as IPv6",
    ),
    "more NodePorts than there are": (
        service_port(
            ", ".join(f"{{port: {number}, name: p{number}}}" for number in range(1, 2770)),
            ", type: NodePort",
        ),
        "spec.ports",
        "every NodePort of the cluster is in use",
    ),
    "unknown family": (
        service_port("{port: 80}", ", ipFamilies: [IPv5]"),
        "spec.ipFamilies[0]",
        "'IPv5' is not known here",
    ),
    "ExternalName of nothing": (
        SERVICE.format(spec="{type: ExternalName}"),
        "spec.externalName",
        "this field is missing",
    ),
    "bad selector of a Service": (
        service_port("{port: 80}", ", selector: {app: a b}"),
        "spec.selector.app",
        "'a b' is not a label value",
    ),
    # the annotation that binds CIDRs
    "annotation without a fact": (
        peer("{ipBlock: {cidr: 10.0.0.0/8}}").replace(
            "name: p", "name: p, annotations: {nodeport-lab/cidr-facts: 10.0.0.0/8}"
        ),
        'metadata.annotations["nodeport-lab/cidr-facts"]',
        "write it like 172.18.0.0/24=nodes",
    ),
    "annotation of an unknown fact": (
        peer("{ipBlock: {cidr: 10.0.0.0/8}}").replace(
            "name: p", "name: p, annotations: {nodeport-lab/cidr-facts: 10.0.0.0/8=node}"
        ),
        'metadata.annotations["nodeport-lab/cidr-facts"]',
        "did you mean 'nodes'?",
    ),
    "annotation of a CIDR that is not there": (
        peer("{ipBlock: {cidr: 10.0.0.0/8}}").replace(
            "name: p", "name: p, annotations: {nodeport-lab/cidr-facts: 11.0.0.0/8=nodes}"
        ),
        'metadata.annotations["nodeport-lab/cidr-facts"]',
        "no ipBlock of this policy holds 11.0.0.0/8",
    ),
    "annotation with a fact twice": (
        peer("{ipBlock: {cidr: 10.0.0.0/8}}").replace(
            "name: p",
            'name: p, annotations: {nodeport-lab/cidr-facts: "10.0.0.0/8=nodes,11.0.0.0/8=nodes"}',
        ),
        'metadata.annotations["nodeport-lab/cidr-facts"]',
        "repeats a CIDR or a fact",
    ),
}


@pytest.mark.parametrize(("text", "path", "message"), CASES.values(), ids=CASES)
def test_a_fault_is_one_error_with_its_place(text: str, path: str, message: str) -> None:
    """The error names file, document and field, says what is wrong, and is one line."""
    with pytest.raises(ManifestError) as caught:
        scenario(text)
    error = str(caught.value)
    assert error.startswith("x.yaml, document 1" + (f", {path}" if path else ""))
    assert message in error
    assert 1 == len(error.splitlines())


def test_the_document_is_counted() -> None:
    """The error names the document in which the fault is."""
    with pytest.raises(ManifestError, match=r"^x\.yaml, document 2, spec\.egres: "):
        scenario(POLICY.format(spec="{}") + "---" + POLICY.format(spec="{egres: []}"))


def test_an_object_that_stands_twice_is_refused_with_both_places() -> None:
    """Two objects of the same kind, namespace and name cannot be one scenario."""
    with pytest.raises(ManifestError) as caught:
        scenario(POLICY.format(spec="{}") + "---" + POLICY.format(spec="{}"))
    expected = (
        "x.yaml, document 2: NetworkPolicy 'p' stands already in x.yaml, document 1; "
        "rename or remove one"
    )
    assert expected == str(caught.value)


def test_a_pod_that_a_deployment_makes_as_well_is_refused() -> None:
    """A Pod cannot have the name that the lab gives to a pod of a Deployment."""
    deployment = DEPLOYMENT.format(spec=f"{{selector: {{matchLabels: {{app: web}}}}, {TEMPLATE}}}")
    pod = POD.format(spec="{containers: [{name: web}]}").replace("name: web}\n", "name: web-0}\n")
    with pytest.raises(ManifestError, match="its pod default/web-0 would be there twice"):
        scenario(deployment + "---" + pod)


def test_two_services_cannot_share_an_address() -> None:
    """A cluster IP belongs to one Service."""
    one = service_port("{port: 80}", ", clusterIP: 10.96.0.9")
    two = one.replace("name: web}", "name: two}")
    with pytest.raises(ManifestError, match=r"10\.96\.0\.9 belongs to the Service default/web"):
        scenario(one + "---" + two)


def test_a_namespace_that_is_not_there_is_refused() -> None:
    """Only the namespaces that every cluster has go without a manifest."""
    text = POLICY.format(spec="{}").replace("name: p", "name: p, namespace: shop")
    expected = (
        "x.yaml, document 1, metadata.namespace: there is no Namespace 'shop'; add its manifest"
    )
    with pytest.raises(ManifestError) as caught:
        scenario(text)
    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("kind: Cluster", "kind: Pod"), "kind: 'Pod' is no configuration of kind; write Cluster"),
        (("v1alpha4", "v1alpha3"), "apiVersion: 'kind.x-k8s.io/v1alpha3' is no configuration"),
        (("{role: control-plane}, ", ""), "nodes: the cluster has no control-plane"),
        ((", {role: worker}, {role: worker}", ""), "nodes: the cluster has no worker"),
        (("role: control-plane", "role: master"), "nodes[0].role: 'master' is not known here"),
        (("name: dev", "name: Dev"), "name: 'Dev' is not a DNS name"),
        (("name: dev", "networking: {podSubnet: 1.2.3.4}"), "networking.podSubnet: '1.2.3.4' is"),
        (("name: dev", "networking: {podSubnet: 'fd00::/56'}"), "there is no IPv4 range here"),
        (("name: dev", "networking: {podSubnet: 10.0.0.0/8}"), "10.96.0.0/16 overlaps the pods'"),
        (("name: dev", "networking: {ipFamily: ipv6}"), "this cluster has no IPv4"),
        (("name: dev", "networking: {kubeProxyMode: ebpf}"), "networking.kubeProxyMode: 'ebpf'"),
        (("name: dev", "networking: {disableDefaultCni: true}"), "mean 'disableDefaultCNI'?"),
        (("name: dev", "---\na: b"), "2 documents stand here; describe one cluster"),
    ],
)
def test_a_cluster_that_kind_would_refuse_is_refused(
    change: tuple[str, str], expected: str
) -> None:
    """The configuration of the cluster is checked like every manifest."""
    with pytest.raises(ManifestError) as caught:
        read_cluster(CLUSTER.replace(*change), "dev.yaml")
    assert str(caught.value).startswith("dev.yaml, document 1")
    assert expected in str(caught.value)
