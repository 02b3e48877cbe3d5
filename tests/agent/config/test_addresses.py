from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.addresses import address_parts
from agent.config.settings import Settings
from agent.errors import ConfigError
from agent.models.served import servers_of
from reasoning.options import VllmOptions

NONE = [
    "",
    "http://",
    "http://[",
    "http://[::1",
    "http://::1",
    "http://a:99999",
    "http://a:b",
    "http://a:0",
    "http://a b",
]
NONE += ["http://a:0", "http://a b", "http://a\x00b", "ws://[[::1]]", "http://]", "http://a[b]/"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "https://a.example/v1", "ws://[::1]:8765/v1", "http://[::1]"])
def test_an_address_has_parts(url: str) -> None:
    parts = address_parts(url)
    assert parts is not None
    assert parts.hostname


@pytest.mark.parametrize("url", NONE)
def test_what_is_no_address_has_none(url: str) -> None:
    assert address_parts(url) is None


@given(st.text(max_size=40))
def test_nothing_that_is_written_raises(text: str) -> None:
    address_parts(text)
    address_parts(f"http://{text}")
    address_parts(f"http://[{text}]:{text}")


@pytest.mark.parametrize("url", [*NONE, "ftp://a", "127.0.0.1:8000"])
def test_servers_of_a_language_model_are_addresses(url: str) -> None:
    with pytest.raises(ConfigError, match="is no address; write it as http"):
        servers_of(Settings(vllm=VllmOptions(servers=(url,))))
