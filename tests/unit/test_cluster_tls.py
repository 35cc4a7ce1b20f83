"""A cluster's API over TLS, as clusters serve it; from outside, and from a pod inside.

Imitated: the server, and the files that a kubelet mounts into a pod. The certificates are
real ones, made by openssl for the test.
"""

from __future__ import annotations

import functools
import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from aiohttp import web
from kubernetes.config import incluster_config
from support.kubernetes_api import KubernetesApi, Ran

from nodeport_lab.errors import PrerequisiteError
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.failures import ClusterError

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate, which is its own authority."""

    file: Path
    key: Path


def issue(folder: Path, address: str) -> Certificate:
    """Make a certificate for an IP address."""
    made = Certificate(folder / f"{address}.crt", folder / f"{address}.key")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=kubernetes"]
    command += ["-addext", f"subjectAltName=IP:{address}"]
    command += ["-keyout", str(made.key), "-out", str(made.file)]
    subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """For the address that the server has."""
    return issue(tmp_path_factory.mktemp("right"), "127.0.0.1")


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """For another address."""
    return issue(tmp_path_factory.mktemp("wrong"), "192.0.2.1")


@contextmanager
def served(certificate: Certificate) -> Iterator[KubernetesApi]:
    """The server, with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.file, certificate.key)
    site = functools.partial(web.TCPSite, ssl_context=context)
    with mock.patch.object(web, "TCPSite", site), KubernetesApi().serving() as api:
        api.url = api.url.replace("http:", "https:")
        yield api


def trusting(api: KubernetesApi, folder: Path, authority: Certificate) -> Path:
    """A kubeconfig that names an authority for the server."""
    file = api.kubeconfig(folder)
    content = json.loads(file.read_text())
    content["clusters"][0]["cluster"]["certificate-authority"] = str(authority.file)
    file.write_text(json.dumps(content))
    return file


@pytest.fixture
def api(right: Certificate) -> Iterator[KubernetesApi]:
    """A server with the right certificate."""
    with served(right) as serving:
        yield serving


@pytest.fixture
def pod(
    api: KubernetesApi, right: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """What a pod is given to reach the API; returns its token's file."""
    token = tmp_path / "token"
    token.write_text("of-the-service-account")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(right.file))
    host, port = api.url.removeprefix("https://").split(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    return token


def test_a_trusted_cluster_is_used(api: KubernetesApi, right: Certificate, tmp_path: Path) -> None:
    """Requests and commands alike; much output comes back whole through TLS records too."""
    api.run = lambda _pod, _command: Ran("0123456789" * 100_000, "said", 3)

    with Connection(trusting(api, tmp_path, right), "dev", timeout=2) as connection:
        assert "v1.36.4" == connection.version()
        ended = connection.execute("lab", "a", ["x"], deadline=5)
    assert (1_000_000, "said", 3) == (len(ended.stdout), ended.stderr, ended.exit_code)


def test_a_deadline_is_one_over_tls(api: KubernetesApi, right: Certificate, tmp_path: Path) -> None:
    """What was written until then is kept."""
    api.run = lambda _pod, _command: Ran("so far", seconds=5)

    with Connection(trusting(api, tmp_path, right), "dev", timeout=2) as connection:
        ended = connection.execute("lab", "a", ["x"], deadline=0.4)
    assert ("so far", None) == (ended.stdout, ended.exit_code)
    assert "had not ended" in str(ended.failure)


def test_a_certificate_that_is_not_trusted_is_told(api: KubernetesApi, tmp_path: Path) -> None:
    """The remedy is in the kubeconfig; that the cluster does not run would mislead."""
    with Connection(api.kubeconfig(tmp_path), "dev", timeout=2) as connection:
        with pytest.raises(ClusterError, match=r"self-signed.*authority in the kubeconfig"):
            connection.version()
        ended = connection.execute("lab", "a", ["x"], deadline=2)
    assert ended.exit_code is None
    assert "did not start it" in str(ended.failure)
    assert "self-signed" in str(ended.failure)
    assert [] == api.requests


def test_a_certificate_for_another_address_is_told(wrong: Certificate, tmp_path: Path) -> None:
    """As after a cluster has moved."""
    with served(wrong) as api:
        file = trusting(api, tmp_path, wrong)
        with (
            Connection(file, "dev", timeout=2) as connection,
            pytest.raises(ClusterError, match=r"not valid for '127\.0\.0\.1'.*check its address"),
        ):
            connection.version()


def test_a_pod_reaches_its_own_cluster(api: KubernetesApi, pod: Path) -> None:
    """By its service account, with nothing named; commands in other pods too."""
    assert pod.exists()
    with Connection.in_cluster(timeout=2) as connection:
        assert "in-cluster" == connection.context
        assert api.url == connection.server
        assert "v1.36.4" == connection.version()
        assert 0 == connection.execute("lab", "a", ["x"], deadline=2).exit_code


def test_a_pod_without_a_token_is_refused(api: KubernetesApi, pod: Path) -> None:
    """As with automountServiceAccountToken: false."""
    pod.unlink()

    with pytest.raises(PrerequisiteError, match="no pod with a service account"):
        Connection.in_cluster()
    assert [] == api.requests
