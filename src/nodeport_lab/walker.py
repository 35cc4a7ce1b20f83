"""Send one packet through a lab while the kernel traces it: the way to a `walk.Walk`."""

from __future__ import annotations

from nodeport_lab.errand import Errand, prepare
from nodeport_lab.model import Run
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE
from nodeport_lab.trace import passages
from nodeport_lab.walk import Walk
from nodeport_lab.walk_reader import Setting, read_walk


def walk(errand: Errand, deadline: float = DEFAULT_DEADLINE) -> Walk:
    """Run an errand and follow its first packet.

    Args:
        errand: every name in it is checked before anything is created.
        deadline: seconds that the connection and its answer may take.

    Raises:
        UnknownNameError: a name that does not exist.
        LabError: a route by which this client can reach nothing.
        PrerequisiteError: this machine cannot run the testbed.
        TestbedError: the testbed failed.
    """
    ready = prepare(errand)
    policies = () if ready.policy is None else (ready.policy,)
    probe = ready.cell.probe
    with ready.testbed as testbed:
        (control,) = testbed.probe([probe], deadline)
        testbed.apply(policies)
        (result,), told = testbed.trace([probe], deadline)
    return read_walk(
        Run(
            errand.testbed,
            ready.dataplane.name,
            {**ready.options, **ready.varied},
            ready.dataplane.basis,
            testbed.versions,
        ),
        Setting(ready.scenario, testbed.network, ready.dataplane, ready.options, policies),
        ready.cell,
        result,
        control,
        {place: passages(text) for place, text in told.items()},
    )
