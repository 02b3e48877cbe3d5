from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.vllm.server import VllmServer, running
from tests.vllm.staged import with_live_views

# The same examples every time, and no deadline: a busy machine is no defect of the code.
settings.register_profile("descant", derandomize=True, deadline=None)
settings.load_profile("descant")


@pytest.fixture(scope="session")
def vllm_server() -> Iterator[VllmServer]:
    """Give a real vLLM that computes in float32, so that equal requests get equal answers in any company."""
    server = VllmServer()
    with running(server):
        yield server


@pytest.fixture(scope="session")
def live_vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """Give the same with the plugin for live views (docs/live-views.md)."""
    server = with_live_views(tmp_path_factory.mktemp("overlay"))
    with running(server):
        yield server
