"""Take an errand that a policy denies to a lab, and have rules tried for it there."""

from __future__ import annotations

from nodeport_lab.advice import Advice, advise
from nodeport_lab.errand import Errand, prepare
from nodeport_lab.errors import LabError
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE


def consult(errand: Errand, deadline: float = DEFAULT_DEADLINE) -> Advice:
    """Find a rule for the errand's connection.

    Args:
        errand: every name in it is checked before anything is created.
        deadline: seconds that a connection and its answer may take.

    Raises:
        UnknownNameError: a name that does not exist.
        LabError: no policy is named, or it does not deny this connection.
        PrerequisiteError: this machine cannot run the testbed.
        TestbedError: the testbed failed.
    """
    ready = prepare(errand)
    if ready.policy is None:
        raise LabError("nothing is denied without a policy; name the one in force with --policy")
    with ready.testbed as testbed:
        return advise(testbed, ready.scenario, ready.policy, ready.cells, ready.cell, deadline)
