"""How much one request may ask for: what a panel asks is answered, and much more is refused before it is work."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from webtest import TestApp

from mtango_gevent import limits
from mtango_gevent.api.request_context import AppState
from tests.conftest import DEMO_DEVICE

FORM = "application/x-www-form-urlencoded"


def calls(client: TestApp) -> int:
    """Tango calls of the application so far."""
    lines = client.get("/metrics").text.splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("mtango_tango_calls_total{"))


def refusal(answer: object) -> str:
    return answer.json["errors"][0]["description"]


def test_a_panel_reads_hundreds_of_attributes_at_once(client: TestApp, demo_url: str) -> None:
    names = [info["name"] for info in client.get(f"{demo_url}/attributes").json]
    query = "&".join(f"attr={name}" for name in (names * limits.REPEATS)[:300] if "image" not in name)
    for what in ("value", "info"):
        assert len(client.get(f"{demo_url}/attributes/{what}?{query}", status=200).json) > 100


@pytest.mark.parametrize("what", ["value", "info"])
def test_an_attribute_is_answered_a_few_times_at_most(client: TestApp, demo_url: str, what: str) -> None:
    url, names = f"{demo_url}/attributes/{what}?", ["attr=double_image_ro", "attr=DOUBLE_IMAGE_RO"] * 3
    assert len(client.get(url + "&".join(names[: limits.REPEATS])).json) == limits.REPEATS
    said = refusal(client.get(url + "&".join(names), status=400))
    assert said == "expected at most 4 times the attribute 'double_image_ro', got 6"


@pytest.mark.parametrize("what", ["value", "info"])
def test_there_is_an_end_of_names_in_a_query(client: TestApp, demo_url: str, what: str) -> None:
    query = "&".join(f"attr=x{number}" for number in range(limits.NAMES + 1))
    said = refusal(client.get(f"{demo_url}/attributes/{what}?{query}", status=400))
    assert said == "expected at most 1000 attributes, got 1001"


def test_names_of_no_attribute_are_few_calls_however_many_there_are(
    make_client: Callable[..., TestApp], demo_url: str
) -> None:
    client = make_client()  # an application of its own, whose event poller has nothing to read
    names = [f"x{number}" for number in range(500)]
    before = calls(client)
    read = client.get(f"{demo_url}/attributes/info?" + "&".join(f"attr={name}" for name in [*names, "ampli"])).json
    written = client.put_json(f"{demo_url}/attributes/value", {**dict.fromkeys(names, 1), "ampli": 1}).json
    assert calls(client) - before < 20
    for items in (read, written):
        assert [item["name"] for item in items] == [*names, "ampli"]
        assert {item["errors"][0]["reason"] for item in items[:-1]} == {"API_AttrNotFound"}
        assert "errors" not in items[-1]


def test_an_attribute_that_has_just_come_is_known(client: TestApp, demo_url: str) -> None:
    """The list of attributes, which is kept for a while, is not the last word."""
    context: AppState = client.app.extensions["mtango"]
    context.client.attributes.ask(DEMO_DEVICE, "attributes", list)
    assert [info["name"] for info in client.get(f"{demo_url}/attributes/info?attr=ampli").json] == ["ampli"]


@pytest.mark.parametrize("path", ["attributes/value", "properties", "attributes/ampli/properties"])
def test_there_is_an_end_of_names_in_a_body(client: TestApp, demo_url: str, path: str) -> None:
    names = {f"x{number}": "1" for number in range(limits.NAMES + 1)}
    assert refusal(client.put_json(f"{demo_url}/{path}", names, status=400)).endswith(", got 1001")


def test_a_wildcard_is_asked_once_and_there_are_few(make_client: Callable[..., TestApp], host_url: str) -> None:
    client = make_client()  # an application of its own, whose event poller has nothing to read
    before = calls(client)
    assert client.get(f"{host_url}/devices?" + "&".join(["wildcard=sys/*"] * 300)).json
    assert calls(client) - before <= 2
    query = "&".join(f"wildcard=a{number}*" for number in range(limits.WILDCARDS + 1))
    assert refusal(client.get(f"{host_url}/devices?{query}", status=400)) == "expected at most 16 wildcards, got 17"


def test_there_is_an_end_of_parameters(client: TestApp, demo_url: str) -> None:
    many = "&" * limits.PARAMETERS
    said = refusal(client.get(f"{demo_url}/state?{many}", status=400))
    assert said == "expected at most 10000 parameters in the query, got 10001"
    said = refusal(client.put(f"{demo_url}/attributes/ampli/value", many + "v=1", content_type=FORM, status=400))
    assert said == "expected at most 10000 parameters in the form, got 10001"


def test_a_form_is_smaller_than_a_body_may_be(client: TestApp, demo_url: str) -> None:
    form = "v=" + "1" * limits.FORM
    said = refusal(client.put(f"{demo_url}/attributes/ampli/value", form, content_type=FORM, status=413))
    assert str(limits.FORM) in said


@pytest.mark.parametrize(
    ("attribute", "body"),
    [
        ("double_spectrum", "1.5," * limits.ONE_BY_ONE + "1"),
        ("double_spectrum", "[" + '"1.5",' * limits.ONE_BY_ONE + "1]"),
        ("string_spectrum", "[" + '"",' * limits.ONE_BY_ONE + '""]'),
        ("double_image", "[[" + '"1",' * limits.ONE_BY_ONE + "1]]"),
    ],
)
def test_what_is_looked_at_one_by_one_has_an_end(client: TestApp, demo_url: str, attribute: str, body: str) -> None:
    began = time.monotonic()
    said = refusal(client.put(f"{demo_url}/attributes/{attribute}/value", body, status=400))
    assert time.monotonic() - began < 3 * 0.3
    assert f"expected at most {limits.ONE_BY_ONE} elements" in said
    assert "got 100001" in said


def test_json_numbers_have_no_such_end(client: TestApp, demo_url: str) -> None:
    """The device, and not the gateway, says what is too much for it."""
    body = "[" + "1.5," * limits.ONE_BY_ONE + "1]"
    failure = client.put(f"{demo_url}/attributes/double_spectrum/value", body, status=200).json
    assert failure["errors"][0]["reason"] == "API_WAttrOutsideLimit"


def test_properties_have_no_more_texts_than_the_database_bears(client: TestApp, demo_url: str) -> None:
    url = f"{demo_url}/properties"
    said = refusal(client.put_json(f"{url}/p", ["x"] * (limits.LINES + 1), status=400))
    assert said == "expected at most 10000 texts of the property 'p', got 10001"
    said = refusal(client.put_json(url, {"p": ["x"] * limits.LINES, "q": "x"}, status=400))
    assert said == "expected at most 10000 texts of properties, got 10001"
    said = refusal(client.put_json(f"{url}/p", ["ü" * (limits.LINE // 2 + 1)], status=400))
    assert said == "expected at most 65535 bytes in a text of the property 'p', got 65536"


@pytest.mark.parametrize("sign", ["*", "%", "é"])
def test_few_names_of_properties_are_patterns(client: TestApp, demo_url: str, sign: str) -> None:
    names = {f"{sign}{number}": "x" for number in range(limits.PATTERNS + 1)}
    said = refusal(client.put_json(f"{demo_url}/properties", names, status=400))
    assert said == "expected at most 100 names of properties with * or % or characters that are not ASCII, got 101"


def test_a_configuration_has_no_more_labels_than_a_pipe_has_names(client: TestApp, types_url: str) -> None:
    labels = {"enum_label": [f"L{number}" for number in range(limits.NAMES + 1)]}
    said = refusal(client.put_json(f"{types_url}/attributes/enum_scalar/info", labels, status=400))
    assert said == "expected at most 1000 labels, got 1001"


@pytest.mark.parametrize("body", ["1e999999999", "-1e999999999", "1e-99999999999999999999", "0." + "0" * 400 + "1"])
@pytest.mark.parametrize("attribute", ["double_scalar", "float_scalar", "long_scalar"])
def test_numbers_beyond_all_measure_are_refused_at_once(
    client: TestApp, demo_url: str, attribute: str, body: str
) -> None:
    began = time.monotonic()
    for query in ("", f"?v={body}"):
        client.put(f"{demo_url}/attributes/{attribute}/value{query}", body, status=400)
    assert time.monotonic() - began < 3 * 0.3


@pytest.mark.parametrize("text", ["0e999999999", "-0e999999999", "0.0e-99999999999"])
def test_zero_is_zero_whatever_its_exponent(client: TestApp, demo_url: str, text: str) -> None:
    assert client.put(f"{demo_url}/attributes/double_scalar/value?v={text}").json["value"] == 0


def test_a_message_shows_no_more_than_a_line_of_what_was_sent(client: TestApp, demo_url: str) -> None:
    for body in ("[" * 900 + "]" * 900, '"' + "x" * 1_000_000 + '"', "[" + "[1]," * 100_000 + "1]", '{"a":' * 900):
        assert len(refusal(client.put(f"{demo_url}/attributes/ampli/value", body, status=400))) < 300


def test_a_scheme_that_is_none_is_refused_where_links_are_made(make_client: Callable[..., TestApp]) -> None:
    client = make_client(trusted_proxies=1)
    for scheme in ("javascript", 'https>; rel="x"', "HTTPS ", ""):
        answer = client.get("/tango/rest", headers={"X-Forwarded-Proto": scheme}, expect_errors=True)
        assert answer.status_int == 400 if scheme else 200
    assert client.get("/tango/rest", headers={"X-Forwarded-Proto": "https"}).json["rc3"].startswith("https://")
