"""Manifests of users for tests, as text, and what is made of them."""

from __future__ import annotations

from nodeport_lab.manifests.users import read_users_text
from nodeport_lab.manifests.users_scenario import UsersManifests, users_scenario


def manifests(*documents: str, together: bool = False, nodes: int = 3) -> UsersManifests:
    """The scenario of some documents."""
    text = "\n---\n".join(documents)
    return users_scenario(read_users_text(text, "mine.yaml"), nodes, together=together)


def pod(  # noqa: PLR0913 - what differs between pods
    name: str,
    labels: str = "",
    port: int | None = None,
    *,
    namespace: str = "shop",
    extra: str = "",
    port_name: str = "http",
) -> str:
    """A pod, listening where a port is given."""
    ports = f", ports: [{{containerPort: {port}, name: {port_name}}}]" if port else ""
    metadata = f"{{name: {name}, namespace: {namespace}, labels: {{{labels or f'app: {name}'}}}}}"
    containers = f"[{{name: c, image: i{ports}}}]"
    spec = f"{{{extra}containers: {containers}}}"
    return f"{{apiVersion: v1, kind: Pod, metadata: {metadata}, spec: {spec}}}"


def service(name: str, spec: str, *, namespace: str = "shop") -> str:
    """A Service."""
    metadata = f"{{name: {name}, namespace: {namespace}}}"
    return f"{{apiVersion: v1, kind: Service, metadata: {metadata}, spec: {spec}}}"


def policy(name: str, spec: str, *, namespace: str = "shop") -> str:
    """A NetworkPolicy."""
    metadata = f"{{name: {name}, namespace: {namespace}}}"
    version = "networking.k8s.io/v1"
    return f"{{apiVersion: {version}, kind: NetworkPolicy, metadata: {metadata}, spec: {spec}}}"
