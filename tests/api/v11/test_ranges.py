"""Parts of lists: contract v11, section 2."""

from __future__ import annotations

import pytest
from webtest import TestApp


def test_list_tells_its_size(client: TestApp, v11_demo_url: str) -> None:
    answer = client.get(f"{v11_demo_url}/attributes", status=200)
    assert answer.headers["Accept-Ranges"] == "items"
    assert answer.headers["X-size"] == str(len(answer.json))
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize("noun", ["attributes", "commands"])
def test_part_begins_at_first_number_and_ends_before_second(client: TestApp, v11_demo_url: str, noun: str) -> None:
    everything = client.get(f"{v11_demo_url}/{noun}").json
    part = client.get(f"{v11_demo_url}/{noun}?range=5-10", status=206)
    assert part.json == everything[5:10]
    assert part.headers["Content-Range"] == f"items 5-10/{len(everything)}"
    assert (part.headers["Accept-Ranges"], part.headers["X-size"]) == ("items", str(len(everything)))


def test_whole_list_as_part(client: TestApp, v11_demo_url: str) -> None:
    size = len(client.get(f"{v11_demo_url}/attributes").json)
    part = client.get(f"{v11_demo_url}/attributes?range=0-{size}", status=206)
    assert len(part.json) == size


def test_part_and_filter(client: TestApp, v11_demo_url: str) -> None:
    names = [each["name"] for each in client.get(f"{v11_demo_url}/attributes").json]
    part = client.get(f"{v11_demo_url}/attributes?range=1-3&filter=id", status=206).json
    assert [each.keys() for each in part] == [{"id"}] * 2
    assert [each["id"].rpartition("/")[2] for each in part] == names[1:3]


@pytest.mark.parametrize(
    "part", ["XXX", "5", "5-", "-5", "5-5", "6-5", "1.0-2", "0-100000", "-1-3", "1-2-3", "", "1-²"]
)
def test_impossible_part_is_416(client: TestApp, v11_demo_url: str, part: str) -> None:
    size = len(client.get(f"{v11_demo_url}/attributes").json)
    answer = client.get(f"{v11_demo_url}/attributes", {"range": part}, status=416)
    assert answer.json["quality"] == "FAILURE"
    assert answer.headers["Content-Range"] == f"items */{size}"


def test_values_of_several_attributes_are_a_list(client: TestApp, v11_demo_url: str) -> None:
    answer = client.get(f"{v11_demo_url}/attributes/value?attr=ampli&attr=State&range=1-2", status=206)
    assert [each["name"] for each in answer.json] == ["State"]
