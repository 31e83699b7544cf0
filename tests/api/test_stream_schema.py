"""swagger/stream.yml (AsyncAPI) describes the messages of the WebSocket as the gateway checks and sends them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tango
import yaml

from mtango_gevent.api.streams import messages, records
from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.device import Device
from mtango_gevent.control.events import KINDS, Event
from mtango_gevent.control.host import TangoHost
from mtango_gevent.errors import BadRequest, tango_failure

DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "swagger/stream.yml").read_text("utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]
GOOD = {"id": 1, "device": "a/b/c", "attribute": "x"}
WISHES: list[dict[str, Any]] = [
    GOOD,
    {**GOOD, "event": "user", "keep": "all", "max_hz": 5, "deadband": 0.5, "binary": True, "after": 1},
    {**GOOD, "after": [1, 2]},
    {**GOOD, "after": [1]},
    {**GOOD, "after": -1},
    {**GOOD, "id": -1},
    {**GOOD, "id": 1 << 32},
    {**GOOD, "max_hz": 0},
    {**GOOD, "deadband": -1},
    {**GOOD, "keep": "some"},
    {**GOOD, "event": "data_ready"},
    {**GOOD, "binary": 1},
    {**GOOD, "more": 1},
    {"id": 1, "device": "a/b/c"},
]


def is_valid(name: str, document: object) -> bool:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema.Draft202012Validator(schema).is_valid(document)


@pytest.mark.parametrize("wish", WISHES, ids=json.dumps)
def test_subscription_is_accepted_as_the_schema_says(wish: dict[str, Any]) -> None:
    try:
        messages.parse_wish(messages.parse_id(wish["id"]), wish)
    except BadRequest:
        assert not is_valid("Subscription", wish)
    else:
        assert is_valid("Subscription", wish)


def test_limits_and_words_are_those_of_the_gateway() -> None:
    assert set(SCHEMAS["Subscription"]["properties"]["event"]["enum"]) == set(KINDS)
    assert SCHEMAS["Request"]["properties"]["subscribe"]["maxItems"] == messages.ITEMS
    assert SCHEMAS["Id"]["maximum"] == messages.MOST_ID


def test_records_and_configurations_are_as_the_schema_says() -> None:
    item = records.Item(7, Device(TangoHost(TangoClient(Config()), "here", 10000), "a/b/c"), "x", False)
    failure = Event.of_failure(tango_failure("A_Reason", "text"))
    frame = {"seq": 1, "records": [json.loads(records.encode_record(item, failure, missed)) for missed in (0, 3, None)]}
    configuration = json.loads(records.encode_configuration(item, tango.AttributeInfoEx()))
    frame["configurations"] = [{**configuration, "level": "OPERATOR", "writable": "READ", "data_format": "SCALAR"}]
    assert is_valid("Frame", frame), frame
