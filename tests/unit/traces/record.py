"""Record the traces in this folder anew: python tests/unit/traces/record.py.

Each file holds what `nft monitor trace` printed on the way of one connection: its first
packets in both directions, and in every place one packet of the tracer's own.
"""

from pathlib import Path

from nodeport_lab.cells import enumerate_cells
from nodeport_lab.dataplanes import find_dataplane
from nodeport_lab.errand import atlas_scenario
from nodeport_lab.experiment import find_policy
from nodeport_lab.suites import everyone
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
from nodeport_lab.trace import passages

# File, dataplane, policy, client, route, packets of the connection in each place.
SAMPLES = (
    ("own-node", "calico-iptables", "podselector-server", "client-a", "nodeport:dev-worker", 4),
    ("other-node", "calico-iptables", "ipblock-nodes", "client-a", "nodeport:dev-worker2", 2),
    ("denied", "cilium", "both", "client-a", "nodeport:dev-worker2", 1),
    ("tunnel", "cilium-kpr", "podselector-server", "client-b", "nodeport:dev-worker3", 4),
    ("host", "cilium", "ingress-deny", "host:dev-worker", "cluster-ip", 1),
)
DEADLINE = 0.5


def shortened(text: str, packets: int) -> list[str]:
    """The lines of the tracer's first packet and of so many others."""
    own: list[list[str]] = []
    others: list[list[str]] = []
    for passage in passages(text):
        told = [event.line for event in passage.events]
        (own if "127.0.0.1" in told[0] else others).append(told)
    return [line for told in (*own[:1], *others[:packets]) for line in told]


def main() -> None:
    """Record every sample."""
    scenario = atlas_scenario()
    clients = {client.name: client for client in everyone(scenario)}
    for name, dataplane, policy, client, route, packets in SAMPLES:
        with EmbeddedTestbed(scenario, find_dataplane(dataplane), {}) as testbed:
            cells = enumerate_cells(scenario, testbed.network, [clients[client]])
            cell = next(cell for cell in cells if cell.way == route)
            found = find_policy(scenario, policy)
            testbed.apply([found] if found else [])
            _, told = testbed.trace([cell.probe], DEADLINE)
            nftables = testbed.versions["nftables"]
        lines = [
            f"# {client} to {route} under {policy} on {dataplane}; nftables {nftables}.",
            "# Made by: python tests/unit/traces/record.py",
        ]
        for place, text in told.items():
            if "tcp sport" in text:
                lines += [f"# place: {place}", *shortened(text, packets)]
        Path(__file__).with_name(f"{name}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
