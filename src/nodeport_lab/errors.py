"""What can go wrong, as one family of exceptions.

Every message is one sentence that names the thing, the place and the remedy. The
command line prints it as it is and leaves with exit code 2.
"""


class LabError(Exception):
    """The base of every error that the lab raises on purpose."""


class ManifestError(LabError):
    """A manifest says something that Kubernetes does not know or the lab cannot use."""


class UnknownNameError(LabError):
    """A dataplane, option, policy, pod, node, testbed or run that does not exist."""

    def __init__(self, kind: str, name: str, known: "list[str] | tuple[str, ...]") -> None:
        """Name what was asked for and what there is.

        Args:
            kind: what the name stands for, in the singular ("dataplane").
            name: the name that was given.
            known: every name that would have been accepted.
        """
        choices = ", ".join(known) if known else "none here"
        super().__init__(f"there is no {kind} {name!r}; choose one of: {choices}")
        self.kind = kind
        self.name = name
        self.known = tuple(known)


class PrerequisiteError(LabError):
    """This machine lacks something that the testbed needs; nothing was created."""


class TestbedError(LabError):
    """The testbed itself failed (not the traffic in it)."""

    __test__ = False  # the name starts with Test, pytest must not collect it


class NotebookError(LabError):
    """A notebook could not be rendered, executed or compared."""


class ClaimError(LabError):
    """The file of claims and documented outcomes says something that cannot be used."""
