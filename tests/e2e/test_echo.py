"""The agent's own voice in its microphone: with the canceller nobody is heard, without it somebody is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent.config.settings import load
from agent.models.registry import Files
from bench.latency.echo import monologue
from tests.reasoning.model_files import model_path

pytestmark = [pytest.mark.e2e, pytest.mark.live]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cancelled", [True, False])
def test_the_agent_does_not_take_its_echo_for_somebody(cancelled: bool) -> None:
    settings = load().settings
    devices = replace(settings.devices, headphones=not cancelled)
    asr, voice = (model_path(name).parent for name in (settings.models.asr, settings.models.voice))
    found = asyncio.run(monologue(Files(asr, asr, voice), settings.model_copy(update={"devices": devices}), 15, -20.0))
    assert found.spoke_s >= 15
    if cancelled:
        assert found.onsets == found.self_interruptions == 0
        assert found.cancelled_db > 20
    else:
        assert found.onsets > 0
