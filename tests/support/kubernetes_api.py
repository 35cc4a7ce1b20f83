"""A small Kubernetes API server over real HTTP and websockets, for the real client.

Imitated: the bearer token, discovery, create, server-side apply (the body replaces what it
names; field ownership is not tracked), get, list by labels with paging, delete with a uid
precondition, finalizers, SelfSubjectAccessReview, logs, and exec with the channels of
`v4.channel.k8s.io` and `v5.channel.k8s.io`. Source of the forms: the Kubernetes API conventions and
k8s.io/client-go/tools/remotecommand. Faults are injected by the test.
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

Key = tuple[str, str | None, str]

_RESOURCES: dict[str, dict[str, tuple[str, bool]]] = {
    "v1": {
        "namespaces": ("Namespace", False),
        "nodes": ("Node", False),
        "pods": ("Pod", True),
        "services": ("Service", True),
    },
    "networking.k8s.io/v1": {"networkpolicies": ("NetworkPolicy", True)},
}
_PAGE = 2  # small, so that lists really have pages


@dataclass
class Ran:
    """What a command in a pod does.

    Attributes:
        stdout: what it writes, with `stderr`.
        code: its exit code; None: the connection ends before the command does.
        seconds: how long it takes.
        ends: how the connection does: `closed` as it should be; `dropped` without a closing
            frame; `kept` open after the status; `stalled` in the middle of a frame.
    """

    stdout: str = ""
    stderr: str = ""
    code: int | None = 0
    seconds: float = 0.0
    ends: str = "closed"


@dataclass
class KubernetesApi:
    """The server's state and its faults.

    Attributes:
        objects: resource, namespace, name -> object.
        faults: (method, part of a path) -> what happens instead: a status; `drop` of the
            connection; `cut` of the answer's body; `lose`, done but answered with 504;
            `page`, somebody else's web page; or seconds of delay before the true answer.
        allowed: what SelfSubjectAccessReview answers, given verb and resource.
        run: what a command does, given pod and command; None: 404 for the pod.
        admit: told of every object that is created, and may change it: what controllers and
            kubelets would add. A string is the reason why it is refused with 409.
        resources: API version -> resource -> kind, and whether it is namespaced.
        protocols: subprotocols that exec speaks, best first.
        requests: method and path of everything that was asked.
        token: the only one that is accepted; None: any.
    """

    objects: dict[Key, dict[str, Any]] = field(default_factory=dict)
    faults: dict[tuple[str, str], int | float | str] = field(default_factory=dict)
    allowed: Callable[[str, str], bool] = lambda _verb, _resource: True
    run: Callable[[str, Sequence[str]], Ran | None] = lambda _pod, _command: Ran()
    admit: Callable[[str, dict[str, Any]], str | None] = lambda _resource, _body: None
    resources: dict[str, dict[str, tuple[str, bool]]] = field(
        default_factory=lambda: dict(_RESOURCES)
    )
    protocols: tuple[str, ...] = ("v5.channel.k8s.io", "v4.channel.k8s.io")
    requests: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    token: str | None = None

    def asked(self, method: str, part: str) -> int:
        """How many requests there were with a method and a part of a path."""
        return sum(one == method and part in path for one, path in self.requests)

    def kubeconfig(self, folder: Path, context: str = "dev") -> Path:
        """A kubeconfig with a context for this server."""
        file = folder / "kubeconfig"
        file.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "",
                    "clusters": [{"name": "c", "cluster": {"server": self.url}}],
                    "users": [{"name": "u", "user": {"token": "secret"}}],
                    "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
                }
            )
        )
        return file

    @contextmanager
    def serving(self) -> Iterator[KubernetesApi]:
        """Serve on a free port of the loopback interface."""
        started, loop = threading.Event(), asyncio.new_event_loop()
        stop = asyncio.Event()

        async def serve() -> None:
            runner = web.AppRunner(self._app(), shutdown_timeout=0.01, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            started.set()
            await stop.wait()
            await runner.cleanup()
            # Handlers that a fault still delays, and transports that are closing.
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
            await asyncio.sleep(0.01)

        def work() -> None:
            loop.run_until_complete(serve())
            loop.close()

        thread = threading.Thread(target=work)
        thread.start()
        started.wait(5)
        self._halt = lambda: loop.call_soon_threadsafe(stop.set)
        try:
            yield self
        finally:
            self.go_away()
            thread.join(5)

    def go_away(self) -> None:
        """Stop serving, in the middle of whatever goes on."""
        if self._halt is not None:
            halt, self._halt = self._halt, None
            halt()

    _halt: Callable[[], object] | None = None

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        await request.read()  # so that it has arrived, whatever happens to the answer
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token != (self.token or token):
            return _status(401, "Unauthorized")
        for (method, part), fault in list(self.faults.items()):
            if method == request.method and part in request.path:
                return await self._fault(request, fault)
        return await self._true_answer(request)

    async def _fault(self, request: web.Request, fault: float | str) -> web.StreamResponse:
        assert request.transport is not None
        if isinstance(fault, int):
            return _status(fault, f"injected {fault}")
        if isinstance(fault, float):
            await asyncio.sleep(fault)
            return await self._true_answer(request)
        if fault == "lose":
            await self._true_answer(request)
            return _status(504, "no answer in time")
        if fault == "cut":
            request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{")
        if fault != "page":
            request.transport.close()
        return web.Response(text="<html>Log in</html>")

    async def _true_answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.strip("/").split("/")
        if request.path == "/version":
            return web.json_response({"major": "1", "minor": "36", "gitVersion": "v1.36.4"})
        if path[-1] == "selfsubjectaccessreviews":
            asked = (await request.json())["spec"]["resourceAttributes"]
            verdict = self.allowed(asked["verb"], asked["resource"])
            return web.json_response({"status": {"allowed": verdict}}, status=201)
        if (found := self._discovery(path)) is not None:
            return web.json_response(found)
        return await self._resource(request, path)

    def _discovery(self, path: list[str]) -> dict[str, Any] | None:
        """What discovery answers for an API version; None for any other path."""
        version = "/".join(path[1:])
        if path[0] != ("apis" if "/" in version else "api") or version not in self.resources:
            return None
        named = self.resources[version].items()
        found = [
            {"name": name, "singularName": "", "namespaced": inside, "kind": kind, "verbs": []}
            for name, (kind, inside) in named
        ]
        # Subresources may have a kind that is a resource elsewhere in the list, or none.
        found += [{**one, "name": f"{one['name']}/status"} for one in found]
        return {"kind": "APIResourceList", "groupVersion": version, "resources": found}

    async def _resource(self, request: web.Request, path: list[str]) -> web.StreamResponse:
        version, rest = ("v1", path[2:]) if path[0] == "api" else ("/".join(path[1:3]), path[3:])
        namespace = None
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        if not rest or rest[0] not in self.resources.get(version, {}):
            return _status(404, "the server could not find the requested resource")
        resource, name = rest[0], rest[1] if len(rest) > 1 else None
        if rest[2:] == ["exec"] and name:
            return await self._exec(request, name)
        if rest[2:] == ["log"] and name:
            return web.Response(text=f"log of {name}\n")
        if name is None and request.method == "GET":
            return self._list(request, resource, namespace)
        if request.method == "POST":
            return self._create(resource, namespace, await request.json())
        assert name is not None
        return await self._one(request, (resource, namespace, name))

    async def _one(self, request: web.Request, key: Key) -> web.Response:
        found = self.objects.get(key)
        if request.method == "PATCH":
            if request.content_type != "application/apply-patch+yaml":
                return _status(415, "only server-side apply is imitated")
            if not request.query.get("fieldManager"):
                return _status(400, "fieldManager is required for apply patch")
            body = json.loads(await request.text())
            return self._put(key, {**(found or {}), **body}, 200 if found else 201)
        if found is None:
            return _status(404, f'{key[0]} "{key[2]}" not found')
        if request.method == "DELETE":
            options = json.loads(await request.text() or "{}")
            wanted = (options.get("preconditions") or {}).get("uid")
            if wanted and wanted != found["metadata"]["uid"]:
                return _status(409, "the uid in the precondition does not match", "Conflict")
            if found["metadata"].get("finalizers"):
                found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            else:
                del self.objects[key]
        return web.json_response(found)

    def _create(self, resource: str, namespace: str | None, body: dict[str, Any]) -> web.Response:
        key = (resource, namespace, body["metadata"]["name"])
        if key in self.objects:
            return _status(409, f'{resource} "{key[2]}" already exists', "AlreadyExists")
        if reason := self.admit(resource, body):
            return _status(409, f"the object cannot be created now ({reason})", reason)
        return self._put(key, body, 201)

    def _put(self, key: Key, body: dict[str, Any], status: int) -> web.Response:
        old = self.objects.get(key, {"metadata": {}})["metadata"]
        metadata = {**body["metadata"], "uid": old.get("uid") or str(uuid.uuid4())}
        self.objects[key] = {**body, "metadata": metadata}
        return web.json_response(self.objects[key], status=status)

    def _list(self, request: web.Request, resource: str, namespace: str | None) -> web.Response:
        wanted = dict(
            one.split("=", 1)
            for one in request.query.get("labelSelector", "").split(",")
            if "=" in one
        )
        found = [
            body
            for (kind, place, _), body in sorted(self.objects.items(), key=str)
            if kind == resource
            and namespace in {None, place}
            and wanted.items() <= (body["metadata"].get("labels") or {}).items()
        ]
        start = int(request.query.get("continue", "0"))
        page = found[start : start + _PAGE]
        more = {"continue": str(start + _PAGE)} if found[start + _PAGE :] else {}
        return web.json_response({"items": page, "metadata": more})

    async def _exec(self, request: web.Request, pod: str) -> web.StreamResponse:
        ran = self.run(pod, request.query.getall("command"))
        if ran is None:
            return _status(404, f'pods "{pod}" not found')
        socket = web.WebSocketResponse(protocols=self.protocols)
        await socket.prepare(request)
        text = ran.stdout.encode()
        for start in range(0, len(text), 32_768):
            await socket.send_bytes(b"\x01" + text[start : start + 32_768])
        if ran.stderr:
            await socket.send_bytes(b"\x02" + ran.stderr.encode())
        if ran.seconds:
            closed = asyncio.ensure_future(_closed(socket))
            await asyncio.wait([closed], timeout=ran.seconds)
            closed.cancel()
        assert request.transport is not None
        if ran.ends == "stalled":
            request.transport.write(b"\x82\x50\x01half")  # 80 bytes announced, 5 sent
        elif ran.code is not None and not socket.closed:
            await socket.send_bytes(b"\x03" + json.dumps(_ended(ran.code)).encode())
        if ran.ends in {"stalled", "kept"}:
            await _closed(socket)
        elif ran.ends == "dropped":
            request.transport.close()
        else:
            await socket.close()
        return socket


async def _closed(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type is WSMsgType.CLOSE:
            return


def _ended(code: int) -> Mapping[str, Any]:
    if not code:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    504: "Timeout",
}
"""Source: k8s.io/apimachinery, metav1.StatusReason; a 409 may have one of two."""


def _status(code: int, message: str, reason: str | None = None) -> web.Response:
    told = reason or _REASONS.get(code)
    return web.json_response(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": message,
            **({"reason": told} if told else {}),
            "code": code,
        },
        status=code,
    )
