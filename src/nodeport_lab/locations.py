"""Where the files lie that the lab reads: in the checkout, or inside the installed package.

A checkout (also one installed with `pip install -e`) uses its own `manifests/` and
`notebooks/`, so that an edit takes effect at once. A wheel carries copies in `_data`.
"""

from pathlib import Path

from nodeport_lab.errors import LabError

_PACKAGE = Path(__file__).resolve().parent
_DATA = _PACKAGE / "_data"


def manifests_directory() -> Path:
    """The folder of the scenario's manifests."""
    root = _checkout()
    return root / "manifests" if root else _DATA / "manifests"


def claims_file() -> Path:
    """The file of claims and documented outcomes."""
    root = _checkout()
    return root / "notebooks" / "claims.yml" if root else _DATA / "claims.yml"


def repository_root() -> Path:
    """The checkout that this package belongs to.

    Raises:
        LabError: the package was installed from a wheel, without the book's sources.
    """
    root = _checkout()
    if root is None:
        raise LabError(
            f"{_PACKAGE} is an installed copy without notebooks and chapters; "
            "clone the repository and run `make setup` there"
        )
    return root


def _checkout() -> Path | None:
    """The folder above `src/nodeport_lab` if it is the project's own, else None."""
    root = _PACKAGE.parent.parent
    in_checkout = _PACKAGE.parent.name == "src" and (root / "pyproject.toml").is_file()
    return root if in_checkout else None
