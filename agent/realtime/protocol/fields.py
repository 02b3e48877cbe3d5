"""The fields of the protocol that a client may set, and which values are allowed.

Follows the session and response objects of the Realtime API (GA). Unknown fields are ignored; a wrong value raises
`InvalidRequest` with the path of the field. Knows shapes only: what a field does is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, ValidationError

MOST_TEXT = 131_072
"""Characters of one item; what fits the context of most models is less."""
_MOST_ECHOED = 8192
_MOST_TOLD = 600
"""Characters of what is told of a mistake, which may repeat what was sent."""


def _small(echoed: Json) -> Json:
    if len(str(echoed)) > _MOST_ECHOED:
        raise ValueError(f"it has more than {_MOST_ECHOED} characters")
    return echoed


_Id = Annotated[str, Field(min_length=1, max_length=128)]
_Model = TypeVar("_Model", bound=BaseModel)
Json = dict[str, Any]
_Small = Annotated[Json, AfterValidator(_small)]
"""What is only echoed."""
Modality = Literal["audio", "text"]
Effort = Literal["minimal", "low", "medium", "high", "xhigh"]


class InvalidRequest(Exception):
    """A client's event cannot be carried out; the connection lives on."""

    def __init__(self, message: str, *, code: str = "invalid_value", param: str | None = None) -> None:
        super().__init__(message)
        self.message, self.code = _cut(message), code
        self.param = None if param is None else _cut(param)


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TOLD else f"{text[: _MOST_TOLD - 1]}…"


class _Fields(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class Pcm(_Fields):
    """16-bit little-endian mono at the only legal rate."""

    type: Literal["audio/pcm"]
    rate: Literal[24000] = 24000


class Mulaw(_Fields):
    """G.711 µ-law, 8 kHz."""

    type: Literal["audio/pcmu"]


class Alaw(_Fields):
    """G.711 A-law, 8 kHz."""

    type: Literal["audio/pcma"]


AudioFormat = Annotated[Pcm | Mulaw | Alaw, Discriminator("type")]


class Transcription(_Fields):
    """Whether and how input is transcribed; every model name stands for the one that is there."""

    model: Annotated[str, Field(max_length=128)] | None = None
    language: Annotated[str, Field(max_length=128)] | None = None
    prompt: Annotated[str, Field(max_length=8192)] | None = None


class NoiseReduction(_Fields):
    """Accepted and echoed: the ears have their own guard against noise."""

    type: Literal["near_field", "far_field"]


class ServerVad(_Fields):
    """A turn ends after a fixed silence."""

    type: Literal["server_vad"]
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Field(ge=0, le=2000)] = 300
    silence_duration_ms: Annotated[int, Field(ge=100, le=10000)] = 500
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: Annotated[int, Field(ge=1000, le=600_000)] | None = None


class SemanticVad(_Fields):
    """A turn ends after a silence that fits its words."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = Annotated[ServerVad | SemanticVad, Discriminator("type")]


def _false_is_none(value: object) -> object:
    # Pipecat writes false where the protocol has null.
    return None if value is False else value


class AudioInput(_Fields):
    """What comes in, and when it is a turn."""

    format: AudioFormat = Pcm(type="audio/pcm")
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: Annotated[TurnDetection | None, BeforeValidator(_false_is_none)] = None


def _voice_name(value: object) -> object:
    return value.get("id") if isinstance(value, Mapping) else value


class AudioOutput(_Fields):
    """What goes out; a voice may be given as {id: ...} and is echoed as its name, which every client can read."""

    format: AudioFormat = Pcm(type="audio/pcm")
    voice: Annotated[_Id, BeforeValidator(_voice_name)] = "default"
    speed: Annotated[float, Field(ge=0.25, le=1.5)] = 1.0


class Audio(_Fields):
    """Both directions."""

    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class FunctionTool(_Fields):
    """A function that the client runs."""

    type: Literal["function"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    description: Annotated[str, Field(max_length=4096)] | None = None
    parameters: dict[str, Any] | None = None


class Tools(_Fields):
    """The functions in a session or a response."""

    tools: Annotated[list[FunctionTool], Field(max_length=64)] | None = None


class NamedTool(_Fields):
    """The one tool that has to be called."""

    type: Literal["function"]
    name: _Id


ToolChoice = Literal["auto", "none", "required"] | NamedTool


class Reasoning(_Fields):
    """How much may be thought."""

    effort: Effort | None = None


class RetentionRatio(_Fields):
    """How much of the conversation stays when it does not fit."""

    type: Literal["retention_ratio"]
    retention_ratio: Annotated[float, Field(ge=0, le=1)]


class SessionFields(_Fields):
    """The session object, as far as a client may set it."""

    type: Literal["realtime"]
    model: Annotated[str, Field(max_length=128)]
    instructions: Annotated[str, Field(max_length=32_768)] = ""
    output_modalities: Annotated[list[Modality], Field(min_length=1, max_length=1)] = ["audio"]
    audio: Audio = Audio()
    tools: Annotated[list[FunctionTool], Field(max_length=64)] = []
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=65_536)] | Literal["inf"] = "inf"
    reasoning: Reasoning | None = None
    truncation: Literal["auto", "disabled"] | RetentionRatio = "auto"
    tracing: Literal["auto"] | _Small | None = None
    prompt: _Small | None = None
    include: Annotated[list[_Id], Field(max_length=16)] | None = None


class ResponseAudioOutput(_Fields):
    """What a single response may change of the sound."""

    format: AudioFormat | None = None
    voice: Annotated[_Id | None, BeforeValidator(_voice_name)] = None


class ResponseAudio(_Fields):
    """The one direction that a response has."""

    output: ResponseAudioOutput = ResponseAudioOutput()


class ContentPart(_Fields):
    """One part of a message."""

    type: Literal["input_text", "input_audio", "output_text", "output_audio", "text", "audio"]
    text: Annotated[str, Field(max_length=MOST_TEXT)] | None = None
    audio: str | bytes | None = None
    transcript: Annotated[str, Field(max_length=MOST_TEXT)] | None = None


class MessageItem(_Fields):
    """Something that was said."""

    type: Literal["message"]
    id: _Id | None = None
    role: Literal["system", "user", "assistant"]
    content: Annotated[list[ContentPart], Field(max_length=64)]


class FunctionCallItem(_Fields):
    """A call that was made, replayed by a client that starts again."""

    type: Literal["function_call"]
    id: _Id | None = None
    call_id: _Id | None = None
    name: Annotated[str, Field(min_length=1, max_length=64)]
    arguments: Annotated[str, Field(max_length=MOST_TEXT)]


class FunctionOutputItem(_Fields):
    """What came of a call."""

    type: Literal["function_call_output"]
    id: _Id | None = None
    call_id: _Id
    output: Annotated[str, Field(max_length=MOST_TEXT)]


class ItemReference(_Fields):
    """An item that is there already, in the input of a response."""

    type: Literal["item_reference"]
    id: _Id


NewItem = Annotated[MessageItem | FunctionCallItem | FunctionOutputItem, Discriminator("type")]
InputItem = Annotated[MessageItem | FunctionCallItem | FunctionOutputItem | ItemReference, Discriminator("type")]


class ResponseFields(_Fields):
    """What `response.create` may say; None: as the session has it."""

    conversation: Literal["auto", "none"] = "auto"
    input: Annotated[list[InputItem], Field(max_length=256)] | None = None
    instructions: Annotated[str, Field(max_length=32_768)] | None = None
    output_modalities: Annotated[list[Modality], Field(min_length=1, max_length=1)] | None = None
    audio: ResponseAudio | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=64)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=65_536)] | Literal["inf"] | None = None
    reasoning: Reasoning | None = None
    metadata: Annotated[dict[_Id, Annotated[str, Field(max_length=512)]], Field(max_length=16)] | None = None


class CreateItem(_Fields):
    """`conversation.item.create`."""

    item: NewItem
    previous_item_id: _Id | None = None


class ItemId(_Fields):
    """`conversation.item.delete` and `.retrieve`."""

    item_id: _Id


class TruncateItem(_Fields):
    """`conversation.item.truncate`."""

    item_id: _Id
    content_index: Literal[0]
    audio_end_ms: Annotated[int, Field(ge=0)]


class Append(_Fields):
    """`input_audio_buffer.append`; bytes are decoded already, which no JSON holds."""

    audio: str | bytes


class CancelResponse(_Fields):
    """`response.cancel`."""

    response_id: _Id | None = None


class CreateResponse(_Fields):
    """`response.create`."""

    response: ResponseFields | None = None


class UpdateSession(_Fields):
    """`session.update`; what is in it is merged before it is checked."""

    session: dict[str, Any]


def checked(model: type[_Model], value: object, at: str = "") -> _Model:
    """Validate; Raises Refused with the path of the first wrong field, below `at`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        path = _path(first["loc"], value)
        param = ".".join(part for part in (at, *path) if part)
        missing = first["type"] == "missing"
        message = (
            f"Missing required parameter: '{param}'." if missing else f"Invalid value for '{param}': {first['msg']}."
        )
        raise InvalidRequest(
            message, code="missing_required_parameter" if missing else "invalid_value", param=param or None
        ) from None


def _path(steps: tuple[int | str, ...], value: object) -> list[str]:
    """Give the steps that lead through the value; pydantic has others, for the members of unions."""
    path: list[str] = []
    here: Any = value
    for step in steps:
        within: Any = here
        if (isinstance(here, list) and isinstance(step, int)) or (isinstance(here, Mapping) and step in here):
            here = within[step]
        elif step is not steps[-1] or not isinstance(here, Mapping):
            continue
        path.append(str(step))
    return path


def merged(session: Mapping[str, Any], update: Mapping[str, Any]) -> Json:
    """Lay the present fields of an update over a session; below `audio` field by field, all else as a whole."""
    result = {**session, **update}
    if isinstance(update.get("audio"), Mapping):
        result["audio"] = dict(session["audio"])
        for way in ("input", "output"):
            change = update["audio"].get(way)
            if isinstance(change, Mapping):
                result["audio"][way] = {**session["audio"][way], **change}
            elif change is not None:
                result["audio"][way] = change
    elif update.get("audio", 0) is None:
        result["audio"] = session["audio"]
    return result
