"""Manifests: what a scenario is, read from real Kubernetes files and checked on the way.

`load_scenario` reads a folder; `read_objects` reads any text, a file or standard input,
and `build_scenario` puts its objects into a cluster. A manifest is accepted if Kubernetes
knows every field of it, needed here or not. Everything else is one `ManifestError` that
names the file, the document and the path of the field. Pure Python and fast: the official
client's models take a second to import, so a table generated from them does the work.

The way of a manifest: `documents` (YAML) -> `objects` (`fields`: kinds and fields;
`labels`, `syntax`: the small grammars) -> `policies`, `workloads`, `services`, `cluster`
(meaning and defaults) -> `binding` (CIDRs of the testbed) -> `placement`,
`service_addresses` -> `scenario` -> `folder`. Manifests of users come by `users` (kinds that
have no part in this are left out) and `users_cluster` (nodes for them) to `users_scenario`.
"""

from nodeport_lab.manifests.binding import bind_cidrs, cidr_facts
from nodeport_lab.manifests.cluster import Cluster, read_cluster
from nodeport_lab.manifests.folder import load_scenario, read_directory
from nodeport_lab.manifests.objects import Object, read_objects
from nodeport_lab.manifests.scenario import ALL_POLICIES, NO_POLICY, build_scenario

__all__ = [
    "ALL_POLICIES",
    "NO_POLICY",
    "Cluster",
    "Object",
    "bind_cidrs",
    "build_scenario",
    "cidr_facts",
    "load_scenario",
    "read_cluster",
    "read_directory",
    "read_objects",
]
