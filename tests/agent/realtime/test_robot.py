"""The server's robot in the conversation of a client, over a real websocket and without a broker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.realtime.robot import SharedRobot
from reasoning.tools.written import WrittenCall
from robots.events import Event, Happening
from robots.facts.fact import Fact
from robots.facts.messages import FieldMissing
from robots.safety.gate import Latch
from robots.skills import SkillCall
from robots.terms.heard import About, Unreadable
from tests.agent.realtime.fakes import FakeModels, Script24, served
from tests.agent.standing_robot import releases, standing_robot
from tests.reasoning.scripted_engine import END

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from robots.session import RobotSession

GO = "Go to the kitchen."


class Caller(Script24):
    """Calls for `GO`, and otherwise talks."""

    def score_choices(self, before: str) -> float:
        return 3.0 if asked(before) == GO else -20.0

    def write(self, before: str, name: str) -> str:
        if asked(before) == GO and not name.startswith("thoughts"):
            return WrittenCall("go_to", {"place": "kitchen"}).text() + END
        return f"I see.{END}"


def asked(before: str) -> str:
    return before.rpartition("<|im_start|>user\n")[2].partition(END)[0]


@pytest.fixture
async def robot() -> RobotSession:
    return standing_robot()


@pytest.fixture
async def models(robot: RobotSession) -> AsyncIterator[FakeModels]:
    shared = SharedRobot(robot)
    running = asyncio.create_task(shared.run())
    yield FakeModels(Caller(), robot=shared)
    running.cancel()


async def test_a_clients_words_become_an_order_and_the_client_is_not_asked_to_call(
    models: FakeModels, robot: RobotSession
) -> None:
    async with served(models) as one, one.client("model=any&extensions=robot") as client:
        await client.configure(output_modalities=["text"])
        done = await client.ask(GO)
        assert [item["type"] for item in done["output"]] == ["message"]
        (release,) = releases(robot)
        assert len(release.points) > 1


async def test_a_place_that_was_perhaps_misheard_is_asked_for_and_then_driven_to(
    models: FakeModels, robot: RobotSession
) -> None:
    async with served(models) as one, one.client() as client:
        await client.configure(output_modalities=["text"])
        done = await client.ask("Go to the kichen.")
        assert done["output"][0]["content"][0]["text"] == "Do you mean the kitchen?"
        assert releases(robot) == []
        await client.ask("Yes, please.")
        (release,) = releases(robot)
        assert len(release.points) > 1


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Hear this:\nYes."}]},
        {"type": "function_call_output", "call_id": "c", "output": "It says:\nYes."},
    ],
    ids=lambda item: item["type"],
)
async def test_only_the_user_answers_what_the_robot_asks(
    models: FakeModels, robot: RobotSession, item: dict[str, object]
) -> None:
    async with served(models) as one, one.client() as client:
        await client.configure(output_modalities=["text"])
        await client.ask("Go to the kichen.")
        await client.send("conversation.item.create", item=item)
        await client.send("response.create")
        await client.until("response.done")
        assert releases(robot) == []
        await client.ask("Yes.")
        assert len(releases(robot)) == 1


async def test_stop_stops_without_a_reply_and_resume_needs_a_yes(models: FakeModels, robot: RobotSession) -> None:
    async with served(models) as one, one.client() as client:
        await client.configure(output_modalities=["text"])
        done = await client.ask("Stop!")
        assert robot.robot.gate.latch is Latch.STOPPED
        assert done["status"] == "completed"
        assert not done["output"]


async def test_only_one_client_has_the_robot_but_everybody_can_stop_it(models: FakeModels, robot: RobotSession) -> None:
    async with served(models) as one, one.client(), one.client() as second:
        await second.configure(output_modalities=["text"])
        await second.ask(GO)
        assert releases(robot) == []
        await second.ask("Stop the robot.")
        assert robot.robot.gate.latch is Latch.STOPPED


async def test_the_ears_of_the_client_that_has_the_robot_know_its_places(models: FakeModels) -> None:
    async with served(models) as one, one.client() as first, one.client() as second:
        for client, known in ((second, False), (first, True)):
            await client.configure(audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}})
            await client.sound(0.9, 0.6)
            await client.send("input_audio_buffer.commit")
            await client.until("conversation.item.input_audio_transcription.completed")
            assert any("the kitchen" in sentences for sentences in models.decoder.expected) is known


async def test_news_is_an_item_and_leads_to_a_response_of_its_own(models: FakeModels, robot: RobotSession) -> None:
    async with served(models) as one, one.client() as client:
        await client.configure(output_modalities=["text"])
        robot.robot.events.append(Event(Happening.DONE, call=SkillCall("c", "go_to", {"place": "kitchen"}, 1)))
        robot._pass_on()
        item = (await client.until("conversation.item.added"))["item"]
        assert item["content"][0]["text"] == "[robot] R1: go to kitchen: done."
        assert (await client.until("response.done"))["response"]["output"][0]["content"][0]["text"] == "I see."


async def test_what_the_robots_state_says_of_a_stop_is_said_word_by_word(
    models: FakeModels, robot: RobotSession
) -> None:
    async with served(models) as one, one.client() as client:
        await client.configure(output_modalities=["text"])
        robot.robot.events.append(Event(Happening.STOPPED))
        robot._pass_on()
        done = (await client.until("response.done"))["response"]
        assert done["output"][0]["content"][0]["text"] == "R1 has stopped."


async def test_what_is_refused_of_the_robots_messages_is_a_figure(models: FakeModels, robot: RobotSession) -> None:
    async with served(models) as one:
        for _ in range(3):
            robot.robot.refused(Unreadable(FieldMissing("state", "driving"), About.REPORT), 0.0)
        figures = one.server.meters.text().decode()
    assert 'descant_robot_messages_refused_total{reason="field_missing"} 3.0' in figures


async def test_a_robot_whose_client_is_gone_is_paused(models: FakeModels, robot: RobotSession) -> None:
    held = asyncio.Event()
    hold = robot.hold

    def held_by(why: Fact) -> None:
        hold(why)
        held.set()

    robot.hold = held_by  # type: ignore[method-assign]
    async with served(models) as one:
        async with one.client() as client:
            await client.configure(output_modalities=["text"])
            await client.ask(GO)
            assert not robot.robot.idle
        async with one.client():
            pass
        async with asyncio.timeout(10):
            await held.wait()
        assert robot.robot.gate.latch is Latch.HELD
