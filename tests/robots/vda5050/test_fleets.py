"""Messages as public fleets write them (`docs/robots.md` tells which), in words of our own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from robots.errors import InvalidMessage
from robots.facts.fitness import NotAutomatic
from robots.protocols.vda5050.codec import Address, Topic, Vda5050
from robots.protocols.vda5050.messages import Factsheet, State
from robots.protocols.vda5050.reports import capabilities_of, report_of
from robots.simulator.body import VehicleBody
from robots.simulator.factsheet import factsheet_of
from robots.skills import shortfall, skills_of
from robots.terms.report import Presence
from robots.terms.world import World
from tests.robots.stage.rig import ADDRESS, BEGUN, HOUSE, Rig

if TYPE_CHECKING:
    from robots.facts.fact import Fact

CODEC = Vda5050()


def state(**change: object) -> State:
    body = json.loads(CODEC.encode(Rig().vehicle.state(), ADDRESS, 1, BEGUN))
    message = CODEC.decode(Topic.STATE, json.dumps(body | change).encode()).message
    assert isinstance(message, State)
    return message


def unfit(report: State) -> Fact | None:
    world = World(linked=True, presence=Presence.ONLINE, report=report_of(report), report_at=0.0)
    return world.unfit(0.0, HOUSE.limits)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"informations": [{"infoType": "lamp", "infoLevel": "DEBUG"}]}, id="the name of version 1.1"),
        pytest.param({"loads": [{}, {"loadDimensions": {"length": 0.0, "width": 0.0}}], "velocity": {}}, id="hollow"),
        pytest.param({"actionStates": [{"actionId": "a7", "actionStatus": "FAILED"}]}, id="an action without a type"),
        pytest.param(
            {
                "edgeStates": [
                    {
                        "edgeId": "e1",
                        "sequenceId": 1,
                        "released": True,
                        "trajectory": {"degree": 1.0, "knotVector": [0.0], "controlPoints": [{"x": 9.5, "y": 7.5}]},
                    }
                ]
            },
            id="a way of its own",
        ),
        pytest.param(
            {"nodeStates": [{"nodeId": "n", "sequenceId": 2, "released": True, "position": {"x": 1.0, "y": 2.0}}]},
            id="a field of another name",
        ),
        pytest.param({"version": "5.0.0", "zoneSetId": "", "orderId": ""}, id="a version that there is not"),
    ],
)
def test_what_fleets_write_beside_the_specification_leaves_the_rest_readable(change: dict[str, Any]) -> None:
    assert state(**change).agv_position is not None


@pytest.mark.parametrize(
    "error",
    [
        {"errorLevel": "WARNING", "errorDescription": "left wheel slips", "errorReferences": []},
        {"errorDescription": "left wheel slips"},
    ],
)
def test_an_error_that_lacks_its_type_or_level_makes_no_robot_unreadable(error: dict[str, Any]) -> None:
    report = report_of(state(errors=[error]))
    (fault,) = report.faults
    assert fault.words == "left wheel slips"
    assert fault.grave == (error.get("errorLevel") is None)


def test_a_charge_that_is_a_part_of_one_is_read_as_percent_and_lets_nothing_begin() -> None:
    report = report_of(state(batteryState={"batteryCharge": 0.8, "charging": False}))
    assert report.battery_percent < HOUSE.limits.min_battery_percent


def test_semiautomatic_is_not_automatic() -> None:
    assert isinstance(unfit(state(operatingMode="SEMIAUTOMATIC")), NotAutomatic)


def test_a_state_of_version_3_on_a_topic_of_version_2_is_refused_with_the_field_that_it_renamed() -> None:
    body = json.loads(CODEC.encode(Rig().vehicle.state(), ADDRESS, 1, BEGUN))
    body["powerSupply"] = {"stateOfCharge": body.pop("batteryState")["batteryCharge"], "charging": False}
    with pytest.raises(InvalidMessage, match="batteryState"):
        CODEC.decode(Topic.STATE, json.dumps(body).encode())


def test_a_factsheet_that_was_made_of_the_schema_offers_no_action_and_that_is_said() -> None:
    sheet = json.loads(CODEC.encode(factsheet_of(VehicleBody()), Address("acme", "R1"), 0, BEGUN))
    sheet["protocolFeatures"] = {"type": "object", "required": ["agvActions"], "properties": sheet["protocolFeatures"]}
    try:
        message = CODEC.decode(Topic.FACTSHEET, json.dumps(sheet).encode()).message
    except InvalidMessage as refused:
        assert "agvActions" in str(refused)  # noqa: PT017 - one of two lines, both clear
        return
    assert isinstance(message, Factsheet)
    capabilities = capabilities_of(message)
    assert set(skills_of(capabilities, HOUSE)) == {"go_to", "go_to_pose", "stop"}
    assert shortfall(capabilities, HOUSE) is not None


def test_an_action_that_needs_what_nobody_says_is_offered_with_it() -> None:
    sheet = json.loads(CODEC.encode(factsheet_of(VehicleBody()), Address("acme", "R1"), 0, BEGUN))
    sheet["protocolFeatures"]["agvActions"] = [
        {
            "actionType": "pick",
            "actionScopes": ["NODE"],
            "actionParameters": [{"key": "lhd", "valueDataType": "STRING", "isOptional": False}],
            "blockingTypes": ["HARD"],
        },
        {"actionType": "startPause", "actionScopes": ["INSTANT"], "blockingTypes": ["HARD"]},
        {"actionType": "stopPause", "actionScopes": ["INSTANT"], "blockingTypes": ["HARD"]},
    ]
    message = CODEC.decode(Topic.FACTSHEET, json.dumps(sheet).encode()).message
    assert isinstance(message, Factsheet)
    skills = skills_of(capabilities_of(message), HOUSE)
    assert set(skills) == {"go_to", "go_to_pose", "stop", "pick"}
    assert "lhd" in skills["pick"].parameters["required"]
