from __future__ import annotations

from pathlib import Path

import pytest

from reasoning.errors import BadProfile
from reasoning.prompting.profiles.profile import Calibration, RoleBudgets, RoleSampling
from reasoning.prompting.profiles.reading import known_profiles, read_profiles, shipped_profiles

WHOLE = """
[mine]
models = ["My_Model 7B*"]
thinking = "always"
tags = ["[THINK]", "[/THINK]"]
enough = " Enough:"
told_more = "More:"
sampling.thinker = { temperature = 0.6, top_p = 0.95, top_k = 20, min_p = 0.01 }
sampling.writer = { temperature = 1 }
budgets = { think_tokens = 2000, reply_tokens = 100, sentence_tokens = 30, answer_tokens = 20 }
[mine.calibration]
measured_on = "My Model 7B Instruct"
language = "en"
need_bias = -1.5
need_of_numbers = 0.5
need_bias_with_tools = 0
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "profiles.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_profile_is_read_field_by_field(tmp_path: Path) -> None:
    (mine,) = read_profiles(written(tmp_path, WHOLE))
    assert (mine.name, mine.models, mine.thinking) == ("mine", ("my-model-7b*",), "always")
    assert (mine.tags, mine.enough, mine.told_more) == (("[THINK]", "[/THINK]"), " Enough:", "More:")
    assert mine.sampling("thinker") == RoleSampling(0.6, 0.95, 20, 0.01)
    assert mine.sampling("writer") == RoleSampling(1.0)
    assert mine.budgets == RoleBudgets(2000, 100, 30, 20)
    assert mine.calibration == Calibration("My Model 7B Instruct", "en", -1.5, 0.5, 0.0)


def test_a_users_own_profiles_go_before_those_that_ship(tmp_path: Path) -> None:
    known = known_profiles(written(tmp_path, WHOLE))
    assert known[0].name == "mine"
    assert known[1:] == shipped_profiles()
    assert known_profiles() == shipped_profiles()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("tags", "tag", r"no field mine\.tag; there are .*tags"),
        ("top_k", "topk", r"no field mine\.sampling\.thinker\.topk; there are min_p, temperature, top_k, top_p"),
        ("sampling.writer", "sampling.probe", r"no field mine\.sampling\.probe"),
        ("reply_tokens", "replies", r"no field mine\.budgets\.replies"),
        ('"always"', '"sometimes"', r"mine\.thinking = 'sometimes': it is one of none, prompted, tagged, always"),
        ('"always"', "7", r"mine\.thinking = 7: "),
        (
            "think_tokens = 2000",
            "think_tokens = -1",
            r"mine\.budgets\.think_tokens = -1: it is a whole number from 1 to",
        ),
        ("think_tokens = 2000", "think_tokens = 2.5", r"think_tokens = 2\.5: it is a whole number"),
        ("think_tokens = 2000", "think_tokens = true", r"think_tokens = True: it is a whole number"),
        (
            "temperature = 0.6",
            "temperature = -0.1",
            r"mine\.sampling\.thinker\.temperature = -0\.1: it is a number from 0",
        ),
        ("temperature = 0.6", "temperature = nan", r"temperature = nan: it is a number"),
        ("top_p = 0.95", "top_p = 0", r"top_p = 0: it is a number from 0\.001 to 1"),
        ("need_bias = -1.5", "", r"need_of_numbers = 0\.5: it goes with all of"),
        ('language = "en"', "", r"need_bias = -1\.5: it goes with all of .* and with language"),
        ('measured_on = "My Model 7B Instruct"', "", r"mine\.calibration\.measured_on is missing: it names the model"),
        ('["My_Model 7B*"]', "[]", r"mine\.models = \[\]: it takes patterns of names"),
        ('["My_Model 7B*"]', '"My_Model"', r"mine\.models = 'My_Model': it is a list of texts"),
        ('"[THINK]", ', "", r"mine\.tags = \['\[/THINK\]'\]: it takes two texts"),
        ('" Enough:"', '"' + "x" * 500 + '"', r"mine\.enough = 'xx.*: it is a text of 400 characters at most"),
        ("sampling.writer = { temperature = 1 }", "sampling.writer = 3", r"mine\.sampling\.writer = 3 is not a table"),
        ("[mine]", "[mine", r"is not valid TOML: "),
        ("[mine]", "[mine]\n[mine]", r"is not valid TOML: "),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_file_and_field(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in WHOLE
    file = written(tmp_path, WHOLE.replace(old, new, 1))
    with pytest.raises(BadProfile, match=told) as caught:
        read_profiles(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "told"), [(b"\xff\xfe", "not valid TOML"), (b"#" * (1 << 19), "more than 262144 bytes")]
)
def test_a_file_of_other_bytes_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "profiles.toml"
    file.write_bytes(content)
    with pytest.raises(BadProfile, match=told):
        read_profiles(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadProfile, match="cannot be read: No such file"):
        read_profiles(tmp_path / "none.toml")
