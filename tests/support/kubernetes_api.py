"""A small Kubernetes API server over real HTTP and websockets, for the real client.

Imitated: discovery, create, server-side apply (the body replaces what it names; field
ownership is not tracked), get, list by labels with paging, delete with a uid precondition,
SelfSubjectAccessReview, logs, and exec with the channels of `v4.channel.k8s.io` and
`v5.channel.k8s.io`. Source of the forms: the Kubernetes API conventions and
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

_RESOURCES = {
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
    """

    stdout: str = ""
    stderr: str = ""
    code: int | None = 0
    seconds: float = 0.0


@dataclass
class KubernetesApi:
    """The server's state and its faults.

    Attributes:
        objects: resource, namespace, name -> object.
        faults: (method, part of a path) -> what happens instead: a status, `drop`, or
            seconds of delay before the true answer.
        allowed: what SelfSubjectAccessReview answers, given verb and resource.
        run: what a command does, given pod and command; None: 404 for the pod.
        protocols: subprotocols that exec speaks, best first.
        requests: method and path of everything that was asked.
    """

    objects: dict[Key, dict[str, Any]] = field(default_factory=dict)
    faults: dict[tuple[str, str], int | float | str] = field(default_factory=dict)
    allowed: Callable[[str, str], bool] = lambda _verb, _resource: True
    run: Callable[[str, Sequence[str]], Ran | None] = lambda _pod, _command: Ran()
    protocols: tuple[str, ...] = ("v5.channel.k8s.io", "v4.channel.k8s.io")
    requests: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def asked(self, method: str, part: str) -> int:
        """How many requests there were with a method and a part of a path."""
        return sum(one == method and part in path for one, path in self.requests)

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig with the context `dev` for this server."""
        file = folder / "kubeconfig"
        file.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "",
                    "clusters": [{"name": "c", "cluster": {"server": self.url}}],
                    "users": [{"name": "u", "user": {"token": "secret"}}],
                    "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
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
            runner = web.AppRunner(self._app(), shutdown_timeout=0.1, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            started.set()
            await stop.wait()
            await runner.cleanup()

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
        for (method, part), fault in list(self.faults.items()):
            if method == request.method and part in request.path:
                if fault == "drop":
                    assert request.transport is not None
                    request.transport.close()
                    return web.Response()
                if isinstance(fault, float):
                    await asyncio.sleep(fault)
                elif isinstance(fault, int):
                    return _status(fault, f"injected {fault}")
        path = request.path.strip("/").split("/")
        if request.path == "/version":
            return web.json_response({"major": "1", "minor": "36", "gitVersion": "v1.36.4"})
        if path[-1] == "selfsubjectaccessreviews":
            asked = (await request.json())["spec"]["resourceAttributes"]
            verdict = self.allowed(asked["verb"], asked["resource"])
            return web.json_response({"status": {"allowed": verdict}}, status=201)
        if (found := _discovery(path)) is not None:
            return web.json_response(found)
        return await self._resource(request, path)

    async def _resource(self, request: web.Request, path: list[str]) -> web.StreamResponse:
        version, rest = ("v1", path[2:]) if path[0] == "api" else ("/".join(path[1:3]), path[3:])
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        if rest[0] not in _RESOURCES.get(version, {}):
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
            body = json.loads(await request.text())
            return self._put(key, {**(found or {}), **body}, 200 if found else 201)
        if found is None:
            return _status(404, f'{key[0]} "{key[2]}" not found')
        if request.method == "DELETE":
            options = json.loads(await request.text() or "{}")
            wanted = (options.get("preconditions") or {}).get("uid")
            if wanted and wanted != found["metadata"]["uid"]:
                return _status(409, "the uid in the precondition does not match")
            del self.objects[key]
        return web.json_response(found)

    def _create(self, resource: str, namespace: str | None, body: dict[str, Any]) -> web.Response:
        key = (resource, namespace, body["metadata"]["name"])
        if key in self.objects:
            return _status(409, f'{resource} "{key[2]}" already exists')
        return self._put(key, body, 201)

    def _put(self, key: Key, body: dict[str, Any], status: int) -> web.Response:
        metadata = {"uid": str(uuid.uuid4()), **body["metadata"]}
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
        if ran.code is not None and not socket.closed:
            await socket.send_bytes(b"\x03" + json.dumps(_ended(ran.code)).encode())
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


def _discovery(path: list[str]) -> dict[str, Any] | None:
    """What discovery answers, or None for any other path."""
    if path == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == ["apis"]:
        version = {"groupVersion": "networking.k8s.io/v1", "version": "v1"}
        group = {
            "name": "networking.k8s.io",
            "versions": [version],
            "preferredVersion": version,
        }
        return {"kind": "APIGroupList", "groups": [group]}
    if path in (["api", "v1"], ["apis", "networking.k8s.io", "v1"]):
        version_ = "v1" if path[0] == "api" else "/".join(path[1:])
        return {
            "kind": "APIResourceList",
            "groupVersion": version_,
            "resources": [
                {
                    "name": name,
                    "singularName": "",
                    "namespaced": namespaced,
                    "kind": kind,
                    "verbs": ["create", "delete", "get", "list", "patch"],
                }
                for name, (kind, namespaced) in _RESOURCES[version_].items()
            ],
        }
    return None


def _status(code: int, message: str) -> web.Response:
    return web.json_response(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": message,
            "code": code,
        },
        status=code,
    )
