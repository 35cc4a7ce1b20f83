"""A folder of manifests: which files belong to it, and in which order."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nodeport_lab.errors import ManifestError, UnknownNameError
from nodeport_lab.manifests.cluster import Cluster, read_cluster
from nodeport_lab.manifests.objects import Object, read_objects
from nodeport_lab.manifests.programs import with_programs
from nodeport_lab.manifests.scenario import build_scenario
from nodeport_lab.model import Scenario

FOLDERS = ("workloads", "services", "policies")
"""The folders of a scenario, in the order in which a cluster should get them."""

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})


def load_scenario(
    directory: Path,
    cluster: str = "dev",
    facts: Mapping[str, str] | None = None,
    folders: Sequence[str] = FOLDERS,
) -> Scenario:
    """Read a folder of manifests: `kind/CLUSTER.yaml`, `workloads`, `services`, `policies`.

    Args:
        directory: the folder.
        cluster: name of the file in `kind` that describes the cluster.
        facts: subnets of the testbed, by fact (see `binding`); without them, policies
            keep the CIDRs that they hold.
        folders: the folders to read, in the order in which a cluster should get them.

    Raises:
        ManifestError: a manifest is not one that Kubernetes accepts or the lab can use.
        UnknownNameError: there is no such cluster.
    """
    described = load_cluster(directory, cluster)
    objects = read_directory(directory, folders)
    return with_programs(build_scenario(described, objects, facts), objects)


def load_cluster(directory: Path, cluster: str) -> Cluster:
    """Read the cluster of a folder of manifests: `kind/CLUSTER.yaml`.

    Raises:
        ManifestError: it is none that kind accepts or the lab can use.
        UnknownNameError: there is no such cluster.
    """
    path = directory / "kind" / f"{cluster}.yaml"
    if path.parent.is_dir() and not path.is_file():
        known = sorted(found.stem for found in path.parent.glob("*.yaml"))
        raise UnknownNameError("cluster", cluster, known)
    return read_cluster(_read(path), str(path))


def read_directory(directory: Path, folders: Sequence[str] = FOLDERS) -> tuple[Object, ...]:
    """Every object of a folder of manifests, in the order in which to apply them.

    Namespaces come first, then the folders in turn, each in the order of its file names.

    Raises:
        ManifestError: a manifest is not one that Kubernetes accepts.
    """
    objects = [
        found
        for folder in folders
        for path in _manifests(directory / folder)
        for found in read_objects(_read(path), str(path))
    ]
    return tuple(sorted(objects, key=lambda found: found.kind != "Namespace"))


def _manifests(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise ManifestError(f"{folder}: there is no such folder; a scenario keeps manifests in it")
    yield from sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{path}: this file cannot be read ({error.strerror}); mend its path or rights"
        raise ManifestError(message) from error
