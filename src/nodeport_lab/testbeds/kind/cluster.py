"""The life of a cluster: up, status, down; what it did not make it leaves alone."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from nodeport_lab.errors import LabError, PrerequisiteError, TestbedError
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.failures import ClusterError
from nodeport_lab.testbeds.cluster.ownership import wait_until
from nodeport_lab.testbeds.kind import (
    cni,
    configuration,
    installation,
    lock,
    observing,
    programs,
    request,
    state,
)
from nodeport_lab.testbeds.kind.engine import Engine
from nodeport_lab.testbeds.kind.images import Images
from nodeport_lab.testbeds.kind.request import Plan, Request
from nodeport_lab.testbeds.kind.state import State

CHECK, CREATE, LOAD, INSTALL, WAIT, DEPLOY = (
    "check",
    "create nodes",
    "load images",
    "install CNI",
    "wait until ready",
    "deploy workloads",
)
"""The steps of `up`, in their order; what is deployed is the caller's to say."""

_CREATE_WITHIN = 900.0  # seconds; a node image is about 1 GB, and may have to be pulled
_DELETE_WITHIN = 300.0
_LOAD_WITHIN = 600.0
_READY_WITHIN = 900.0
_PATIENT = 60.0  # seconds for one request; a new API server can be slow

Connect = Callable[[Path, str], Connection]


class Progress(Protocol):
    """Is told how far it has come."""

    def __call__(self, step: str, said: str | None = None, seconds: float | None = None) -> None:
        """Hear of a step: that it begins, what it waits for, or how long it took.

        Args:
            step: its name.
            said: what it waits for.
            seconds: how long it took; None: it has not ended.
        """


@dataclass(frozen=True, slots=True)
class Status:
    """A cluster as it is.

    Attributes:
        state: what is remembered of it.
        nodes: node -> whether it runs; of the engine.
        ready: whether everything runs; None: not to be learned.
        said: what is amiss, in words; None: nothing.
    """

    state: State
    nodes: dict[str, bool]
    ready: bool | None
    said: str | None


def connect(kubeconfig: Path, context: str) -> Connection:
    """A connection with the cluster's own kubeconfig."""
    return Connection(kubeconfig, context, timeout=_PATIENT)


# --- up -------------------------------------------------------------------------------


def up(asked: Request, progress: Progress, *, opened: Connect = connect) -> State:
    """Make a cluster, or finish or reuse one that was made and is what is asked for.

    Args:
        asked: what is wanted.
        progress: is told of every step.
        opened: opens the connection.

    Returns:
        The cluster, ready.

    Raises:
        LabError: it cannot be had; says what is left and how to remove it.
        KeyboardInterrupt: as it comes; `what_is_left` says the same.
    """
    configuration.check_name(asked.name)
    with lock.held(asked.name, "nodeport-lab up"):
        return _up(asked, progress, opened)


def _up(asked: Request, progress: Progress, opened: Connect) -> State:
    start = time.monotonic()
    progress(CHECK)
    plan = request.plan(asked)
    found = _existing(plan)
    installed = _done(found, INSTALL)
    files = [] if asked.skip_cni or installed else plan.files()
    images = plan.images(files)
    if not installed:
        images.check()  # what a cluster is used with again it was made with
    seconds = time.monotonic() - start
    progress(CHECK, seconds=seconds)
    current = found or State(asked.name, plan.asked, plan.host.reachable).stepped(CHECK, seconds)
    current = dataclasses.replace(current, images={**current.images, **images.replaced})
    if not installed:
        unpinned = (*images.unpinned, *(plan.unverified if files else ()))
        current = dataclasses.replace(current, unpinned=unpinned)
    try:
        return _make(plan, current, files, images, progress, opened)
    except LabError as error:
        raise TestbedError(f"{error}; {what_is_left(asked.name)}") from error


def deployed(made: State, progress: Progress, deploy: Callable[[], None]) -> State:
    """The last step of `up`, on a cluster that is ready.

    Raises:
        LabError: it fails; says what is left.
    """
    try:
        with _timed(DEPLOY, progress) as seconds:
            deploy()
    except LabError as error:
        raise TestbedError(f"{error}; {what_is_left(made.name)}") from error
    return _remember(made, DEPLOY, seconds)


def what_is_left(name: str) -> str:
    """What there is of a cluster after `up` has failed or was interrupted, in one sentence."""
    try:
        found = state.load(name)
        if found is None:
            return "nothing is left behind"
        nodes = Engine(found.asked.engine).nodes(name)
    except LabError:
        return f"remove what may be left with: nodeport-lab down --name {name}"
    if not nodes:
        state.forget(name)
        return "nothing is left behind"
    return (
        f"what is left are the containers {', '.join(sorted(nodes.values()))} and the folder "
        f"{state.directory(name)}, remove them with: nodeport-lab down --name {name}"
    )


def _existing(plan: Plan) -> State | None:
    """A cluster of that name that can be used; None: there is none.

    Raises:
        PrerequisiteError: there is one that cannot.
    """
    name = plan.request.name
    nodes, found = plan.engine.nodes(name), state.load(name)
    remedy = f"remove it with: nodeport-lab down --name {name}, or choose another --name"
    if found is not None and found.asked.engine != plan.engine.name:
        raise PrerequisiteError(
            f"the cluster {name} was made with {found.asked.engine} and this is "
            f"{plan.engine.name}; {remedy}"
        )
    if found is None:
        if nodes:
            raise _not_ours(name)
        return None
    if not nodes:
        state.forget(name)
        return None
    if found.containers is None:
        raise PrerequisiteError(f"the cluster {name} is half-made; {remedy}")
    if nodes.keys() != found.containers.keys():
        raise _not_ours(name)
    if differences := found.asked.differences(plan.asked):
        raise PrerequisiteError(
            f"the cluster {name} is there and differs from what is asked for: it has "
            f"{', '.join(differences)}; {remedy}"
        )
    if plan.engine.nodes(name, stopped=False).keys() != nodes.keys():
        raise PrerequisiteError(
            f"not all nodes of the cluster {name} run, and their addresses may be others when "
            f"they do again; {remedy}"
        )
    return found


def _not_ours(name: str) -> PrerequisiteError:
    return PrerequisiteError(
        f"there is a kind cluster {name} that nodeport-lab did not make; choose another --name, or "
        f"remove it yourself with: kind delete cluster --name {name}"
    )


def _done(found: State | None, step: str) -> bool:
    return found is not None and step in found.steps


def _make(  # noqa: PLR0913, PLR0917 - a plan, how far it is, and how to go on
    plan: Plan,
    current: State,
    files: list[Path],
    images: Images,
    progress: Progress,
    opened: Connect,
) -> State:
    asked = plan.request
    if CREATE not in current.steps:
        with _timed(CREATE, progress) as seconds:
            current = _create(plan, current)
        current = _remember(current, CREATE, seconds)
    if asked.load_images:
        with _timed(LOAD, progress) as seconds:
            _load(plan, progress)
        current = _remember(current, LOAD, seconds)
    connection = opened(current.kubeconfig, current.context)
    try:
        if not asked.skip_cni and INSTALL not in current.steps:
            with _timed(INSTALL, progress) as seconds:
                _install(plan, current, files, images, connection)
            current = _remember(current, INSTALL, seconds)
        with _timed(WAIT, progress) as seconds:
            _wait(plan, connection, progress, installed=INSTALL in current.steps)
        return _remember(current, WAIT, seconds)
    finally:
        connection.close()


def _create(plan: Plan, current: State) -> State:
    """Have kind make the nodes.

    kind waits for nothing: without a CNI plugin no node becomes ready.
    """
    state.save(current)  # first: `down` has to know of it whatever happens
    file = state.directory(current.name) / "kind.yaml"
    file.write_text(yaml.safe_dump(dict(plan.asked.configuration), sort_keys=False), "utf-8")
    programs.run(
        [
            "kind",
            "create",
            "cluster",
            "--name",
            current.name,
            "--config",
            str(file),
            "--kubeconfig",
            str(current.kubeconfig),
            "--wait",
            "0s",
        ],
        within=_CREATE_WITHIN,
        environment=plan.engine.environment,
    )
    if not current.kubeconfig.is_file():
        raise TestbedError(f"kind has not written {current.kubeconfig}; check its version")
    current.kubeconfig.chmod(0o600)
    return dataclasses.replace(current, containers=plan.engine.nodes(current.name))


def _load(plan: Plan, progress: Progress) -> None:
    for image in plan.request.load_images:
        progress(LOAD, image)
        if Path(image).is_file():
            _load_archive(plan, Path(image))
            continue
        with tempfile.TemporaryDirectory(prefix="nodeport-lab-") as folder:
            archive = Path(folder) / "image.tar"
            plan.engine.save(image, plan.host.platform, archive)
            _load_archive(plan, archive)


def _load_archive(plan: Plan, archive: Path) -> None:
    programs.run(
        ["kind", "load", "image-archive", str(archive), "--name", plan.request.name],
        within=_LOAD_WITHIN,
        environment=plan.engine.environment,
    )


def _install(
    plan: Plan, current: State, files: list[Path], images: Images, connection: Connection
) -> None:
    if cni.is_calico(plan.asked.dataplane):
        installation.install_calico(connection, files, plan.objects, images.replaced)
        return
    folder = state.directory(current.name)
    values = cni.merged(plan.values, images.values)
    installation.install_cilium(current.kubeconfig, current.context, files[0], values, folder)


def _wait(plan: Plan, connection: Connection, progress: Progress, *, installed: bool) -> None:
    """Wait until everything runs; without a CNI plugin, until the API answers."""
    last: list[str | None] = [None]

    def look() -> bool | None:
        try:
            if not installed:
                connection.version()
                return True
            wanted = len(plan.asked.configuration["nodes"])
            lacking = observing.missing(connection, plan.asked.dataplane, wanted)
        except ClusterError as error:
            lacking = str(error)  # an API server under load may miss an answer
        if lacking != last[0]:
            last[0] = lacking
            progress(WAIT, lacking)
        return None if lacking else True

    def complaint() -> str:
        try:
            why = observing.stuck(connection)
        except ClusterError:
            why = None
        return (
            f"the cluster is not ready after {_READY_WITHIN:g} s: {last[0]}"
            + (f" ({why})" if why else "")
            + "; run `nodeport-lab up` again to go on waiting"
        )

    wait_until(look, _READY_WITHIN, complaint)


def _remember(current: State, step: str, seconds: list[float]) -> State:
    current = current.stepped(step, seconds[0])
    state.save(current)
    return current


@contextmanager
def _timed(step: str, progress: Progress) -> Iterator[list[float]]:
    start = time.monotonic()
    progress(step)
    seconds: list[float] = []
    yield seconds
    seconds.append(time.monotonic() - start)
    progress(step, seconds=seconds[0])


# --- status and down ------------------------------------------------------------------


def status(name: str, *, opened: Connect = connect) -> Status:
    """How a cluster is.

    Raises:
        PrerequisiteError: the lab made none of that name.
    """
    configuration.check_name(name)
    found = remembered(name)
    engine = Engine(found.asked.engine)
    programs.check(engine.name, f"the cluster {name}")
    engine.host()
    running = engine.nodes(name, stopped=False)
    nodes = {node: key in running for key, node in sorted(engine.nodes(name).items())}
    if not nodes:
        said = f"its nodes are gone; forget it with: nodeport-lab down --name {name}"
        return Status(found, nodes, ready=False, said=said)
    if found.containers is None:
        said = f"it is half-made; remove it with: nodeport-lab down --name {name}"
        return Status(found, nodes, ready=False, said=said)
    if INSTALL not in found.steps:
        said = "no CNI plugin was installed by nodeport-lab"
        return Status(found, nodes, ready=None, said=said)
    try:
        connection = opened(found.kubeconfig, found.context)
        try:
            wanted = len(found.asked.configuration["nodes"])
            lacking = observing.missing(connection, found.asked.dataplane, wanted)
        finally:
            connection.close()
    except LabError as error:
        return Status(found, nodes, ready=None, said=str(error))
    return Status(found, nodes, ready=lacking is None, said=lacking)


def remembered(name: str) -> State:
    """What is remembered of a cluster.

    Raises:
        PrerequisiteError: the lab made none of that name.
    """
    found = state.load(name)
    if found is None:
        others = ", ".join(state.names())
        raise PrerequisiteError(
            f"nodeport-lab has made no cluster {name}"
            + (f" (it has made: {others})" if others else "")
            + f"; make it with: nodeport-lab up -d DATAPLANE --name {name}"
        )
    return found


def down(name: str) -> list[str]:
    """Remove a cluster that the lab made, however far it has come; twice is fine.

    Returns:
        The nodes that were removed.

    Raises:
        PrerequisiteError: there is one of that name that the lab did not make, or another
            command is at work on it.
        TestbedError: something cannot be removed; names it.
    """
    configuration.check_name(name)
    with lock.held(name, "nodeport-lab down"):
        return _down(name)


def _down(name: str) -> list[str]:
    found = state.load(name)
    engine = Engine(found.asked.engine) if found else Engine.find()
    programs.check(engine.name, f"removing the cluster {name}")
    engine.host()  # whether it answers
    nodes = engine.nodes(name)
    if not nodes:
        state.forget(name)
        return []
    if found is None:
        raise _not_ours(name)
    if found.containers is not None and not nodes.keys() & found.containers.keys():
        state.forget(name)  # ours is gone, and what has its name now is somebody else's
        raise _not_ours(name)
    _delete(engine, found, list(nodes))
    if left := engine.nodes(name):
        raise TestbedError(
            f"{', '.join(sorted(left.values()))} could not be removed; try: {engine.name} rm "
            f"--force --volumes {' '.join(sorted(left.values()))}"
        )
    state.forget(name)
    return sorted(nodes.values())


def _delete(engine: Engine, found: State, containers: list[str]) -> None:
    """By kind, and where it is not there or fails, by the engine itself."""
    if shutil.which("kind"):
        command = ["kind", "delete", "cluster", "--name", found.name]
        ended = programs.attempt(
            [*command, "--kubeconfig", str(found.kubeconfig)],
            within=_DELETE_WITHIN,
            environment=engine.environment,
        )
        if ended.code == 0:
            return
    engine.remove(containers)
