from __future__ import annotations

import base64
from typing import Any

import pytest

from agent.realtime.protocol import messages
from agent.realtime.protocol.messages import (
    Aside,
    Finished,
    FunctionCalled,
    HistoryTurn,
    ResponseFailed,
    SpeechEnded,
    Transcribed,
    Understood,
    Usage,
    UserSpeechStarted,
)
from tests.agent.realtime.invariants import Rig

SECOND = base64.b64encode(bytes(48_000)).decode()


def user(text: str, item_id: str | None = None) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return item if item_id is None else {**item, "id": item_id}


def written(rig: Rig, text: str = "Hi.") -> messages.Respond:
    rig.send("conversation.item.create", item=user(text))
    rig.send("response.create")
    command = rig.commands[-1]
    assert isinstance(command, messages.Respond)
    return command


def test_a_session_is_created_with_everything_in_it() -> None:
    session = Rig().events[0]["session"]
    assert session["object"] == "realtime.session"
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert session["audio"]["output"]["voice"] == "joe"


def test_an_update_changes_what_it_names_and_shows_all() -> None:
    rig = Rig()
    (updated,) = rig.send("session.update", session={
        "type": "realtime", "instructions": "Be brief.", "max_output_tokens": "inf", "tracing": None, "strange": 1,
        "audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low", "new": 2}},
                  "output": {"voice": {"id": "joe"}}},
    })  # fmt: skip
    session = updated["session"]
    assert session["instructions"] == "Be brief."
    assert session["audio"]["input"]["turn_detection"]["eagerness"] == "low"
    assert session["audio"]["input"]["transcription"]["model"] == "whisper"
    assert session["audio"]["output"]["voice"] == "joe"
    assert "strange" not in session
    (again,) = rig.send("session.update", session={"type": "realtime", "instructions": ""})
    assert again["session"]["instructions"] == ""
    assert again["session"]["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"


def test_false_turn_detection_is_none() -> None:
    (updated,) = Rig().send(
        "session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": False}}}
    )
    assert updated["session"]["audio"]["input"]["turn_detection"] is None


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"type": "transcription"}, "session.type"),
        ({"type": "realtime", "output_modalities": ["audio", "text"]}, "session.output_modalities"),
        ({"type": "realtime", "output_modalities": []}, "session.output_modalities"),
        ({"type": "realtime", "max_output_tokens": 0}, "session.max_output_tokens"),
        ({"type": "realtime", "reasoning": {"effort": "huge"}}, "session.reasoning.effort"),
        ({"type": "realtime", "model": "another"}, "session.model"),
        ({"type": "realtime", "instructions": 5}, "session.instructions"),
        ({"type": "realtime", "tools": [{"type": "function", "name": "a b"}]}, "session.tools.0.name"),
        ({"type": "realtime", "audio": {"output": {"speed": 9}}}, "session.audio.output.speed"),
        ({"type": "realtime", "audio": 7}, "session.audio"),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "session.audio.input.format.rate",
        ),
        (
            {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 3}}}},
            "session.audio.input.turn_detection.threshold",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_changes_nothing(session: dict[str, Any], param: str) -> None:
    rig = Rig()
    before = rig.protocol.shown()
    (error,) = rig.send("session.update", session=session)
    assert error["error"]["param"] == param
    assert error["error"]["event_id"] == "mine"
    assert rig.protocol.shown() == before


def test_a_tool_whose_schema_is_none_is_refused() -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "strange"}}}}
    (error,) = Rig().send("session.update", session={"type": "realtime", "tools": [tool]})
    assert error["error"]["code"] == "invalid_tool"


def test_items_stand_where_they_are_put() -> None:
    rig = Rig()
    rig.send("conversation.item.create", item=user("b", "b"))
    rig.send("conversation.item.create", item=user("a", "a"), previous_item_id="root")
    added, _ = rig.send("conversation.item.create", item=user("ab", "ab"), previous_item_id="a")
    assert added["previous_item_id"] == "a"
    assert [item.id for item in rig.protocol.items] == ["a", "ab", "b"]
    (error,) = rig.send("conversation.item.create", item=user("c"), previous_item_id="nowhere")
    assert error["error"]["param"] == "previous_item_id"
    (error,) = rig.send("conversation.item.create", item=user("a", "a"))
    assert error["error"]["code"] == "item_create_duplicate_item_id"
    (error,) = rig.send("conversation.item.retrieve", item_id="x")
    assert error["error"]["code"] == "item_retrieve_invalid_item_id"
    (deleted,) = rig.send("conversation.item.delete", item_id="ab")
    assert deleted == {"type": "conversation.item.deleted", "item_id": "ab"}
    rig.settled()


def test_a_reply_in_the_order_that_clients_rely_on() -> None:
    rig = Rig()
    respond = written(rig, "What is 2 and 2?")
    assert respond.brief.text == "What is 2 and 2?"
    start = len(rig.events)
    rig.say("Four.", 0.3)
    rig.tell(Finished(respond.response_id, Usage(7, 2)))
    assert rig.types(start) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
        "rate_limits.updated",
    ]
    done = rig.events[-2]["response"]
    assert done["usage"]["total_tokens"] == 9
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "Four."}]


def test_one_response_at_a_time_and_metadata_is_echoed() -> None:
    rig = Rig()
    created = rig.send("response.create", response={"metadata": {"client_event_id": "e1"}})[0]
    assert created["response"]["metadata"] == {"client_event_id": "e1"}
    (error,) = rig.send("response.create")
    assert error["error"]["code"] == "conversation_already_has_active_response"
    assert rig.send("response.create", response={"conversation": "none"})[0]["type"] == "response.created"
    done = next(event for event in rig.send("response.cancel") if event["type"] == "response.done")
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert done["response"]["metadata"] == {"client_event_id": "e1"}


def test_a_cancel_of_nothing_is_told_in_the_words_that_clients_look_for() -> None:
    (error,) = Rig().send("response.cancel")
    assert error["error"]["code"] == "response_cancel_not_active"
    assert error["error"]["message"].startswith("Cancellation failed")


def test_nothing_of_a_cancelled_response_comes_later() -> None:
    rig = Rig()
    respond = written(rig)
    rig.say("One.")
    rig.send("response.cancel")
    assert rig.say("Two.", response=respond.response_id) == []
    assert rig.tell(Finished(respond.response_id)) == []
    rig.settled()


def test_a_voice_over_the_reply_cuts_it_and_the_clock_says_what_was_heard() -> None:
    rig = Rig()
    respond = written(rig)
    rig.say("One two three four.", 4.0)
    rig.now_s = 2.1
    events = rig.tell(UserSpeechStarted(1000))
    assert events[0]["type"] == "input_audio_buffer.speech_started"
    assert events[-2]["response"]["status_details"]["reason"] == "turn_detected"
    assert rig.say("Five.", response=respond.response_id) == []
    rig.tell(SpeechEnded(2000, "And then?"))
    (again,) = [command for command in rig.commands if isinstance(command, messages.Respond)][1:]
    assert again.brief.turns == (HistoryTurn("Hi.", "One two"),)
    assert again.brief.text == "And then?"


def test_what_the_client_played_is_better_than_the_clock() -> None:
    rig = Rig()
    written(rig)
    rig.say("One two three four.", 4.0)
    item_id = rig.protocol.items.last_id
    assert item_id is not None
    rig.now_s = 2.1
    rig.tell(UserSpeechStarted(1000))
    truncated = rig.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=3300)
    assert truncated[0]["audio_end_ms"] == 3300
    assert rig.protocol.brief().turns == (HistoryTurn("Hi.", "One two three"),)
    (shown,) = rig.send("conversation.item.retrieve", item_id=item_id)
    assert shown["item"]["content"][0]["transcript"] == "One two three"
    (error,) = rig.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=5000)
    assert error["error"]["param"] == "audio_end_ms"


def test_nothing_heard_of_a_reply_leaves_the_turn_open() -> None:
    rig = Rig()
    written(rig, "Tell me")
    rig.say("One two three four.", 4.0)
    rig.tell(UserSpeechStarted(0))
    rig.tell(SpeechEnded(500, "about owls."))
    brief = rig.protocol.brief()
    assert brief.turns == ()
    assert brief.text == "Tell me\nabout owls."


def test_fillers_are_spoken_but_no_part_of_the_conversation() -> None:
    rig = Rig()
    respond = written(rig)
    rig.tell(messages.Said(respond.response_id, "Let me think.", bytes(4800), 2400, "filler"))
    rig.say("Four.", 1.0)
    rig.tell(Finished(respond.response_id))
    assert rig.events[-2]["response"]["output"][0]["content"][0]["transcript"] == "Let me think. Four."
    assert rig.protocol.brief().turns == (HistoryTurn("Hi.", "Four."),)


def test_push_to_talk_waits_for_the_words_and_makes_no_response_by_itself() -> None:
    rig = Rig()
    rig.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
    (error,) = rig.send("input_audio_buffer.commit")
    assert error["error"]["code"] == "input_audio_buffer_commit_empty"
    rig.send("input_audio_buffer.append", audio=SECOND)
    committed, added, done = rig.send("input_audio_buffer.commit")
    assert committed["item_id"] == added["item"]["id"] == done["item"]["id"]
    assert isinstance(rig.commands[-1], messages.EndTurn)
    assert rig.send("response.create")[0]["type"] == "response.created"
    assert not rig.begun
    events = rig.tell(Transcribed(committed["item_id"], "What time is it?", 1.0))
    assert [event["type"].rpartition(".")[2] for event in events] == ["delta", "completed"]
    assert events[-1]["usage"] == {"type": "duration", "seconds": 1.0}
    respond = rig.commands[-1]
    assert isinstance(respond, messages.Respond)
    assert respond.brief.text == "What time is it?"


def test_a_cleared_buffer_cannot_be_committed() -> None:
    rig = Rig()
    rig.send("input_audio_buffer.append", audio=SECOND)
    assert rig.send("input_audio_buffer.clear") == [{"type": "input_audio_buffer.cleared"}]
    assert rig.send("input_audio_buffer.commit")[0]["type"] == "error"


@pytest.mark.parametrize(
    ("audio", "code"), [("%%%", "invalid_audio"), ("AAAAA", "invalid_audio"), (5, "invalid_value")]
)
def test_sound_that_is_none(audio: object, code: str) -> None:
    (error,) = Rig().send("input_audio_buffer.append", audio=audio)
    assert error["error"]["code"] == code


def test_without_create_response_a_turn_is_only_heard() -> None:
    rig = Rig()
    detection = {"type": "server_vad", "create_response": False}
    rig.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": detection}}})
    rig.tell(UserSpeechStarted(0))
    rig.tell(SpeechEnded(900, "Hello."))
    assert "response.created" not in rig.types()
    assert "conversation.item.done" in rig.types()


def test_a_cough_makes_no_response() -> None:
    rig = Rig()
    rig.tell(UserSpeechStarted(0))
    rig.tell(SpeechEnded(200, ""))
    assert "response.created" not in rig.types()


def test_without_interrupt_response_the_answer_comes_after_the_running_one() -> None:
    rig = Rig()
    detection = {"type": "server_vad", "interrupt_response": False}
    rig.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": detection}}})
    respond = written(rig)
    rig.tell(UserSpeechStarted(0))
    assert rig.say("Go on.")
    rig.tell(SpeechEnded(900, "Hello?"))
    assert rig.types().count("response.created") == 1
    rig.tell(Finished(respond.response_id))
    assert rig.types().count("response.created") == 2


def test_a_function_call_and_its_result_while_the_reply_goes_on() -> None:
    rig = Rig()
    respond = written(rig, "Weather in Rome?")
    rig.say("Let me look.")
    start = len(rig.events)
    rig.tell(FunctionCalled(respond.response_id, "call_9", "weather", '{"city": "Rome"}'))
    assert rig.types(start) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "conversation.item.done",
    ]
    assert rig.events[start]["item"]["name"] == "weather"
    assert rig.events[start]["item"]["call_id"] == "call_9"
    assert rig.events[start]["output_index"] == 1
    output = {"type": "function_call_output", "call_id": "call_9", "output": "Sunny."}
    rig.send("conversation.item.create", item=output)
    assert rig.commands[-1] == messages.Note("[result of weather] Sunny.")
    rig.say("It is sunny.")
    rig.tell(Finished(respond.response_id))
    assert rig.types().count("response.created") == 1
    (turn,) = rig.protocol.brief().turns
    assert turn.user == "Weather in Rome?\n[result of weather] Sunny."
    assert turn.reply == "Let me look. It is sunny."
    assert turn.calls == (messages.Invoked("weather", '{"city": "Rome"}'),)


def test_a_result_that_comes_too_late_leads_to_another_response() -> None:
    rig = Rig()
    respond = written(rig, "Weather in Rome?")
    rig.tell(FunctionCalled(respond.response_id, "call_9", "weather", "{}"))
    output = {"type": "function_call_output", "call_id": "call_9", "output": "Sunny."}
    rig.send("conversation.item.create", item=output)
    # It stands before the words of the reply that did not know it, and yet belongs to the next one.
    rig.say("Let me look.")
    rig.tell(Finished(respond.response_id, unanswered=True))
    assert rig.types().count("response.created") == 2
    follow_up = rig.commands[-1]
    assert isinstance(follow_up, messages.Respond)
    assert follow_up.brief.text == "[result of weather] Sunny."
    (turn,) = follow_up.brief.turns
    assert (turn.user, turn.reply) == ("Weather in Rome?", "Let me look.")


def result_of_a_finished_reply(rig: Rig) -> list[dict[str, Any]]:
    respond = written(rig, "Weather in Rome?")
    rig.say("Let me look.")
    rig.tell(FunctionCalled(respond.response_id, "call_9", "weather", "{}"))
    rig.tell(Finished(respond.response_id))
    output = {"type": "function_call_output", "call_id": "call_9", "output": "Sunny."}
    return rig.send("conversation.item.create", item=output)


def test_a_result_after_the_reply_waits_for_the_client_unless_it_wants_follow_ups() -> None:
    assert result_of_a_finished_reply(Rig())[-1]["type"] == "conversation.item.done"
    rig = Rig(frozenset({"follow-ups"}))
    assert [event["type"] for event in result_of_a_finished_reply(rig)] == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    respond = rig.commands[-1]
    assert isinstance(respond, messages.Respond)
    assert respond.brief.text == "[result of weather] Sunny."


def test_a_result_while_the_user_speaks_waits_for_what_is_being_said() -> None:
    rig = Rig(frozenset({"follow-ups"}))
    rig.tell(UserSpeechStarted(0))
    output = {"type": "function_call_output", "call_id": "call_9", "output": "Sunny."}
    assert "response.created" not in [event["type"] for event in rig.send("conversation.item.create", item=output)]
    rig.tell(SpeechEnded(500, "Well?"))
    assert rig.types().count("response.created") == 1


def test_a_client_cannot_take_the_id_of_what_is_being_said_nor_one_that_the_server_comes_to() -> None:
    rig = Rig()
    (started,) = rig.tell(UserSpeechStarted(0))
    (refused,) = rig.send("conversation.item.create", item=user("Mine.", started["item_id"]))
    assert refused["error"]["code"] == "item_create_duplicate_item_id"
    number = int(started["item_id"].rpartition("_")[2])
    for later in range(number + 1, number + 5):
        rig.send("conversation.item.create", item=user("Mine.", f"item_{later}"))
    rig.tell(SpeechEnded(500, "Well?"))
    rig.say("Yes.")
    rig.tell(Finished(rig.begun[-1]))
    rig.settled()
    assert rig.types().count("response.done") == 1


def test_a_failure_is_told_with_a_message_and_the_conversation_goes_on() -> None:
    rig = Rig()
    respond = written(rig)
    rig.tell(ResponseFailed(respond.response_id, "the context is full"))
    done = rig.events[-2]["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["message"] == "the context is full"
    assert rig.send("response.create")[0]["type"] == "response.created"


def test_private_text_reaches_only_who_asks_for_it() -> None:
    for extensions, seen in ((frozenset[str](), False), (frozenset({"thoughts"}), True)):
        rig = Rig(extensions=extensions)
        rig.tell(Aside("thoughts", "early secret"))
        respond = written(rig)
        rig.tell(Aside("thoughts", "late secret"))
        rig.tell(Aside("robot", "robot secret"))
        rig.tell(Finished(respond.response_id))
        told = "".join(event.get("thoughts", "") for event in rig.events)
        assert told == ("early secretlate secret" if seen else "")
        assert ("secret" in str(rig.events)) == seen
        assert "robot secret" not in str(rig.events)


def test_the_voice_is_fixed_once_it_has_spoken() -> None:
    rig = Rig()
    change = {"type": "realtime", "audio": {"output": {"voice": "amy"}}}
    assert rig.send("session.update", session=change)[0]["type"] == "session.updated"
    written(rig)
    rig.say("One.")
    back = {"type": "realtime", "audio": {"output": {"voice": "joe"}}}
    assert rig.send("session.update", session=back)[0]["error"]["code"] == "cannot_update_voice"


def test_a_replayed_conversation_is_read_in_turns() -> None:
    rig = Rig()
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello Ada."}]}
    rig.send("conversation.item.create", item=user("I am Ada.", "u"), previous_item_id="root")
    rig.send("conversation.item.create", item=said, previous_item_id="u")
    rule = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be kind."}]}
    rig.send("conversation.item.create", item=rule)
    rig.send("conversation.item.create", item=user("Who am I?"))
    brief = rig.protocol.brief()
    assert brief.turns == (HistoryTurn("I am Ada.", "Hello Ada."),)
    assert brief.text == "[system] Be kind.\nWho am I?"


def test_settings_of_one_response() -> None:
    rig = Rig()
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    rig.send("session.update", session={"type": "realtime", "tools": [tool], "instructions": "A."})
    rig.send("response.create", response={
        "output_modalities": ["text"], "instructions": "B.", "tool_choice": "none", "max_output_tokens": 9,
        "reasoning": {"effort": "low"},
    })  # fmt: skip
    respond = rig.commands[-1]
    assert isinstance(respond, messages.Respond)
    assert not respond.spoken
    brief = respond.brief
    assert (brief.instructions, brief.tools, brief.max_output_tokens, brief.effort) == ("B.", (), 9, "low")
    assert rig.protocol.brief().tools[0].name == "f"


@pytest.mark.parametrize(
    ("final", "deltas"),
    [
        ("Hello there my friend", ["Hello", " there", " my friend"]),
        ("Hello there", ["Hello", " there"]),
        ("Yellow there", ["Hello", " there"]),
    ],
)
def test_words_are_passed_on_while_they_are_spoken(final: str, deltas: list[str]) -> None:
    rig = Rig()
    (started,) = rig.tell(UserSpeechStarted(0))
    told = [*rig.tell(Understood("Hello")), *rig.tell(Understood("Hello there")), *rig.tell(Understood("Help"))]
    told += rig.tell(SpeechEnded(900, final))
    partial = [event for event in told if event["type"].endswith("transcription.delta")]
    assert [event["delta"] for event in partial] == deltas
    assert {event["item_id"] for event in partial} == {started["item_id"]}
    (whole,) = [event for event in told if event["type"].endswith("transcription.completed")]
    assert whole["transcript"] == final


def test_words_of_nobody_are_not_passed_on() -> None:
    rig = Rig()
    assert rig.tell(Understood("Hello")) == []
