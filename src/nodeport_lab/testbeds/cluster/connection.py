"""A cluster's API as this project uses it: plain dictionaries in and out, exact time-outs.

Stands on the official client: its configuration, authentication, HTTP and exec. Which path a
kind has is asked of the cluster, one request for each API version: the client's own discovery
(DynamicClient) takes four, among them the list of all groups, and knows no time-out. Retries
are our own, for reading only: urllib3's would repeat writes, and a read would take four times
its time-out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from nodeport_lab.errors import PrerequisiteError, UnknownNameError
from nodeport_lab.testbeds.cluster import execution
from nodeport_lab.testbeds.cluster.execution import Execution
from nodeport_lab.testbeds.cluster.failures import (
    NOT_FOUND,
    ClusterError,
    passing,
    refused,
    unreachable,
)

FIELD_MANAGER = "nodeport-lab"
_TRIES = 3
_PAUSE = 0.3  # seconds, doubled each time
_PAGE = 500
_OK = 200

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Resource:
    """Where the objects of one kind are.

    Attributes:
        base: path of the API version.
        plural: name of the resource, as in paths and rights.
        namespaced: whether its objects live in namespaces.
    """

    base: str
    plural: str
    namespaced: bool

    def path(self, *, name: str | None = None, namespace: str | None = None) -> str:
        inside = ("namespaces", namespace) if self.namespaced and namespace else ()
        parts = [*inside, self.plural, *([name] if name else [])]
        return "/".join([self.base, *(quote(part, safe="") for part in parts)])


class Connection:
    """An open way to one cluster; a context manager. Safe to use from several threads."""

    def __init__(self, kubeconfig: Path | None, context: str, *, timeout: float = 10.0) -> None:
        """Read the kubeconfig; nothing is sent yet, and the file is never written.

        Args:
            kubeconfig: None for $KUBECONFIG, or else ~/.kube/config.
            context: its name; there is no default.
            timeout: seconds for a request.

        Raises:
            UnknownNameError: the kubeconfig has no such context.
            PrerequisiteError: there is no readable kubeconfig.
        """
        self._check_context(kubeconfig, context)
        from kubernetes import config  # noqa: PLC0415 - see _begin

        configuration = _configuration()
        try:
            config.load_kube_config(
                str(kubeconfig) if kubeconfig else None,
                context=context,
                persist_config=False,
                client_configuration=configuration,
            )
        except Exception as error:
            raise PrerequisiteError(
                f"the context {context!r} cannot be used ({' '.join(str(error).split())}); "
                "mend it in the kubeconfig, or name another one"
            ) from error
        self._begin(configuration, context, timeout)

    @classmethod
    def in_cluster(cls, *, timeout: float = 10.0) -> Self:
        """The cluster that this process runs in, with its pod's service account.

        Raises:
            PrerequisiteError: this is no pod, or has no service account.
        """
        from kubernetes import config  # noqa: PLC0415 - see _begin

        configuration = _configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException as error:
            raise PrerequisiteError(
                f"this is no pod with a service account ({error}); name a context instead"
            ) from error
        self = cls.__new__(cls)
        self._begin(configuration, "in-cluster", timeout)
        return self

    def _begin(self, configuration: Any, context: str, timeout: float) -> None:  # noqa: ANN401 - untyped library
        # Imported late: it takes half a second, and nothing but clusters needs it.
        from kubernetes import client  # noqa: PLC0415

        self.context = context
        self.server: str = configuration.host
        self._timeout = timeout
        self._client = client.ApiClient(configuration)
        self._kinds: dict[str, dict[str, _Resource]] = {}

    @staticmethod
    def _check_context(kubeconfig: Path | None, context: str) -> None:
        # Not list_kube_config_contexts: it wants a current context, which we do not use.
        from kubernetes.config import kube_config  # noqa: PLC0415 - see _begin

        file = str(kubeconfig) if kubeconfig else kube_config.KUBE_CONFIG_DEFAULT_LOCATION
        told: str | None = None
        names: tuple[str, ...] = ()
        try:
            found = kube_config.KubeConfigMerger(file).config
            if found is None:
                told = "there is no such file"
            else:
                names = tuple(str(one["name"]) for one in found.value.get("contexts") or ())
        except Exception as error:  # noqa: BLE001 - YAML, OS and ConfigException alike
            told = " ".join(str(error).split())
        if told is not None:
            raise PrerequisiteError(
                f"{file} is no kubeconfig that can be read ({told}); name one with --kubeconfig"
            )
        if context not in names:
            raise UnknownNameError(f"context in {file}", context, names)

    # --- reading ----------------------------------------------------------------------

    def version(self) -> str:
        """The cluster's version, like `v1.36.4`."""
        asked = "get the cluster's version"
        answer = self._read(asked, "GET", "/version")
        if not isinstance(answer.get("gitVersion"), str):
            raise self._strange(asked, json.dumps(answer))
        return str(answer["gitVersion"])

    def find(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> dict[str, Any] | None:
        """An object; None where it, or its kind, does not exist.

        Raises:
            ClusterError: anything else than an answer.
        """
        asked = _told("get", kind, name, namespace)
        resource = self._resource(asked, api_version, kind)
        if resource is None:
            return None
        try:
            return self._read(asked, "GET", resource.path(name=name, namespace=namespace))
        except ClusterError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        labels: str | None = None,
    ) -> list[dict[str, Any]]:
        """Objects of a kind, in one namespace or in all; none where the kind does not exist.

        Args:
            api_version: as in a manifest.
            kind: as in a manifest.
            namespace: None for all.
            labels: a label selector.
        """
        asked = _told("list", kind, None, namespace)
        resource = self._resource(asked, api_version, kind)
        if resource is None:
            return []
        path = resource.path(namespace=namespace)
        found: list[dict[str, Any]] = []
        more = {"limit": str(_PAGE), **({"labelSelector": labels} if labels else {})}
        while True:
            answer = self._read(asked, "GET", path, more)
            found += [
                {"apiVersion": api_version, "kind": kind, **item}
                for item in answer.get("items") or ()
            ]
            rest = (answer.get("metadata") or {}).get("continue")
            if not rest:
                return found
            more = {**more, "continue": rest}

    def may(
        self,
        verb: str,
        resource: str,
        *,
        group: str = "",
        namespace: str | None = None,
        subresource: str = "",
    ) -> bool | None:
        """Whether one may do something (SelfSubjectAccessReview); None: not to be learned."""
        attributes = {
            "verb": verb,
            "resource": resource,
            "group": group,
            "subresource": subresource,
            **({"namespace": namespace} if namespace else {}),
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        try:
            answer = self._read(f"ask whether one may {verb} {resource}", "POST", path, body=review)
        except ClusterError as error:
            if error.status is None:
                raise
            return None
        allowed = (answer.get("status") or {}).get("allowed")
        return allowed if isinstance(allowed, bool) else None

    def logs(self, namespace: str, pod: str, container: str | None = None) -> str:
        """What a pod has written to its log."""
        asked = _told("read the log of", "Pod", pod, namespace)
        more = {"container": container} if container else {}
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        return str(self._retried(lambda: self._request(asked, "GET", path, more)))

    # --- writing ----------------------------------------------------------------------

    def apply(self, manifest: Manifest) -> dict[str, Any]:
        """Create or change an object by server-side apply; this project's fields win."""
        asked, path = self._place("apply", manifest, named=True)
        more = {"fieldManager": FIELD_MANAGER, "force": "true"}
        kind = "application/apply-patch+yaml"
        return self._parsed(asked, self._request(asked, "PATCH", path, more, manifest, kind))

    def create(self, manifest: Manifest) -> dict[str, Any]:
        """Create an object that must not be there yet."""
        asked, path = self._place("create", manifest, named=False)
        more = {"fieldManager": FIELD_MANAGER}
        return self._parsed(asked, self._request(asked, "POST", path, more, manifest))

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
    ) -> None:
        """Delete an object; that it is gone already is fine.

        Args:
            api_version: as in a manifest.
            kind: as in a manifest.
            name: its name.
            namespace: its namespace.
            uid: delete it only if it is this very object, not a namesake.
        """
        asked = _told("delete", kind, name, namespace)
        resource = self._resource(asked, api_version, kind)
        if resource is None:
            return
        options: dict[str, Any] = {"propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        path = resource.path(name=name, namespace=namespace)
        try:
            self._request(asked, "DELETE", path, body=options)
        except ClusterError as error:
            if error.status != NOT_FOUND:
                raise

    def execute(
        self,
        namespace: str,
        pod: str,
        command: Sequence[str],
        *,
        container: str | None = None,
        deadline: float,
    ) -> Execution:
        """Run a command in a pod; see `execution.execute`. It never raises for what fails there."""
        from kubernetes import client  # noqa: PLC0415 - see _begin

        # A client for each exec, since it is patched meanwhile; they cost nothing before they
        # connect. The configuration is shared, so a credential plugin is not started again.
        api = client.CoreV1Api(client.ApiClient(self._client.configuration))
        return execution.execute(
            api, namespace, pod, command, container=container, deadline=deadline
        )

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def __enter__(self) -> Self:
        """Nothing is sent before it is needed."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        self.close()

    # --- how --------------------------------------------------------------------------

    def _place(self, verb: str, manifest: Manifest, *, named: bool) -> tuple[str, str]:
        metadata = manifest["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace")
        asked = _told(verb, manifest["kind"], name, namespace)
        version, kind = manifest["apiVersion"], manifest["kind"]
        resource = self._resource(asked, version, kind)
        if resource is None:
            raise ClusterError(
                f"{asked}: the cluster knows no {kind} of {version}; check its version, and "
                "whether its custom resource definition is there",
                NOT_FOUND,
            )
        if not resource.namespaced:
            namespace = None
        elif namespace is None:
            raise ClusterError(f"{asked}: it lives in a namespace and names none; name one")
        return asked, resource.path(name=name if named else None, namespace=namespace)

    def _resource(self, asked: str, api_version: str, kind: str) -> _Resource | None:
        """The resource of a kind; a kind that appeared since the last look is found too.

        Source: Kubernetes API concepts, "Unaggregated discovery": `/api/v1` and
        `/apis/<group>/<version>` answer with an APIResourceList, 404 where there is no such
        group or version.
        """
        known = self._kinds.get(api_version, {})
        if kind not in known:
            known = self._kinds[api_version] = self._discovered(asked, api_version)
        return known.get(kind)

    def _discovered(self, asked: str, api_version: str) -> dict[str, _Resource]:
        base = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            answer = self._read(asked, "GET", base)
        except ClusterError as error:
            if error.status == NOT_FOUND:
                return {}
            raise
        return {
            one["kind"]: _Resource(base, one["name"], bool(one["namespaced"]))
            for one in answer.get("resources") or ()
            if "/" not in one["name"]  # a subresource, like pods/eviction
        }

    def _read(
        self,
        asked: str,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
    ) -> dict[str, Any]:
        return self._parsed(
            asked, self._retried(lambda: self._request(asked, method, path, query, body))
        )

    def _parsed(self, asked: str, text: str) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        raise self._strange(asked, text)

    def _strange(self, asked: str, text: str) -> ClusterError:
        return ClusterError(
            f"{asked}: {self.server} answered with something else than it was asked for "
            f"({text[:80]!r}); is it a Kubernetes API server?",
            _OK,
        )

    def _retried(self, read: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is read
        for number in range(_TRIES):
            try:
                return read()
            except ClusterError as error:
                if number == _TRIES - 1 or not passing(error):
                    raise
            time.sleep(_PAUSE * 2**number)
        raise AssertionError  # the last try returns or raises

    def _request(  # noqa: PLR0913, PLR0917 - the parts of an HTTP request
        self,
        asked: str,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> str:
        def send() -> str:
            headers = {"Accept": "application/json", "Content-Type": content_type}
            answer = self._client.call_api(
                *self._client.param_serialize(
                    method,
                    path,
                    query_params=list((query or {}).items()),
                    header_params=headers,
                    body=dict(body) if body is not None else None,
                    auth_settings=["BearerToken"],
                ),
                _request_timeout=self._timeout,
            )
            data = answer.read()
            if not _OK <= answer.status < 300:  # noqa: PLR2004 - HTTP's own number
                raise refused(asked, answer.status, answer.reason, data)
            return data.decode("utf-8", "replace") if data else ""

        return str(self._translated(asked, send))

    def _translated(self, asked: str, send: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is sent
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415 - see _begin
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - the same

        try:
            return send()
        except ApiException as error:
            if not error.status:
                raise unreachable(asked, self.server, error) from error
            raise refused(asked, int(error.status), error.reason, error.body) from error
        except (HTTPError, OSError) as error:
            raise unreachable(asked, self.server, error) from error


def _configuration() -> Any:  # noqa: ANN401 - the client is untyped
    from kubernetes import client  # noqa: PLC0415 - see _begin

    configuration = client.Configuration()
    configuration.retries = False
    return configuration


def _told(verb: str, kind: str, name: str | None, namespace: str | None) -> str:
    if name is None:
        return f"{verb} {kind} in {namespace or 'all namespaces'}"
    return f"{verb} {kind} {namespace}/{name}" if namespace else f"{verb} {kind} {name}"
