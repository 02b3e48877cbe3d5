"""What a response is made from, and what shape it has: the session's settings with those of the response over them."""

from __future__ import annotations

from agent.realtime.protocol import fields
from agent.realtime.protocol.fields import InvalidRequest, ResponseFields, SessionFields
from agent.realtime.protocol.items import Item, Items, brought, turns_of
from agent.realtime.protocol.messages import ResponseSpec
from agent.realtime.protocol.responses import Shape


def brief_of(session: SessionFields, items: Items, wanted: ResponseFields) -> ResponseSpec:
    """Put together what a response is made from. Raises Refused for an input that refers to nothing."""
    turns, text, said = turns_of(list(items) if wanted.input is None else _input(items, wanted.input))
    tools = session.tools if wanted.tools is None else wanted.tools
    choice = session.tool_choice if wanted.tool_choice is None else wanted.tool_choice
    if choice == "none":
        tools = []
    if isinstance(choice, fields.NamedTool):
        tools = [tool for tool in tools if tool.name == choice.name]
    reasoning = wanted.reasoning or session.reasoning or fields.Reasoning()
    most = _most(session, wanted)
    instructions = session.instructions if wanted.instructions is None else wanted.instructions
    return ResponseSpec(
        turns,
        text,
        said,
        instructions,
        reasoning.effort or "medium",
        most if isinstance(most, int) else None,
        tuple(tools),
    )


def shape_of(
    session: SessionFields, wanted: ResponseFields, *, response_id: str, conversation_id: str, word_times: bool
) -> Shape:
    """Settle what stays the same for the whole of a response. Raises Refused for a voice that is not the session's."""
    output = session.audio.output
    asked = wanted.audio.output if wanted.audio else fields.ResponseAudioOutput()
    if asked.voice not in {None, output.voice}:
        raise InvalidRequest(
            f"A response has the voice of its session, '{output.voice}': set session.audio.output.voice instead.",
            code="cannot_update_voice",
            param="response.audio.output.voice",
        )
    return Shape(
        response_id=response_id,
        conversation_id=conversation_id if wanted.conversation == "auto" else None,
        modality=(wanted.output_modalities or session.output_modalities)[0],
        max_output_tokens=_most(session, wanted),
        metadata=wanted.metadata,
        format=asked.format or output.format,
        voice=output.voice,
        word_times=word_times,
    )


def _most(session: SessionFields, wanted: ResponseFields) -> int | str:
    return session.max_output_tokens if wanted.max_output_tokens is None else wanted.max_output_tokens


def _input(items: Items, wanted: list[fields.InputItem]) -> list[Item]:
    found = []
    for number, new in enumerate(wanted):
        if isinstance(new, fields.ItemReference):
            item = items.get(new.id)
            if item is None:
                raise InvalidRequest(f"There is no item '{new.id}'.", code="item_not_found", param="response.input")
            found.append(item)
        else:
            found.append(brought(new, new.id or f"input_{number}"))
    Items().check_room(*found)
    return found
