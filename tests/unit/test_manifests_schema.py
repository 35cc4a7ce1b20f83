"""The reader's table of fields against the models of the official Kubernetes client."""

import copy
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodeport_lab.errors import ManifestError
from nodeport_lab.manifests import generate_fields, read_directory
from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.fields import KUBERNETES_FIELDS, check_fields, kubernetes_table

MANIFESTS = Path(__file__).parents[2] / "manifests"

# One of everything that the manifests of the lab do not use.
SAMPLES = """
apiVersion: v1
kind: Pod
metadata:
  name: sample
  creationTimestamp: "2026-01-31T12:00:00Z"
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: u, controller: true}]
spec:
  hostNetwork: true
  nodeName: dev-worker
  priority: 7
  tolerations: [{key: a, operator: Exists, effect: NoSchedule, tolerationSeconds: 5}]
  initContainers: [{name: i, restartPolicy: Always, ports: [{containerPort: 1, hostPort: 2}]}]
  containers:
    - name: c
      args: [x]
      env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
      livenessProbe: {tcpSocket: {port: http}, timeoutSeconds: 1}
      lifecycle: {preStop: {exec: {command: [sh]}}}
      volumeMounts: [{name: v, mountPath: /v, readOnly: true}]
  volumes: [{name: v, configMap: {name: m, items: [{key: k, path: p, mode: 420}]}}]
  affinity:
    nodeAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - {weight: 1, preference: {matchExpressions: [{key: k, operator: In, values: [v]}]}}
status: {phase: Running, podIPs: [{ip: 10.0.0.1}], startTime: "2026-01-31T12:00:00Z"}
---
apiVersion: v1
kind: Service
metadata: {name: sample}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.9
  externalIPs: [192.0.2.1]
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 5}}
  ports: [{name: a, port: 80, targetPort: http, nodePort: 30080, appProtocol: http}]
status: {loadBalancer: {ingress: [{ip: 192.0.2.2, ports: [{port: 80, protocol: TCP}]}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: sample}
spec:
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 1}}
  selector: {matchExpressions: [{key: app, operator: Exists}]}
  template: {spec: {containers: [{name: c}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: sample}
spec:
  podSelector: {}
  ingress:
    - from:
        - {podSelector: {}, namespaceSelector: {matchExpressions: [{key: a, operator: Exists}]}}
        - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}
      ports: [{port: 80, endPort: 90}, {port: http, protocol: UDP}]
"""

# Where the lab and the client differ on purpose: quantities and times, given as numbers.
EXCEPTIONS = re.compile(r"'resources', '(requests|limits)'|'creationTimestamp'|'startTime'")

Document = dict[str, Any]


def manifests() -> list[Document]:
    """Every manifest of the repository, and the samples."""
    repository = [found.field.value for found in read_directory(MANIFESTS)]
    return [*repository, *yaml.safe_load_all(SAMPLES)]


def client_accepts(document: Document) -> bool:
    """Whether the client's model of the kind accepts a manifest."""
    # By name, so that type checking need not read the client's thousand modules.
    models: Any = importlib.import_module("kubernetes.client.models")
    invalid: Any = importlib.import_module("pydantic").ValidationError
    try:
        getattr(models, f"V1{document['kind']}").model_validate(document)
    except invalid:
        return False
    return True


def lab_accepts(document: Document) -> bool:
    """Whether the lab's table accepts the fields of a manifest."""
    field = Field("x.yaml", 1, "", document)
    try:
        check_fields(field, document["kind"], kubernetes_table()["types"])
    except ManifestError:
        return False
    return True


def changes(document: Document) -> Iterator[tuple[str, Document]]:
    """Every manifest that differs in one field: added, removed, or of another type."""
    for path, _ in places(document):
        for name, value in (
            ("text", "text"),
            ("a number", 7),
            ("a fraction", 1.5),
            ("true", True),
            ("nothing", None),
            ("a list", ["text"]),
            ("a mapping", {"text": "text"}),
            ("an empty mapping", {}),
        ):
            if path[0] not in {"kind", "apiVersion"}:
                yield f"{path} is {name}", changed(document, path, value)
    for path, value in [((), document), *places(document)]:
        if isinstance(value, dict):
            yield f"{path} has a field more", changed(document, (*path, "surplus"), {})
            for key in value:
                if (*path, key) != ("kind",):
                    yield f"{path} lacks {key}", changed(document, (*path, key), remove=True)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:  # noqa: ANN401
    """Every place in a manifest with what stands there."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in entries:
        yield (*path, key), part
        if isinstance(part, dict | list):
            yield from places(part, (*path, key))


def changed(
    document: Document, path: tuple[Any, ...], value: object = None, *, remove: bool = False
) -> Document:
    """A copy of a manifest with one place set or removed."""
    result = copy.deepcopy(document)
    holder: Any = result
    for key in path[:-1]:
        holder = holder[key]
    if remove:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return result


def test_the_table_is_what_the_client_says_today() -> None:
    """Generating the file again gives the same bytes; the error is mended by its command."""
    assert generate_fields.generate() == KUBERNETES_FIELDS.read_text(encoding="utf-8")


def test_every_quantity_is_a_field_of_the_table() -> None:
    """The fields that are called quantities by hand exist, and no others are quantities."""
    found = {
        (type_, name)
        for type_, fields in kubernetes_table()["types"].items()
        for name, notation in fields.items()
        if "quantity" in notation
    }
    assert generate_fields.QUANTITIES == found


@pytest.mark.parametrize(
    "document", manifests(), ids=lambda found: f"{found['kind']} {found['metadata']['name']}"
)
def test_the_client_accepts_what_the_lab_accepts(document: Document) -> None:
    """Every manifest of the repository is one that the official client would send."""
    assert (True, True) == (client_accepts(document), lab_accepts(document))


@pytest.mark.parametrize(
    "document", manifests(), ids=lambda found: f"{found['kind']} {found['metadata']['name']}"
)
def test_the_lab_refuses_what_the_client_refuses(document: Document) -> None:
    """Of every manifest with one field changed, both think the same.

    They differ where the lab is nearer to Kubernetes: a quantity may be a number, and a
    time may not.
    """
    differences = [
        what
        for what, mutant in changes(document)
        if lab_accepts(mutant) != client_accepts(mutant)
        and not (what.endswith(("is a number", "is a fraction")) and EXCEPTIONS.search(what))
    ]
    assert [] == differences
