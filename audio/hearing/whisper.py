"""One stretch of speech in, words with confidences out: Whisper with short windows. Blocking; knows no turn.

Whisper was trained on windows of 30 s, and encoding one costs the same for a word as for a speech. CTranslate2 encodes
shorter ones (its pull request 1446), but a window that is too short makes the decoder start all over again after the
last word. Measured with tiny.en, int8, one thread, on 72 sentences of 0.6 to 7.4 s spoken by Piper; word errors
without the spelling of numbers, and the mean time of a decode on two busy cores:

| window, s | 6 | 8 | 10 | 12 | 15 | 20 | 30 |
|---|---|---|---|---|---|---|---|
| word errors, % | 13.6 | 9.0 | 6.6 | 2.5 | 2.7 | 2.5 | 2.5 |
| doubtful, of 72 | 13 | 5 | 3 | 0 | 0 | 0 | 0 |
| seconds | 0.14 | 0.14 | 0.20 | 0.17 | 0.22 | 0.31 | 0.70 |

So 12 s is the shortest window; a final decode that looks wrong all the same is done again over 30 s.
A second thread makes no window below 30 s faster (tests/e2e/stage/measure_windows.py).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from audio.clock import RATE, Sound
from audio.errors import EarsUnavailable
from audio.hearing.agreement import Word, edits, key
from audio.options import EarsOptions
from descant.errors import is_failure
from languages.known import known_languages

if TYPE_CHECKING:
    from ctranslate2 import StorageView
    from faster_whisper import WhisperModel

BUCKETS_S: Final = (12, 15, 20, 30)
"""Windows that are encoded, in seconds. The last is Whisper's own."""

ENGLISH: Final = ("en",)
"""The languages that come into question where nobody names others."""

SPOT_S: Final = 3
"""Window of a short decode, in seconds; see audio.hearing.stops.listener."""

_SPOT_TOKENS: Final = 8

_POSITIONS: Final = 448
"""Tokens that Whisper's decoder has room for, prompt and all."""

_HINT_TOKENS: Final = 200
"""Of expected sentences; Whisper itself takes 223."""

_STRANGE: Final = 3
"""Of so many words one may be heard otherwise, with expected words in mind."""

_TAIL_S: Final = 0.8
"""Silence that a window holds after the sound: without it the last word is lost or looped."""

_FRAMES_PER_S: Final = 100
_TOKENS_PER_S: Final = 6
_TOKENS_MORE: Final = 10
_LOW_LOG_PROB: Final = -1.0
_WEAK_LOG_PROB: Final = -0.7
_DOUBTFUL_LOG_PROB: Final = -0.5
_NO_SPEECH: Final = 0.6
_COMPRESSION: Final = 2.4
_ROUNDS: Final = 3
"""A phrase said so many times in a row is emphasis; once more is a loop."""

_LONGEST_LOOP: Final = 8
_RESTART: Final = 3
"""So many words of the beginning, said again at the end, are a decoder that started all over again."""

_PHANTOMS: Final = frozenset[str]().union(*(language.listener.phantoms for language in known_languages().values()))
"""What Whisper likes to hear in noise. People say these too, so they are dropped only when the evidence is weak. Coughs
over the agent were heard as such at no_speech 0.79 to 0.94 and log_prob -0.64 to -1.64; words spoken over it were heard
at no_speech 0.03 to 0.21 and log_prob -0.07 to -0.80."""


@dataclass(frozen=True, slots=True)
class DetectedLanguage:
    """In which language somebody speaks."""

    code: str
    """Whisper's code, such as `de`."""

    probability: float
    """0..1, among the languages that came into question; 1 where it was the only one."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What one decode heard."""

    words: tuple[Word, ...]

    log_prob: float = 0.0
    """Mean log-probability of its tokens; 0 where that is not known."""

    no_speech: float = 0.0
    """Probability (0..1) that nobody spoke; 0 where that is not known."""

    doubtful: bool = False
    """It bears a mark of a failed decode: improbable, repetitive, looping, or cut off."""

    other: tuple[Word, ...] = ()
    """What was heard with the expected words in mind, where that differs and was not taken."""

    language: DetectedLanguage = DetectedLanguage("en", 1.0)
    """The language that it is in."""


class WhisperDecoder:
    """A loaded Whisper model (CTranslate2 format). Two threads may use it at once.

    It hears English until `hearing` says which languages come into question. Of several it takes the one that the sound
    is most like, one step of the decoder more. A model of English alone takes no other.
    """

    def __init__(self, model_dir: Path, options: EarsOptions) -> None:
        self._model = _load(model_dir, options.threads)
        self._partial_window = options.partial_window_s
        token = self._model.hf_tokenizer.token_to_id
        multilingual = self._model.model.is_multilingual
        known = [code for code in self._model.supported_languages if token(f"<|{code}|>") is not None]
        self.languages: Final[tuple[str, ...]] = tuple(known) if multilingual else ENGLISH
        """Codes of all languages that the model knows."""
        self._asked: Sequence[str] = ENGLISH
        self._end = token("<|endoftext|>")
        self._before = token("<|startofprev|>")

    def hearing(self, languages: Sequence[str]) -> WhisperDecoder:
        """Give the same model, loaded once, for these languages; none: all that it knows. What it hears names its own.

        Raises:
            EarsUnavailable: the model does not know one of them.

        """
        unknown = [code for code in languages if code not in self.languages]
        if unknown:
            mend = (
                "set models.asr = whisper-base; it is fetched by: descant models pull whisper-base"
                if self.languages == ENGLISH
                else f"only {', '.join(self.languages)}"
            )
            raise EarsUnavailable(f"the speech model does not hear {', '.join(unknown)}: {mend}")
        of = copy(self)
        of._asked = languages or self.languages  # noqa: SLF001 - its own
        return of

    def detect_language(self, sound: Sound) -> DetectedLanguage:
        """Give the language of the sound's first seconds (12 at most), of those that come into question.

        Costs the encoding of a window; a decode detects with what it encodes anyway.
        """
        return self._likeliest(self._model.encode(self._features(sound, BUCKETS_S[0])))

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:
        """Transcribe at most 30 s of sound. `final` decodes again over the full window when in doubt.

        `expected`: sentences with words that are likely to be said. A final decode that heard something is made again
        with them, and that one is taken where the two differ in a word here and there: on its own, it hears such
        sentences in noise.
        """
        heard = self._decode(sound, final=final)
        if not (final and expected and heard.words):
            return heard
        again = self.decode_window(sound, window_of(sound), expected=expected, language=heard.language)
        return better_heard(heard, plausible(again))

    def _decode(self, sound: Sound, *, final: bool) -> Hypothesis:
        window = window_of(sound) if final else window_of(sound, self._partial_window)
        best = self.decode_window(sound, window)
        if final and best.doubtful and window < BUCKETS_S[-1]:
            again = self.decode_window(sound, BUCKETS_S[-1], language=best.language)
            best = again if not again.doubtful or again.log_prob > best.log_prob else best
        return plausible(best)

    def spot(self, sound: Sound) -> Hypothesis:
        """Transcribe at most 2 s of sound, quickly: enough for a command of a word or two. Any thread may call it."""
        return plausible(self.decode_window(sound, SPOT_S, most=_SPOT_TOKENS))

    def _likeliest(self, encoded: StorageView) -> DetectedLanguage:
        asked = self._asked
        if len(asked) == 1:
            return DetectedLanguage(asked[0], 1.0)
        found = {token.strip("<|>"): prob for token, prob in self._model.model.detect_language(encoded)[0]}
        code = max(asked, key=found.__getitem__)
        return DetectedLanguage(code, found[code] / (sum(map(found.__getitem__, asked)) or 1.0))

    def decode_window(
        self,
        sound: Sound,
        seconds: int,
        most: int | None = None,
        expected: str = "",
        language: DetectedLanguage | None = None,
    ) -> Hypothesis:
        """Transcribe in a window of that many seconds, without second thoughts.

        most: tokens. language: the one that is known to be spoken.
        """
        encoded = self._model.encode(self._features(sound, seconds))
        language = language or self._likeliest(encoded)
        prompt = self._prompt(language.code, expected)
        spoken = len(sound) / RATE
        most = most or int(spoken * _TOKENS_PER_S) + _TOKENS_MORE
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            # Half of it is what CTranslate2 lets a decode add to its prompt, and no more than the prompt leaves of it.
            max_length=min(_POSITIONS, max(2 * most, len(prompt) + most)),
            return_scores=True,
            return_no_speech_prob=True,
            return_logits_vocab=True,
        )[0]
        tokens = [token for token in result.sequences_ids[0] if token < self._end]
        log_probs = [_log_softmax(np.asarray(row))[token] for row, token in zip(result.logits[0], tokens, strict=False)]
        words = self._words(tokens, log_probs)
        mean = float(result.scores[0]) * len(tokens) / (len(tokens) + 1)
        doubtful = mean < _LOW_LOG_PROB or len(tokens) >= most or _looks_repetitive(words)
        return Hypothesis(words, mean, float(result.no_speech_prob), doubtful, language=language)

    def _prompt(self, language: str, expected: str) -> list[int]:
        tokenizer = self._model.hf_tokenizer
        hint = tokenizer.encode(f" {expected}", add_special_tokens=False).ids[-_HINT_TOKENS:] if expected else []
        task = [f"<|{language}|>", "<|transcribe|>"] if len(self.languages) > 1 else []
        words = ("<|startoftranscript|>", *task, "<|notimestamps|>")
        return [*([self._before, *hint] if hint else []), *map(tokenizer.token_to_id, words)]

    def _features(self, sound: Sound, seconds: int) -> npt.NDArray[np.float32]:
        padded = np.zeros(seconds * RATE, np.float32)
        padded[: len(sound)] = sound[: len(padded)]
        features: npt.NDArray[np.float32] = self._model.feature_extractor(padded)
        return np.ascontiguousarray(features[:, : seconds * _FRAMES_PER_S], np.float32)

    def _words(self, tokens: Sequence[int], log_probs: Sequence[float]) -> tuple[Word, ...]:
        """Group byte-level tokens into words; a word is as sure as its tokens together."""
        groups: list[list[int]] = []
        for index, token in enumerate(tokens):
            if not groups or self._model.hf_tokenizer.id_to_token(token).startswith("Ġ"):
                groups.append([])
            groups[-1].append(index)
        words = []
        for group in groups:
            text = self._model.hf_tokenizer.decode([tokens[index] for index in group]).strip()
            confidence = float(np.exp(sum(log_probs[index] for index in group)))
            words += [Word(part, min(1.0, confidence)) for part in text.split()]
        return tuple(words)


def window_of(sound: Sound, shortest: int = BUCKETS_S[0]) -> int:
    """Give the seconds of the shortest window that holds the sound and its tail."""
    sizes = (shortest, *(size for size in BUCKETS_S if size > shortest))
    return next((size for size in sizes if len(sound) <= (size - _TAIL_S) * RATE), BUCKETS_S[-1])


def better_heard(heard: Hypothesis, again: Hypothesis) -> Hypothesis:
    """Choose between a transcript and one that was made with expected words in mind, which may only mend the first."""
    if not heard.words or again.doubtful:
        return heard
    one, other = ([key(word.text) for word in words] for words in (heard.words, again.words))
    # It may only mend: a word of three at most, and one of a short transcript.
    alike = edits(one, other) <= max(1, len(one) // _STRANGE)
    if alike and again.log_prob > heard.log_prob:
        return again
    return heard if one == other else replace(heard, other=again.words)


def _load(model_dir: Path, threads: int) -> WhisperModel:
    missing = [name for name in ("model.bin", "config.json", "tokenizer.json") if not (model_dir / name).is_file()]
    if missing:
        raise EarsUnavailable(
            f"{model_dir}: no speech model there (no {', '.join(missing)}); fetch it with: descant models pull"
        )
    try:
        from faster_whisper import WhisperModel as Model  # noqa: PLC0415 - takes a second, not needed for --help
    except ImportError as error:
        raise EarsUnavailable(f"faster-whisper cannot be loaded ({error}); install Descant again") from error
    try:
        return Model(
            str(model_dir),
            device="cpu",
            compute_type="int8",
            cpu_threads=threads,
            num_workers=2,  # a short decode runs beside a long one; they share the weights
            local_files_only=True,
        )
    except BaseException as error:  # the vocabulary's library raises nothing more precise
        if not is_failure(error):
            raise
        told = " ".join(str(error).split())[:200]
        raise EarsUnavailable(
            f"{model_dir}: the model cannot be loaded ({told}); check it with: descant models verify"
        ) from error


def _log_softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    shifted = logits.astype(np.float32) - np.float32(logits.max())
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), np.float32)


def _looks_repetitive(words: Sequence[Word]) -> bool:
    text = " ".join(word.text for word in words).encode()
    return len(text) / max(1, len(zlib.compress(text))) > _COMPRESSION or unloop(words) != list(words)


def unloop(words: Sequence[Word]) -> list[Word]:
    """Cut a hypothesis where a phrase goes round for the fourth time, or where it starts all over again."""
    keys = [key(word.text) for word in words]
    for start in range(len(keys)):
        for length in range(1, min(_LONGEST_LOOP, (len(keys) - start) // (_ROUNDS + 1)) + 1):
            phrase = keys[start : start + length]
            if keys[start : start + (_ROUNDS + 1) * length] == phrase * (_ROUNDS + 1):
                return list(words[: start + _ROUNDS * length])
    for start in range(_RESTART, len(keys) - _RESTART + 1):
        if keys[start:][:start] == keys[: len(keys) - start][:start]:
            return list(words[:start])
    return list(words)


def plausible(heard: Hypothesis) -> Hypothesis:
    """Drop what was most likely never said; nothing for its words alone: a lost "stop" is worse than a false one."""
    words = tuple(_without_notes(unloop(heard.words)))
    text = " ".join(key(word.text) for word in words)
    silent = heard.no_speech > _NO_SPEECH and heard.log_prob < _LOW_LOG_PROB
    weak = heard.no_speech > _NO_SPEECH / 2 and heard.log_prob < _WEAK_LOG_PROB
    weaker = heard.no_speech > _NO_SPEECH and heard.log_prob < _DOUBTFUL_LOG_PROB
    phantom = text in _PHANTOMS and (weak or weaker)
    return replace(heard, words=() if silent or phantom else words)


def _without_notes(words: Sequence[Word]) -> list[Word]:
    """Leave out stage directions such as "[BLANK_AUDIO]", "(upbeat music)" and "♪"."""
    kept: list[Word] = []
    inside = ""
    for word in words:
        if not inside and word.text[0] in "[(":
            inside = {"[": "]", "(": ")"}[word.text[0]]
        if not inside and any(sign.isalnum() for sign in word.text):
            kept.append(word)
        if inside and inside in word.text:
            inside = ""
    return kept
