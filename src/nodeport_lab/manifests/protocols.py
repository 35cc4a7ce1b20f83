"""The protocol of a port, wherever a port is declared."""

from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.syntax import one_of
from nodeport_lab.model import Protocol


def read_protocol(protocol: Field) -> Protocol:
    """A protocol, TCP where none is given.

    Raises:
        ManifestError: a protocol that Kubernetes does not know.
    """
    if protocol.value is None:
        return Protocol.TCP
    return Protocol(protocol.must(one_of(Protocol)))
