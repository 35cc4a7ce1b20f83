"""Fixtures of several test modules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kubernetes_api import KubernetesApi

from nodeport_lab.testbeds.cluster.connection import Connection


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    """An API server of its own for each test."""
    with KubernetesApi().serving() as serving:
        yield serving


@pytest.fixture
def connection(
    api: KubernetesApi, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Connection]:
    """A connection to it, with the module's TIMEOUT in seconds."""
    with Connection(api.kubeconfig(tmp_path), "dev", timeout=request.module.TIMEOUT) as connected:
        yield connected
