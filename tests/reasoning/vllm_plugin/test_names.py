from __future__ import annotations

import base64
import hashlib
import hmac
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning.vllm_plugin.names import RequestedView, RequestRefused, new_session, wanted

SECRET = b"a secret of thirty-two bytes ...."
OTHER = b"another secret of as many bytes ."


def read(secret: bytes = SECRET, **arguments: object) -> RequestedView | None:
    return wanted(arguments, secret, 3)


def test_an_ordinary_request_wants_nothing() -> None:
    assert wanted(None, SECRET, 3) is None
    assert wanted({"temperature": 1, "kv_transfer_params": {}}, SECRET, 3) is None


def test_a_request_names_its_block_and_its_view() -> None:
    token = new_session(SECRET)
    found = read(live_session=token, live_block="writer", live_view=["listener", "thinker"])
    assert found is not None
    assert (found.block, found.view) == ("writer", ("listener", "thinker"))
    again = read(live_session=token, live_view=["writer"])
    assert again == RequestedView(found.session, None, ("writer",))


def test_sessions_differ() -> None:
    tokens = {new_session(SECRET) for _ in range(100)}
    assert len(tokens) == 100
    assert len({read(live_session=token, live_block="a") for token in tokens}) == 100


def forged() -> list[object]:
    token, other = new_session(SECRET), new_session(SECRET)
    identity, signature = token.split(".")
    unsigned = hmac.digest(b"", base64.urlsafe_b64decode(f"{identity}=="), hashlib.sha256)[:16]
    # The last letter of 16 bytes in base64 has four bits that mean nothing.
    respelt = token[:-1] + chr(ord(token[-1]) + 1)
    return [
        *(None, "", ".", 7, 1.5, [token], [], f"{token} ", f" {token}", f"{token}\n", token.upper(), token[:-1]),
        *(f"{identity}.", f".{signature}", identity, f"{signature}.{identity}", f"{identity}.{other.split('.')[1]}"),
        *(f"{other.split('.')[0]}.{signature}", f"{identity}.{base64.urlsafe_b64encode(unsigned).decode()[:22]}"),
        *(
            f"{identity}.{identity}",
            f"{token}.{token}",
            "*" * 45,
            "A" * 22 + "." + "A" * 22,
            new_session(OTHER),
            respelt,
        ),
        *("\N{FULLWIDTH LATIN CAPITAL LETTER A}" * 22 + "." + signature, "A" * 1_000_000),
    ]


@pytest.mark.parametrize("token", forged(), ids=count())
def test_a_token_that_the_server_did_not_sign_is_refused(token: object) -> None:
    with pytest.raises(RequestRefused, match="is not the token of a session of this server") as refused:
        read(live_session=token, live_block="a", live_view=["b"])
    assert refused.value.status == 403


@given(st.text() | st.binary() | st.integers() | st.lists(st.text()) | st.none())
def test_no_value_at_all_is_taken_for_a_token(token: object) -> None:
    with pytest.raises(RequestRefused):
        read(live_session=token, live_block="a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "means nothing"),
        ({"live_block": ""}, "a block's name"),
        ({"live_block": "a/b"}, "a block's name"),
        ({"live_block": "a\n"}, "a block's name"),
        ({"live_block": "a" * 65}, "a block's name"),
        ({"live_block": "ä"}, "a block's name"),
        ({"live_block": 7}, "a block's name"),
        ({"live_block": ["a"]}, "a block's name"),
        ({"live_view": "a,b"}, "is a list of names"),
        ({"live_view": {"a": 1}}, "is a list of names"),
        ({"live_view": ["a", 7]}, "a block's name"),
        ({"live_view": ["a", ["b"]]}, "a block's name"),
        ({"live_view": ["a", "b", "a"]}, "names a block twice"),
        ({"live_view": ["a", "b", "c", "d"]}, "has at most 3"),
    ],
)
def test_what_is_not_of_the_form_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestRefused, match=message):
        read(live_session=new_session(SECRET), **arguments)
    if arguments:
        # Nor is the request taken for an ordinary one without a token.
        with pytest.raises(RequestRefused):
            read(**arguments)
