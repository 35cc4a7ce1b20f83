"""Clusters that there are: how they are, and their end; somebody else's are left alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodeport_lab.errors import LabError, PrerequisiteError, TestbedError
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.kind import configuration, lock, observing, programs, state
from nodeport_lab.testbeds.kind.engine import Engine
from nodeport_lab.testbeds.kind.state import State
from nodeport_lab.testbeds.kind.steps import INSTALL, WAIT

_DELETE_WITHIN = 300.0  # seconds
_PATIENT = 60.0  # seconds for one request; a new API server can be slow

Connect = Callable[[Path, str], Connection]


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


def not_ours(name: str) -> PrerequisiteError:
    """The refusal of a cluster that somebody else has made."""
    return PrerequisiteError(
        f"there is a kind cluster {name} that nodeport-lab did not make; choose another --name, or "
        f"remove it yourself with: kind delete cluster --name {name}"
    )


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
    working = lock.holder(name)
    if working is not None and WAIT not in found.steps:
        return Status(found, nodes, ready=False, said=f"{working} is at work on it")
    if not nodes:
        said = f"its nodes are gone; forget it with: nodeport-lab down --name {name}"
        return Status(found, nodes, ready=False, said=said)
    if found.containers is None:
        said = f"it is half-made; remove it with: nodeport-lab down --name {name}"
        return Status(found, nodes, ready=False, said=said)
    try:
        lacks = lacking(found, opened)
    except LabError as error:
        return Status(found, nodes, ready=None, said=str(error))
    if lacks is not None and INSTALL not in found.steps:
        lacks = f"{lacks}; nodeport-lab has installed no CNI plugin, and waits for yours"
    return Status(found, nodes, ready=lacks is None, said=lacks)


def lacking(found: State, opened: Connect = connect) -> str | None:
    """The first thing that a cluster lacks until it is ready; None: nothing.

    Raises:
        LabError: its API does not answer.
    """
    connection = opened(found.kubeconfig, found.context)
    try:
        wanted = len(found.asked.configuration["nodes"])
        dataplane = found.asked.dataplane if INSTALL in found.steps else None
        return observing.missing(connection, dataplane, wanted)
    finally:
        connection.close()


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
        raise not_ours(name)
    if found.containers is not None and not nodes.keys() & found.containers.keys():
        state.forget(name)  # ours is gone, and what has its name now is somebody else's
        raise not_ours(name)
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
