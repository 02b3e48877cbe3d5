"""What the simulated robot says about itself, and how long its actions take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from robots.protocols.vda5050.messages import (
    ActionScope,
    AgvAction,
    BlockingType,
    Factsheet,
    ParameterDefinition,
    PhysicalParameters,
    ProtocolFeatures,
    ProtocolLimits,
    Timing,
    TypeSpecification,
    ValueType,
)

if TYPE_CHECKING:
    from robots.simulator.body import VehicleBody


@dataclass(frozen=True, slots=True)
class Ability:
    """An action that the simulated robot can do."""

    duration_s: float
    scopes: tuple[ActionScope, ...]
    description: str
    parameters: tuple[ParameterDefinition, ...] = ()
    interruptible: bool = True
    """Whether `cancelOrder` ends it; otherwise it runs to its end first (6.6.3)."""


def _parameter(key: str, kind: ValueType, description: str, *, optional: bool = False) -> ParameterDefinition:
    return ParameterDefinition(key=key, value_data_type=kind, description=description, is_optional=optional)


_HERE: Final = (ActionScope.NODE,)
_NOW: Final = (ActionScope.INSTANT,)
_LOAD: Final = (_parameter("loadType", ValueType.STRING, "What to carry.", optional=True),)

ABILITIES: Final = {
    "pick": Ability(3.0, _HERE, "Pick up, get or fetch a load.", _LOAD, interruptible=False),
    "drop": Ability(2.0, _HERE, "Put down or unload the load.", _LOAD, interruptible=False),
    "wait": Ability(0.0, _HERE, "Wait.", (_parameter("seconds", ValueType.FLOAT, "How long, seconds."),)),
    "dock": Ability(2.0, _HERE, "Dock to the charger and charge."),
    "look": Ability(1.0, _NOW, "Turn the camera.", (_parameter("angle", ValueType.FLOAT, "Radians to the left."),)),
    "wave": Ability(1.5, _NOW, "Wave with the arm, as a greeting."),
}
"""By action type. The duration of `wait` is its argument."""


def factsheet_of(body: VehicleBody) -> Factsheet:
    """Return the factsheet of a simulated robot."""
    control = ("startPause", "stopPause", "cancelOrder", "stateRequest", "factsheetRequest")
    return Factsheet(
        type_specification=TypeSpecification(
            series_name="descant-simulator",
            agv_kinematic="DIFF",
            agv_class="CARRIER",
            max_load_mass=5.0,
            localization_types=("NATURAL",),
            navigation_types=("AUTONOMOUS",),
        ),
        physical_parameters=PhysicalParameters(
            speed_min=0.0,
            speed_max=body.speed_max,
            acceleration_max=body.acceleration,
            deceleration_max=body.deceleration,
            height_max=0.5,
            width=0.3,
            length=0.4,
        ),
        protocol_limits=ProtocolLimits(timing=Timing(min_order_interval=0.0, min_state_interval=0.1)),
        protocol_features=ProtocolFeatures(
            agv_actions=(
                *(AgvAction(action_type=name, action_scopes=(ActionScope.INSTANT,)) for name in control),
                *(
                    AgvAction(
                        action_type=name,
                        action_scopes=ability.scopes,
                        action_description=ability.description,
                        action_parameters=ability.parameters,
                        blocking_types=(BlockingType.NONE,) if ability.scopes == _NOW else (BlockingType.HARD,),
                    )
                    for name, ability in ABILITIES.items()
                ),
            )
        ),
    )
