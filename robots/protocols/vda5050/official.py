"""The official JSON schemas of VDA 5050 2.1.0, unchanged in `schemas/` under their own licence, and two corrections.

Where schema and document differ, the document wins (its section 6). Two of its words are not in the schemas:

- `state.schema` lacks the action status `PAUSED` (document 6.11): a strict reader would refuse a robot that is paused.
- `factsheet.schema` compares the array `blockingTypes` as a whole with `NONE`, `SOFT` and `HARD` (document 6.15 means
  its items): no value is valid.

The codec does not need them at run time; tests hold every message to them.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

SHA256: Final = {
    "connection": "aa991bc8c5a15115a3cb46cbbc2a87bef208cef436268a06feed663a949c30f1",
    "factsheet": "386e3f20be0fa29132e8b3bc1e90991e7e5cf496aae7f3fb744cb072174a8bfc",
    "instantActions": "79b9d71ce31f5bce167d470e0e12a83c28f28f20580148b4dae28cedeb78a355",
    "order": "18fedf85ecf7bc22baf7da71b74d08d699d65b8c6a5f0ccde8bc8d84e1406796",
    "state": "26e41279414d7acfeac6ea9b6438b484b0930ee0e9059cf953168d141da8473b",
    "visualization": "9930b0fca1743ab2e4b9e2a66dad0f366bd4d8b18550f896adce34db3357ebff",
}
"""Of the files in json_schemas/ of the specification's tag 2.1.0, by topic."""


def schema_text(topic: str) -> bytes:
    """Return a schema as it is published."""
    return files("robots.protocols.vda5050").joinpath("schemas", f"{topic}.schema").read_bytes()


def schema(topic: str) -> dict[str, Any]:
    """Return a schema with what the document corrects."""
    found: dict[str, Any] = json.loads(schema_text(topic))
    if topic == "state":
        found["properties"]["actionStates"]["items"]["properties"]["actionStatus"]["enum"].append("PAUSED")
    if topic == "factsheet":
        actions = found["properties"]["protocolFeatures"]["properties"]["agvActions"]
        blocking = actions["items"]["properties"]["blockingTypes"]
        blocking["items"] = {"enum": blocking.pop("enum")}
    return found
