"""Which node runs which pod: what the scheduler would decide, made repeatable."""

from collections.abc import Iterable, Iterator

from nodeport_lab.manifests.cluster import Cluster
from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.wording import shown
from nodeport_lab.manifests.workloads import Workload
from nodeport_lab.model import Pod


def place(workloads: Iterable[Workload], cluster: Cluster) -> Iterator[tuple[Workload, Pod]]:
    """Give every pod a node; each comes with the workload it belongs to.

    `nodeName` decides, else `nodeSelector`. Pods that may run on several nodes take them
    in turn, in the order of the manifests. Control planes run no pods of a scenario.

    Raises:
        ManifestError: a pod asks for a node that there is not.
    """
    turn = 0
    for workload in workloads:
        nodes = _candidates(workload.pod_spec, cluster)
        for name in workload.pod_names:
            pod = Pod(
                namespace=workload.object.namespace,
                name=name,
                node=nodes[turn % len(nodes)],
                labels=workload.labels,
                ports=workload.ports,
                host_network=bool(workload.pod_spec.get("hostNetwork").value),
                workload=workload.object.name,
            )
            yield workload, pod
            turn += len(nodes) > 1


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
