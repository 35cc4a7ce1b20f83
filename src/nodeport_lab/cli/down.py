"""`nodeport-lab down`."""

from __future__ import annotations

from nodeport_lab.cli.shared import out
from nodeport_lab.cli.up import NameOption
from nodeport_lab.testbeds.kind import existing
from nodeport_lab.testbeds.kind.venue import DEFAULT_NAME


def down_command(name: NameOption = DEFAULT_NAME) -> None:
    """Remove a cluster that `nodeport-lab up` made, however far it has come.

    Exit code 0: it is gone, or there was none.

    Exit code 2: it is somebody else's, or the container engine does not answer.
    """
    removed = existing.down(name)
    if removed:
        out.print(f"Removed {', '.join(removed)}.", markup=False, soft_wrap=True)
    else:
        out.print(f"There is no cluster {name}; nothing to remove.", markup=False, soft_wrap=True)
