"""Ten thousand damaged messages: the codec says so, the simulated robot survives them and does nothing foolish."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from robots.errors import InvalidMessage
from robots.geometry import inside
from robots.protocols.vda5050.codec import DIALECTS, Topic, topic_of
from robots.skills import SkillCall
from tests.robots.stage.rig import ADDRESS, BEGUN, HOUSE, Rig
from tests.robots.vda5050.test_codec import mutate

if TYPE_CHECKING:
    from robots.protocols.vda5050.messages import Message

MUTATIONS = 10_000


def commands() -> list[Message]:
    """Real orders and instant actions of a real task."""
    rig = Rig()
    rig.run(1)
    rig.robot.call(SkillCall("a", "go_to", {"place": "hall"}, 1), rig.now)
    rig.robot.call(SkillCall("b", "look", {"angle": 1.0}, 1), rig.now)
    rig.run(5)
    rig.robot.stop("test", rig.now)
    rig.run(3)
    return [message for _, message in rig.sent]


def test_ten_thousand_mutations() -> None:
    codec, random = DIALECTS["2.1"], Random(5050)
    rig = Rig()
    rig.run(1)
    seeds = commands()
    refused = accepted = longest = 0
    for count in range(MUTATIONS):
        message = random.choice(seeds)
        now = BEGUN + timedelta(seconds=rig.now)
        damaged = mutate(codec.encode(message, ADDRESS, count, now), random)
        topic = topic_of(message) if random.random() < 0.9 else random.choice(list(Topic))
        try:
            codec.decode(topic, damaged)
            accepted += 1
        except InvalidMessage as error:
            refused += 1
            longest = max(longest, len(str(error)))
        rig.vehicle.receive(topic, damaged, rig.now)
        if count % 20 == 0:
            rig.step()
            codec.encode(rig.vehicle.state(), ADDRESS, 0, now)
            assert inside(rig.vehicle.body.position, HOUSE.fence)
            assert len(rig.vehicle.actions.instant) <= 256
            assert len(rig.vehicle.state().errors) <= 20
    assert longest < 1000
    assert refused > MUTATIONS / 4
    assert accepted > MUTATIONS / 50


def test_damaged_states_do_not_disturb_the_commander() -> None:
    codec, random = DIALECTS["2.1"], Random(7)
    rig = Rig()
    rig.run(1)
    rig.call("go_to", place="hall")
    header = 10_000
    while not rig.robot.idle and rig.now < 60:
        rig.run(0.1)
        state = codec.encode(rig.vehicle.state(), ADDRESS, header, BEGUN + timedelta(seconds=rig.now))
        for _ in range(3):
            try:
                received = codec.decode(Topic.STATE, mutate(state, random))
            except InvalidMessage:
                continue
            rig.take(received)
    assert not rig.vehicle.body.moving
