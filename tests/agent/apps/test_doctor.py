from __future__ import annotations

import platform
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.apps.doctor import Finding, Verdict, examine, examine_device, examine_plan, examine_robot
from agent.config.settings import ModelOptions, load
from agent.plan.fitting import begin
from agent.plan.record import keep
from reasoning.engine.device import present
from reasoning.native.library import Survey
from reasoning.options import EngineOptions
from reasoning.store.catalogue import CATALOGUE, find
from reasoning.store.store import Store
from robots.options import RobotOptions
from tests.agent.plan.test_choice import BOARD, DESKTOP, MEASURED

if TYPE_CHECKING:
    import pytest

    from reasoning.native.instruction_sets import Use


def look(options: ModelOptions, native: Use = "auto") -> dict[str, Finding]:
    return {finding.what: finding for finding in examine(options, Store(options.cache_dir, offline=True), native)}


def put_in_cache(folder: Path, name: str) -> None:
    for file in find(name).files:
        path = folder / name / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            out.truncate(file.size)


def test_the_device_that_the_engine_would_use_is_told() -> None:
    (found,) = examine_device(EngineOptions(device="cpu"))
    assert (found.what, found.verdict) == ("device", Verdict.GOOD)
    assert found.found == f"cpu, in bfloat16; torch finds {', '.join(present())}"
    assert examine_device(EngineOptions(kind="vllm", device="cuda")) == []


def test_a_device_that_is_not_there_is_wrong() -> None:
    missing = next(name for name in ("cuda", "mps") if name not in present())
    (found,) = examine_device(EngineOptions(device="mps" if missing == "mps" else "cuda"))
    assert (found.verdict, found.mend) == (Verdict.BAD, "set engine.device to auto")
    assert f"engine.device is {missing}" in found.found


async def test_a_robot_is_looked_at_only_where_one_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert await examine_robot(RobotOptions()) == []
    (tmp_path / "bad.yaml").write_text("map: m")
    (bad,) = await examine_robot(RobotOptions(map=tmp_path / "bad.yaml"))
    assert bad.verdict is Verdict.NOTE
    assert "bad.yaml" in bad.found
    monkeypatch.setattr("agent.robot.access.READY_S", 1.0)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        broker = f"127.0.0.1:{nobody.getsockname()[1]}"
        (found,) = await examine_robot(RobotOptions(broker=broker))
    told = f"nothing listens at {broker}, no broker is running there"
    assert (found.what, found.verdict, found.found) == (f"broker {broker}", Verdict.NOTE, told)


def test_missing_models_are_wrong_and_the_command_that_mends_them_is_named(tmp_path: Path) -> None:
    found = look(ModelOptions(cache_dir=tmp_path))
    finding = found["llm qwen2.5-coder-1.5b"]
    assert (finding.verdict, finding.mend) == (Verdict.BAD, "descant models pull qwen2.5-coder-1.5b")
    assert found["asr whisper-tiny.en"].verdict is Verdict.BAD


def test_a_speech_model_of_the_users_is_a_folder_that_is_there(tmp_path: Path) -> None:
    for folder, verdict in ((tmp_path, Verdict.GOOD), (tmp_path / "gone", Verdict.BAD)):
        name = f"moonshine:{folder}"
        found = look(ModelOptions(cache_dir=tmp_path, asr=name))
        assert found[f"asr {name}"].verdict is verdict


def test_models_of_the_right_size_are_not_wrong(tmp_path: Path) -> None:
    for name in CATALOGUE:
        put_in_cache(tmp_path, name)
    found = look(ModelOptions(cache_dir=tmp_path))
    assert found["llm qwen2.5-coder-1.5b"].verdict is Verdict.NOTE
    assert Verdict.BAD not in {finding.verdict for finding in found.values()}


def test_a_file_of_the_users_serves_as_language_model_only(tmp_path: Path) -> None:
    path = tmp_path / "own.gguf"
    missing = look(ModelOptions(llm=str(path), cache_dir=tmp_path))
    assert missing[f"llm {path}"].verdict is Verdict.BAD
    path.touch()
    found = look(ModelOptions(llm=str(path), voice=str(path), cache_dir=tmp_path))
    assert found[f"llm {path}"].verdict is Verdict.GOOD
    assert found[f"voice {path}"].verdict is Verdict.BAD


def test_a_library_that_is_missing_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piper", None)
    finding = look(ModelOptions(cache_dir=tmp_path))["piper"]
    assert (finding.verdict, finding.mend) == (Verdict.BAD, "pip install 'descant[voice]'")


def test_the_voice_of_the_settings_is_looked_at_and_what_it_speaks_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = look(ModelOptions(voice="kokoro-ef_dora", cache_dir=tmp_path))
    assert found["voice kokoro-82m"].mend == "descant models pull kokoro-82m"
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    found = look(ModelOptions(voice="espeak-de", cache_dir=tmp_path))
    assert found["espeakng_loader"].mend == "pip install 'descant[espeak]'"
    assert not [what for what in found if what.startswith("voice")]
    assert look(ModelOptions(voice="nobody", cache_dir=tmp_path))["voice nobody"].mend == "descant voices"


def test_without_audio_devices_files_still_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    finding = look(ModelOptions(cache_dir=tmp_path))["audio devices"]
    assert finding.verdict is Verdict.NOTE


def test_the_cache_may_not_exist_yet(tmp_path: Path) -> None:
    found = look(ModelOptions(cache_dir=tmp_path / "not" / "yet"))
    assert "GB free" in found["disk"].found
    assert not (tmp_path / "not").exists()


def test_python_and_torch_are_found(tmp_path: Path) -> None:
    found = look(ModelOptions(cache_dir=tmp_path))
    assert found["python"].verdict is Verdict.GOOD
    assert "threads" in found["torch"].found


def test_the_kernels_in_use_are_told_and_what_keeps_them_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def surveyed(survey: Survey, native: Use = "auto") -> Finding:
        monkeypatch.setattr("reasoning.native.library.survey", lambda _: survey)
        return look(ModelOptions(cache_dir=tmp_path), native)["kernels"]

    path = Path("/home/me/kernels/avx2.so")
    good = surveyed(Survey("avx2", ("avx2", "generic"), origin="kept", path=path))
    assert good.verdict is Verdict.GOOD
    assert good.found == f"avx2, compiled here, {path}; this processor can run avx2, generic"
    shipped = surveyed(Survey("avx2", ("avx2", "generic"), origin="shipped", path=path))
    assert shipped.verdict is Verdict.GOOD
    assert shipped.found == f"avx2, came with the package, {path}; this processor can run avx2, generic"
    passing = surveyed(Survey("avx2", ("avx2", "generic"), origin="passing", path=path))
    assert passing.verdict is Verdict.NOTE
    assert "for this process alone" in passing.found
    assert "XDG_CACHE_HOME" in passing.mend
    slower = Survey("generic", ("avx2", "generic"), origin="kept", path=path)
    for one in (slower, Survey("generic", ("generic",), origin="kept", path=path)):
        assert surveyed(one).verdict is Verdict.NOTE
    assert surveyed(slower, "generic").verdict is Verdict.GOOD
    none = surveyed(Survey(None, (), "there is no C compiler"))
    assert none.verdict is Verdict.NOTE
    assert "no C compiler" in none.found
    assert surveyed(Survey(None, (), "there is no C compiler"), "require").verdict is Verdict.BAD


def test_kernels_that_are_passed_over_are_told_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    why = ("avx2: the compiled norm is wrong", "there is no C compiler")
    found = Survey("generic", ("avx2", "generic"), origin="shipped", path=tmp_path, passed_over=why)
    monkeypatch.setattr("reasoning.native.library.survey", lambda _: found)
    told = examine(ModelOptions(cache_dir=tmp_path), Store(tmp_path, offline=True))
    passed = [finding for finding in told if finding.what == "kernels passed over"]
    assert [finding.found for finding in passed] == list(why)
    assert {finding.verdict for finding in passed} == {Verdict.NOTE}


def test_kernels_that_the_settings_name_are_those_that_are_looked_at(tmp_path: Path) -> None:
    off = look(ModelOptions(cache_dir=tmp_path), "off")["kernels"]
    assert (off.verdict, off.found) == (Verdict.NOTE, "none: engine.native is off")
    impossible: Use = "avx2" if platform.machine() == "aarch64" else "neon"
    finding = look(ModelOptions(cache_dir=tmp_path), impossible)["kernels"]
    assert (finding.verdict, finding.mend) == (Verdict.BAD, "set engine.native to auto")
    assert f"engine.native is {impossible}, and this processor has no " in finding.found


def test_the_plan_is_told_once_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = tmp_path / "model.gguf"
    model.write_bytes(b"a model")
    loaded = load(overrides={"models.llm": str(model), "engine.native": "off"})
    (none,) = examine_plan(loaded)
    assert "the first start measures this machine" in none.found
    fitting = begin(loaded.settings, loaded.origins, model, busy=lambda: False)
    keep(fitting.folder, fitting.key, MEASURED[DESKTOP])
    (found,) = examine_plan(loaded)
    assert found.verdict is Verdict.GOOD
    assert "a step of thinker and writer takes" in found.found
    keep(fitting.folder, fitting.key, MEASURED[BOARD])
    (slow,) = examine_plan(loaded)
    assert slow.verdict is Verdict.NOTE
    (other,) = examine_plan(load(overrides={"models.llm": str(tmp_path / "none.gguf"), "engine.native": "off"}))
    assert "the next start measures this machine" in other.found
