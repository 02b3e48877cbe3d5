from __future__ import annotations

import pytest

from languages.reading.german import read_aloud
from tests.languages.reading.forms import WrittenForm, table

FORMS = table("german")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.written)
def test_says_it_as_a_reader_would(form: WrittenForm) -> None:
    assert read_aloud(form.written) == form.said


def test_there_are_enough_forms_of_each_kind() -> None:
    assert len(FORMS) >= 100
    assert len({form.kind for form in FORMS}) >= 15
