from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Static

from agent.apps.desktop import Controls
from agent.conversation import timeline
from agent.conversation.timeline import Event
from agent.terminal.app import Terminal

if TYPE_CHECKING:
    from textual.pilot import Pilot

TURN: list[tuple[float, Event]] = [
    (0, timeline.SpeechBegan()),
    (800, timeline.WordsHeard("What is", "[12] times", final=False, revision=0)),
    (1300, timeline.SpeechStopped(1200)),
    (1800, timeline.TurnEnded("What is [12] times 7?")),
    (1900, timeline.StateChanged("thinking_and_writing")),
    (1950, timeline.Thought("12 times 7\nis 84.\n")),
    (2000, timeline.AudioOut(2000, 2500, "One moment.", "filler")),
    (2100, timeline.ReplyText("It is eighty four. And that is all.")),
    (3000, timeline.AudioOut(3000, 4000, "It is eighty four.", "content")),
]


@asynccontextmanager
async def shown(
    *events: tuple[float, Event], size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Terminal, Pilot[None]]]:
    app = Terminal(Controls())
    async with app.run_test(size=size) as pilot:
        for t_ms, event in events:
            app.show(t_ms, event)
        yield app, pilot


def said(app: Terminal, now_ms: float) -> str:
    app.draw(now_ms)
    return "\n".join(f"{who} {text}" for who, text in app.picture.conversation(now_ms))


def styled(app: Terminal, now_ms: float, style: str) -> str:
    lines = [text for _, text in app.picture.conversation(now_ms)]
    return "|".join(text.plain[span.start : span.end] for text in lines for span in text.spans if span.style == style)


async def test_partials_are_live_and_what_may_change_is_dim() -> None:
    async with shown(*TURN[:2]) as (app, _):
        assert "What is [12] times" in said(app, 900)
        assert styled(app, 900, "dim") == " [12] times"


async def test_words_light_up_as_they_are_heard() -> None:
    async with shown(*TURN) as (app, _):
        assert "It is eighty four. And that is all." in said(app, 3010)
        lit = [styled(app, now, "bold") for now in (3010, 3300, 3600, 3990)]
        assert lit == ["It", "It is", "It is eighty", "It is eighty four."]
        assert styled(app, 4000, "bold") == ""
        assert "And that is all." in styled(app, 3300, "dim")


async def test_a_pause_stops_the_light_and_a_cut_ends_the_line() -> None:
    async with shown(*TURN, (3400, timeline.Paused())) as (app, _):
        before = styled(app, 3400, "bold")
        assert styled(app, 9000, "bold") == before
        app.show(4400, timeline.WentOn())
        assert styled(app, 4410, "bold") == before
        assert "It is eighty four." in said(app, 5010)
        app.show(4500, timeline.AudioCut(4000, 4500))
        app.show(4500, timeline.Interrupted("It is"))
        after = said(app, 9000)
        assert "And that is all" not in after
        assert "—" in after


async def test_state_latency_and_thoughts_are_shown() -> None:
    async with shown(*TURN) as (app, _):
        app.draw(3100)
        assert "thinking and writing" in str(app.query_one("#head", Static).visual)
        assert "sound 0.8 s · content 1.8 s" in str(app.query_one("#foot", Static).visual)
        assert "12 times 7\nis 84." in str(app.query_one("#thoughts", Static).visual)


async def test_thoughts_can_be_hidden() -> None:
    async with shown(*TURN) as (app, pilot):
        app.draw()
        assert app.query_one("#mind").display
        await pilot.press("t")
        app.draw()
        assert not app.query_one("#mind").display


async def test_keys_move_the_controls() -> None:
    async with shown() as (app, pilot):
        controls, cut = app._controls, []
        controls.interrupt = lambda: cut.append(1)
        await pilot.press("m")
        assert not controls.hearing
        await pilot.press("m", "p")
        assert not controls.hearing
        await pilot.press("space")
        assert controls.hearing
        await pilot.press("space")
        assert not controls.hearing
        await pilot.press("p")
        assert controls.hearing
        await pilot.press("i")
        assert cut == [1]
        assert not controls.ended.is_set()
        await pilot.press("q")
        assert controls.ended.is_set()


@pytest.mark.parametrize("key", ["s", "escape"])
async def test_where_there_is_a_robot_a_key_stops_it(key: str) -> None:
    async with shown() as (app, pilot):
        stopped: list[bool] = []
        app._controls.stop = lambda: stopped.append(True)
        await pilot.press(key)
        assert not stopped
        app._controls.robot = True
        await pilot.press(key)
        assert stopped == [True]


async def test_ctrl_c_ends_in_order() -> None:
    async with shown() as (app, pilot):
        await pilot.press("ctrl+c")
        assert app._controls.ended.is_set()
        assert app.is_running


async def test_levels_are_shown() -> None:
    async with shown() as (app, _):
        app.level(1.0, 0.001)
        app.draw()
        foot = str(app.query_one("#foot", Static).visual)
        assert foot.count("■") == 8
        assert foot.index("■") < foot.index("voice")


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60)])
async def test_it_fits_its_terminal_however_long_the_talk(size: tuple[int, int]) -> None:
    events = [(t, event) for _ in range(40) for t, event in TURN]
    async with shown(*events, (5000, timeline.Thought("Step is done.\n" * 3000)), size=size) as (app, pilot):
        await pilot.pause()
        app.draw(3990)
        await pilot.pause()
        for name in ("#head", "#talk", "#foot", "Footer"):
            region = app.query_one(name).region
            assert region.height >= 1
            assert region.right <= size[0]
            assert region.bottom <= size[1]
        talk = app.query_one("#talk")
        assert talk.scroll_offset.y == talk.max_scroll_y > 0
        assert app.query_one("#mind").display == (size[0] >= 80)


async def test_every_event_can_be_shown() -> None:
    events: list[Event] = [timeline.HistoryDropped(2), timeline.Failed("no"), timeline.HardStopped("stop")]
    events += [timeline.ToolCall("1", "go_to", {}), timeline.Prompted(), timeline.WentOn(), timeline.AudioCut(1, 2)]
    events += [timeline.AudioOut(1, 1, "", "content"), timeline.Interrupted("")]
    async with shown(*((float(n), event) for n, event in enumerate(events))) as (app, _):
        text = said(app, 50)
        for part in ("no", "stopped: “stop”", "calls go_to", "2 turns"):
            assert part in text
