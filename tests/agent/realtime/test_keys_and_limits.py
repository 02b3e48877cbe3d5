from __future__ import annotations

from pathlib import Path

import pytest
from websockets.datastructures import Headers

from agent.errors import ServerUnavailable
from agent.realtime.protocol.pacing import PlayClock
from agent.realtime.server.keys import Grant, Keys, is_loopback, may_call, offered_key, read_key
from agent.realtime.server.limits import Bucket

KEY = "0123456789abcdef"


def test_the_key_opens_and_nothing_else_does() -> None:
    keys = Keys(KEY, most=2)
    assert keys.grant(KEY, 0.0) == Grant()
    for wrong in (None, "", KEY[:-1], KEY + "x", "ek_unknown", "schlüssel"):
        assert keys.grant(wrong, 0.0) is None


def test_without_a_key_everybody_comes_in() -> None:
    assert Keys(None, most=1).grant(None, 0.0) == Grant()


def test_browser_keys_expire_and_are_few() -> None:
    keys = Keys(KEY, most=1)
    secret = keys.mint({"instructions": "x"}, expires_at=10.0, now_s=0.0)
    assert secret is not None
    assert secret.startswith("ek_")
    assert keys.grant(secret, 9.9) == Grant({"instructions": "x"}, ephemeral=True)
    assert keys.mint({}, 10.0, 5.0) is None
    assert keys.grant(secret, 10.0) is None
    assert keys.mint({}, 20.0, 10.0) is not None
    assert secret not in str(vars(keys))


def test_a_key_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n# the rest is of no interest\n")
    assert read_key(file) == KEY
    for bad in ("short\n", "", "ü" * 20):
        file.write_text(bad)
        with pytest.raises(ServerUnavailable, match="16 ASCII"):
            read_key(file)
    with pytest.raises(ServerUnavailable, match="cannot be read"):
        read_key(tmp_path / "nothing")


def test_where_a_key_may_stand() -> None:
    assert offered_key(Headers({"Authorization": "Bearer abc"})) == "abc"
    assert offered_key(Headers({"Authorization": "Basic abc"})) is None
    assert offered_key(Headers({"Sec-WebSocket-Protocol": "realtime, openai-insecure-api-key.abc"})) == "abc"
    twice = Headers([("Sec-WebSocket-Protocol", "realtime"), ("Sec-WebSocket-Protocol", "openai-insecure-api-key.abc")])
    assert offered_key(twice) == "abc"
    assert offered_key(Headers()) is None
    with pytest.raises(LookupError):
        offered_key(Headers([("Authorization", "Bearer abc"), ("Authorization", "Bearer abd")]))


@pytest.mark.parametrize(
    ("origin", "host", "needs_key", "may"),
    [
        (None, "localhost:8765", False, True),
        (None, "evil.example:8765", False, False),
        (None, "agent.example", True, True),
        ("http://localhost:8765", "localhost:8765", False, True),
        ("http://localhost:9999", "localhost:8765", False, False),
        ("http://evil.example", "evil.example", False, False),
        ("https://agent.example", "agent.example", True, True),
        ("https://named.example", "agent.example", True, True),
        ("null", "agent.example", True, False),
    ],
)
def test_which_pages_may_call(origin: str | None, host: str, needs_key: bool, may: bool) -> None:
    assert may_call(origin, host, ["https://named.example"], needs_key=needs_key) == may


def test_what_this_machine_is_called() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.org", "localhost.example.org", "")))  # noqa: S104


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    bucket = Bucket(rate=10, size=5, now_s=0.0)
    assert [bucket.take(0.0) for _ in range(5)] == [0.0] * 5
    assert bucket.take(0.0) == pytest.approx(0.1)
    assert bucket.take(0.2) == 0.0
    assert bucket.take(1.2, 20) == pytest.approx(1.5)


def test_the_play_clock_counts_sound_and_not_gaps() -> None:
    clock = PlayClock()
    clock.send(1.0, 10.0)
    assert clock.played_s(10.4) == pytest.approx(0.4)
    clock.send(1.0, 10.5)
    assert clock.left_s(10.5) == pytest.approx(1.5)
    clock.send(1.0, 15.0)
    assert clock.played_s(15.25) == pytest.approx(2.25)
    assert clock.played_s(99.0) == 3.0
