"""Which node runs which pod: what the scheduler would decide, made repeatable."""

from collections import Counter
from collections.abc import Iterable, Iterator

from nodeport_lab.manifests.cluster import Cluster
from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.wording import shown
from nodeport_lab.manifests.workloads import ON_EVERY_NODE, Workload, pod_labels
from nodeport_lab.model import Pod

ROOM = 200
"""Pods that a node takes where several nodes would do; it has addresses for some more."""


def place(
    workloads: Iterable[Workload], cluster: Cluster, *, together: bool = False
) -> Iterator[tuple[Workload, Pod]]:
    """Give every pod a node; each comes with the workload it belongs to.

    `nodeName` decides, else `nodeSelector`. Pods that may run on several nodes take them
    in turn, in the order of the manifests. Control planes run no pods of a scenario.

    Args:
        workloads: what makes pods.
        cluster: the nodes.
        together: put pods on the first node that they may run on and that has room, instead
            of in turn.

    Raises:
        ManifestError: a pod asks for a node that there is not, or for a port of a node
            that another pod has.
    """
    turn = 0
    taken: dict[str, set[tuple[object, int]]] = {}
    full: Counter[str] = Counter()
    for workload in workloads:
        nodes = _candidates(workload.pod_spec, cluster)
        host_network = bool(workload.pod_spec.get("hostNetwork").value)
        everywhere = workload.object.kind == ON_EVERY_NODE
        names = workload.pod_names
        if everywhere:
            names = tuple(f"{workload.object.name}-{number}" for number in range(len(nodes)))
        for number, name in enumerate(names):
            start = number if everywhere else 0 if together else turn
            order = [nodes[(start + step) % len(nodes)] for step in range(len(nodes))]
            if together and not everywhere:
                order.sort(key=lambda node: full[node] >= ROOM)
            node = _free(workload, order, taken) if host_network else order[0]
            full[node] += 1
            yield (
                workload,
                Pod(
                    namespace=workload.object.namespace,
                    name=name,
                    node=node,
                    labels=pod_labels(workload, name),
                    ports=workload.ports,
                    host_network=host_network,
                    workload=workload.object.name,
                ),
            )
            turn += len(nodes) > 1 and not everywhere


def _free(workload: Workload, nodes: list[str], taken: dict[str, set[tuple[object, int]]]) -> str:
    """The first node on which nobody has the ports of a host-network pod yet."""
    wanted = {(port.protocol, port.port) for port in workload.ports}
    for node in nodes:
        if not wanted & taken.setdefault(node, set()):
            taken[node] |= wanted
            return node
    ports = ", ".join(str(port.port) for port in workload.ports)
    message = f"no node is left on which port {ports} is free for this pod"
    raise workload.pod_spec.get("hostNetwork").error(f"{message}; use more nodes or fewer pods")


def _candidates(pod_spec: Field, cluster: Cluster) -> list[str]:
    workers = [node.name for node in cluster.nodes if not node.control_plane]
    name, selector = pod_spec.get("nodeName"), pod_spec.get("nodeSelector")
    if name.value:
        if name.value in workers:
            return [name.value]
        raise name.error(_no_node(f"no worker is called {shown(name.value)}", workers))
    wanted = (selector.value or {}).items()
    nodes = [worker for worker in workers if wanted <= cluster.node_labels[worker].items()]
    if not nodes:
        raise selector.error(_no_node("no worker has these labels", workers))
    return nodes


def _no_node(problem: str, workers: list[str]) -> str:
    return f"{problem}; the workers of this cluster are {', '.join(workers)}"
