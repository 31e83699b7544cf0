"""tangojs, the rc3 client in browsers: what tangojs-connector-mtango 0.5.1 sends, and what it takes from the answers.

The requests are those that it was seen to make in Chromium, to the byte where it matters: values go unescaped into the
query, where `fetch` makes a URL of them; arrays are joined with commas, in the query as in the body; bodies are plain
text; each request has an Authorization and another Origin. A plain client in another process reads what was written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from email.message import Message
from typing import Any

import orjson
import pytest
from tango import DevState

from mtango_gevent.demo.embedded import EmbeddedTango
from mtango_gevent.demo.every_type import KINDS, LATIN
from tests.conftest import DEMO_DEVICE, TYPES_DEVICE
from tests.pytango_process import PyTango

from .conftest import COMMAND, Gateway, served

pytestmark = pytest.mark.slow

ORIGIN = "http://panel.example:8080"
UNDEFINED = "Basic dW5kZWZpbmVkOnVuZGVmaW5lZA=="  # of "undefined:undefined", where no user was given

# The names that tangojs-core 0.4.0 knows; whatever else comes is `undefined` to a page.
QUALITIES = ("ATTR_VALID", "ATTR_INVALID", "ATTR_ALARM", "ATTR_CHANGING", "ATTR_WARNING")
STATES = (
    *("ON", "OFF", "CLOSE", "OPEN", "INSERT", "EXTRACT", "MOVING", "STANDBY", "FAULT", "INIT", "RUNNING", "ALARM"),
    *("DISABLE", "UNKNOWN"),
)
WRITABLE = ("READ", "READ_WITH_WRITE", "WRITE", "READ_WRITE", "WT_UNKNOWN")
FORMATS = ("SCALAR", "SPECTRUM", "IMAGE", "FMT_UNKNOWN")
LEVELS = ("OPERATOR", "EXPERT", "DL_UNKNOWN")
DATA_TYPES = (
    *("DevBoolean", "DevShort", "DevLong", "DevLong64", "DevFloat", "DevDouble", "DevUChar", "DevUShort", "DevULong"),
    *("DevULong64", "DevString", "DevEncoded"),
)

# What its objects show of the answers.
DEVICE_INFO = {
    **dict.fromkeys(("classname", "hostname", "ior", "last_exported", "last_unexported", "name", "server"), str),
    "version": str,
    "exported": bool,
    "is_taco": bool,
    "pid": int,
}
ATTRIBUTE_INFO = {
    **dict.fromkeys(("name", "writable", "data_format", "data_type", "level", "memorized", "root_attr_name"), str),
    **dict.fromkeys(("description", "label", "unit", "standard_unit", "display_unit", "format"), str),
    **dict.fromkeys(("min_value", "max_value", "writable_attr_name"), str),
    **dict.fromkeys(("max_dim_x", "max_dim_y"), int),
    **dict.fromkeys(("extensions", "sys_extensions"), list),
}
COMMAND_INFO = {
    **dict.fromkeys(("cmd_name", "level", "in_type", "out_type", "in_type_desc", "out_type_desc"), str),
    "cmd_tag": int,
}


@dataclasses.dataclass
class Answer:
    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclasses.dataclass
class Tangojs:
    """The connector in a page from elsewhere."""

    gateway: Gateway
    endpoint: str

    def fetch(self, method: str, address: str, body: str | None = None) -> Any:
        """The JSON of an answer that is `ok`, with which tangojs goes on; else it logs the status and has nothing."""
        answer = self.ask(method, address, body)
        assert 200 <= answer.status < 300, answer
        return answer.json()

    def ask(self, method: str, address: str, body: str | None = None) -> Answer:
        content = {} if body is None else {"Content-Type": "text/plain;charset=UTF-8"}
        return self._exchange(method, address, {"Authorization": UNDEFINED, **content}, body)

    def preflight(self, method: str, address: str) -> Answer:
        """What a browser asks first, without Authorization; a body of text needs no leave."""
        asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization"}
        return self._exchange("OPTIONS", address, asked)

    def _exchange(self, method: str, address: str, headers: dict[str, str], body: str | None = None) -> Answer:
        """A page may read every answer: without its origin in it `fetch` fails, whatever the status."""
        with contextlib.closing(self.gateway.connection()) as connection:
            path, sent = f"/tango/rest{self.endpoint}/{address}", None if body is None else body.encode()
            connection.request(method, path, sent, {"Accept": "*/*", "Origin": ORIGIN, **headers})
            reply = connection.getresponse()
            answer = Answer(reply.status, reply.headers, reply.read())
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        return answer

    def read(self, names: Sequence[str], device: str = TYPES_DEVICE) -> list[dict[str, Any]]:
        return self.fetch("GET", f"devices/{device}/attributes/value?{_named(names)}")

    def write(self, query: str) -> list[dict[str, Any]]:
        return self.fetch("PUT", f"devices/{TYPES_DEVICE}/attributes/value?{query}")

    def infos(self, names: Sequence[str]) -> list[dict[str, Any]]:
        return self.fetch("GET", f"devices/{TYPES_DEVICE}/attributes/info?{_named(names)}")

    def run(self, command: str, argument: str = "", device: str = TYPES_DEVICE) -> Any:
        """tangojs hands the answer on as it is."""
        return self.fetch("PUT", f"devices/{device}/commands/{command}", argument)


def _named(names: Sequence[str]) -> str:
    return "&".join(f"attr={name}" for name in names)


@pytest.fixture(scope="session")
def panel_gateway(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that lists the page's origin, so that the page may write."""
    with served(COMMAND, tmp_path_factory.mktemp("gunicorn") / "log", MTANGO_CORS_ORIGINS=ORIGIN) as gateway:
        yield gateway


@pytest.fixture
def tangojs(panel_gateway: Gateway, host_path: str) -> Tangojs:
    return Tangojs(panel_gateway, host_path)


@pytest.fixture
def unlisted(gateway: Gateway, host_path: str) -> Tangojs:
    """tangojs with a gateway that lists no origin."""
    return Tangojs(gateway, host_path)


def has(found: dict[str, Any], wanted: dict[str, type]) -> bool:
    """Whether all `wanted` keys are there, with values of their type."""
    return all(type(found.get(key)) is kind for key, kind in wanted.items())


# --- the database and the device ---


def test_the_database_lists_its_devices(tangojs: Tangojs) -> None:
    names = [device["name"] for device in tangojs.fetch("GET", "devices")]
    assert {TYPES_DEVICE, DEMO_DEVICE} <= set(names)


def test_hosts_lead_to_the_devices(gateway: Gateway, host_path: str) -> None:
    """A later version takes the first value of an object for the beginning of all other URLs."""
    hosts = Tangojs(gateway, "/rc3").fetch("GET", "hosts/")
    first = hosts[next(iter(hosts))]
    assert first == gateway.base + host_path
    assert Tangojs(gateway, host_path).fetch("GET", "")["name"] == "sys/database/2"


def test_a_device_tells_about_itself(tangojs: Tangojs) -> None:
    info = tangojs.fetch("GET", f"devices/{TYPES_DEVICE}")["info"]
    assert has(info, DEVICE_INFO)
    assert (info["name"], info["classname"], info["exported"]) == (TYPES_DEVICE, "Types", True)


@pytest.mark.parametrize("device", [TYPES_DEVICE, DEMO_DEVICE])
def test_a_state_is_one_that_tangojs_knows(tangojs: Tangojs, device: str) -> None:
    found = tangojs.fetch("GET", f"devices/{device}/state")
    assert found["state"] in STATES
    assert found["state"] in found["status"]


def test_a_property_is_listed_and_deleted(tangojs: Tangojs, pytango: PyTango) -> None:
    properties = f"devices/{TYPES_DEVICE}/properties"
    tangojs.fetch("PUT", f"{properties}/tangojs?value=1")
    assert "tangojs" in [each["name"] for each in tangojs.fetch("GET", properties)]
    assert tangojs.ask("DELETE", f"{properties}/tangojs").status == 204
    assert pytango.get_property(TYPES_DEVICE, "tangojs") == []
    assert "tangojs" not in [each["name"] for each in tangojs.fetch("GET", properties)]


# --- attributes ---


def test_all_attributes_are_listed_and_described_in_one_request(tangojs: Tangojs) -> None:
    names = [each["name"] for each in tangojs.fetch("GET", f"devices/{TYPES_DEVICE}/attributes")]
    assert {f"{kind}_{form}" for kind in KINDS for form in ("scalar", "spectrum", "image")} < set(names)
    infos = tangojs.infos(names)
    assert [info["name"] for info in infos] == names
    for info in infos:
        assert has(info, ATTRIBUTE_INFO), info
        assert info["writable"] in WRITABLE
        assert info["data_format"] in FORMATS
        assert info["level"] in LEVELS
        assert info["data_type"] in (*DATA_TYPES, "DevState", "DevEnum")  # the last two are nothing to tangojs


def test_a_configuration_has_the_texts_that_pages_show(tangojs: Tangojs) -> None:
    (info,) = tangojs.infos(["limited_scalar"])
    assert (info["label"], info["unit"], info["format"]) == ("Limited scalar", "mm", "%6.3f")
    assert (info["min_value"], info["max_value"], info["writable_attr_name"]) == ("-100", "100", "limited_scalar")
    assert (info["writable"], info["data_format"], info["data_type"]) == ("READ_WRITE", "SCALAR", "DevDouble")


def test_a_description_that_fails_leaves_the_others(tangojs: Tangojs) -> None:
    missing, found = tangojs.infos(["nope", "double_scalar"])
    assert missing["name"] == "nope"
    assert "writable" not in missing
    assert found["data_type"] == "DevDouble"


READ = {
    "State": "ON",
    "Status": "The device is in ON state.",
    "boolean_scalar": True,
    "uchar_spectrum": [0, 1, 255],
    "long_spectrum": [-(2**31), -1, 0, 2**31 - 1],
    "long_image": [[-(2**31), -1, 0, 2**31 - 1]] * 2,
    "ulong64_scalar": 2**64 - 1,
    "float_scalar": 0.1,
    "double_scalar": 0.1,
    "string_scalar": LATIN,
    "enum_scalar": "MIDDLE",
    "state_scalar": "MOVING",
    "nan_scalar": "NaN",
    "nonfinite_spectrum": ["NaN", "Infinity", "-Infinity", 1.5],
    "empty_spectrum": [],
    "empty_string": "",
}


def test_many_attributes_are_read_at_once_and_in_order(tangojs: Tangojs, fresh_types: str, pytango: PyTango) -> None:
    pytango.run(fresh_types, "Init")
    answers = tangojs.read([*READ, "nope"])
    assert {answer["name"]: answer["value"] for answer in answers[:-1]} == READ
    assert [answer["name"] for answer in answers] == [*READ, "nope"]
    assert {answer["quality"] for answer in answers[:-1]} == {"ATTR_VALID"}
    assert "value" not in answers[-1]
    assert answers[-1]["quality"] not in QUALITIES


def test_timestamps_are_milliseconds(tangojs: Tangojs) -> None:
    """tangojs makes `{tv_sec, tv_usec}` of them."""
    began = time.time()
    answers = tangojs.read(["double_scalar", "quality_alarm", "nope"])
    ended = time.time()
    for stamp in [answer["timestamp"] for answer in answers]:
        assert type(stamp) is int
        assert int(began * 1000) <= stamp <= int(ended * 1000)


@pytest.mark.parametrize("name", QUALITIES)
def test_qualities_have_the_names_that_tangojs_looks_for(tangojs: Tangojs, name: str) -> None:
    (answer,) = tangojs.read([f"quality_{name.removeprefix('ATTR_').lower()}"])
    assert answer["quality"] == name
    assert answer["value"] == (None if name == "ATTR_INVALID" else 1.5)


@pytest.mark.parametrize("name", ["throw_exception", "no_value"])
def test_unreadable_attribute_has_a_name_and_no_value(tangojs: Tangojs, name: str) -> None:
    (answer,) = tangojs.read([name], DEMO_DEVICE)
    assert answer["name"] == name
    assert "value" not in answer
    assert answer["errors"]


# --- written ---

# (attribute, how JavaScript and `fetch` spell the value, what is read back, what another client finds)
NUMBERS = [
    ("double_scalar", "1e+21", 1e21, 1e21),
    ("double_scalar", "1.7976931348623157e+308", 1.7976931348623157e308, 1.7976931348623157e308),
    ("boolean_scalar", "true", True, True),
    ("boolean_scalar", "false", False, False),
    ("uchar_scalar", "255", 255, 255),
    ("short_scalar", "-32768", -32768, -32768),
    ("ushort_scalar", "65535", 65535, 65535),
    ("long_scalar", "-2147483648", -(2**31), -(2**31)),
    ("ulong_scalar", "4294967295", 2**32 - 1, 2**32 - 1),
    ("long64_scalar", "9007199254740991", 2**53 - 1, 2**53 - 1),
    ("long64_scalar", "-9223372036854775808", -(2**63), -(2**63)),  # a BigInt
    ("ulong64_scalar", "18446744073709551615", 2**64 - 1, 2**64 - 1),
    ("float_scalar", "-1.5", -1.5, -1.5),
    ("double_scalar", "0.1", 0.1, 0.1),
    ("double_scalar", "1e-7", 1e-7, 1e-7),
    ("double_scalar", "3", 3.0, 3.0),
    ("enum_scalar", "VERY%20HIGH", "VERY HIGH", 2),
    ("enum_scalar", "0", "LOW", 0),
    ("state_scalar", "RUNNING", "RUNNING", int(DevState.RUNNING)),
]

# What `fetch` makes of a text in the query, and the text.
TEXTS = {
    "": "",
    "plain": "plain",
    "two%20words": "two words",
    "%20before": " before",
    "say%20%22hi%22": 'say "hi"',
    "%22quoted%22": '"quoted"',
    "l%27%C3%A9t%C3%A9": "l'été",
    "%C3%85ngstr%C3%B6m%20%C2%B5m%20%C3%BF": "Ångström µm ÿ",
    "a,b": "a,b",
    "a=b": "a=b",
    "a;b": "a;b",
    "a/b?c": "a/b?c",
    "x%3Cy%3Ez": "x<y>z",
    "back\\slash": "back\\slash",
    "`^|{}[]@!$*()~": "`^|{}[]@!$*()~",
    "50%": "50%",
    "100%zz": "100%zz",
    "[1,2]": "[1,2]",
    "{%22a%22:1}": '{"a":1}',
    "5": "5",
    "true": "true",
    "null": "null",
    "a%01b": "a\x01b",
}

# Where nothing can tell any more what the page had: `1+1`, `%41`, `50%20x`.
AMBIGUOUS = {"1+1": "1 1", "%41": "A", "50%20x": "50 x"}

ARRAYS = [
    ("double_spectrum", "1e+21,2", [1e21, 2.0], [1e21, 2.0]),
    ("boolean_spectrum", "true,false", [True, False], [True, False]),
    ("uchar_spectrum", "0,1,255", [0, 1, 255], [0, 1, 255]),
    ("short_spectrum", "-1,2", [-1, 2], [-1, 2]),
    ("ushort_spectrum", "0,65535", [0, 65535], [0, 65535]),
    ("long_spectrum", "1,2,3", [1, 2, 3], [1, 2, 3]),
    ("long_spectrum", "7", [7], [7]),
    ("ulong_spectrum", "4294967295,0", [2**32 - 1, 0], [2**32 - 1, 0]),
    ("long64_spectrum", "9223372036854775807,-1", [2**63 - 1, -1], [2**63 - 1, -1]),
    ("ulong64_spectrum", "18446744073709551615", [2**64 - 1], [2**64 - 1]),
    ("float_spectrum", "0.5,-1.5", [0.5, -1.5], [0.5, -1.5]),
    ("double_spectrum", "0.1,1e-10", [0.1, 1e-10], [0.1, 1e-10]),
    ("enum_spectrum", "LOW,VERY%20HIGH", ["LOW", "VERY HIGH"], [0, 2]),
    ("state_spectrum", "ON,FAULT", ["ON", "FAULT"], [int(DevState.ON), int(DevState.FAULT)]),
    ("string_spectrum", "a,b", ["a", "b"], ["a", "b"]),
    ("string_spectrum", "two%20words,l%27%C3%A9t%C3%A9", ["two words", "l'été"], ["two words", "l'été"]),
    ("string_spectrum", "say%20%22hi%22,50%", ['say "hi"', "50%"], ['say "hi"', "50%"]),
    ("string_spectrum", ",x", ["", "x"], ["", "x"]),
]

# What is no text or number in JavaScript goes through as the JSON that a page makes of it.
JSON_TEXTS = [
    ("long_image", "[[1,2],[3,4]]", [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    ("string_image", "[[%22a%22,%22b,c%22]]", [["a", "b,c"]], [["a", "b,c"]]),
    (
        "encoded_scalar",
        "{%22encoded_format%22:%22X%22,%22encoded_data%22:%22AAE=%22}",
        {"encoded_format": "X", "encoded_data": "AAE="},
        ["X", b"\0\1"],
    ),
]


@pytest.mark.parametrize(("attribute", "sent", "shown", "plain"), [*NUMBERS, *ARRAYS, *JSON_TEXTS])
def test_a_value_is_written_as_javascript_spells_it(
    tangojs: Tangojs, fresh_types: str, pytango: PyTango, attribute: str, sent: str, shown: Any, plain: Any
) -> None:
    (answer,) = tangojs.write(f"{attribute}={sent}")
    assert (answer["name"], answer["value"], answer["quality"]) == (attribute, shown, "ATTR_VALID")
    assert pytango.read(fresh_types, attribute) == plain


@pytest.mark.parametrize(("sent", "text"), [*TEXTS.items(), *AMBIGUOUS.items()])
def test_a_text_is_written_unescaped(
    tangojs: Tangojs, fresh_types: str, pytango: PyTango, sent: str, text: str
) -> None:
    (answer,) = tangojs.write(f"string_scalar={sent}")
    assert answer["value"] == text
    assert pytango.read(fresh_types, "string_scalar") == text


def test_an_empty_array_is_written(tangojs: Tangojs, fresh_types: str, pytango: PyTango) -> None:
    (answer,) = tangojs.write("long_spectrum=")
    assert answer["value"] == []
    assert not pytango.read(fresh_types, "long_spectrum")


def test_an_array_of_a_thousand_numbers_fits(tangojs: Tangojs, fresh_types: str, pytango: PyTango) -> None:
    numbers = [100_000 + number for number in range(1000)]
    (answer,) = tangojs.write(f"long_spectrum={','.join(map(str, numbers))}")
    assert answer["value"] == numbers
    assert pytango.read(fresh_types, "long_spectrum") == numbers


def test_texts_with_commas_need_quotes_in_an_array(tangojs: Tangojs, fresh_types: str, pytango: PyTango) -> None:
    """JavaScript's comma is any comma; a page can put quotes around a text that has some."""
    for sent, texts in {"a,b,c": ["a", "b", "c"], "%22a,b%22,c": ["a,b", "c"]}.items():
        (answer,) = tangojs.write(f"string_spectrum={sent}")
        assert answer["value"] == texts
        assert pytango.read(fresh_types, "string_spectrum") == texts


def test_text_after_an_ampersand_is_another_attribute(tangojs: Tangojs, fresh_types: str, pytango: PyTango) -> None:
    written, failed = tangojs.write("string_scalar=a&b=c")
    assert (written["name"], written["value"]) == ("string_scalar", "a")
    assert (failed["name"], failed["errors"][0]["reason"]) == ("b", "API_AttrNotFound")
    assert pytango.read(fresh_types, "string_scalar") == "a"


def test_each_of_many_is_written_or_fails_for_itself(tangojs: Tangojs, fresh_types: str, pytango: PyTango) -> None:
    before = pytango.read(fresh_types, "short_scalar")
    answers = tangojs.write(
        "long_scalar=7&string_scalar=x%20y&nope=1&short_scalar=99999&limited_scalar=5000&nan_scalar=1&double_spectrum=1,2"
    )
    names = ["long_scalar", "string_scalar", "nope", "short_scalar", "limited_scalar", "nan_scalar", "double_spectrum"]
    assert [answer["name"] for answer in answers] == names
    assert [answer.get("value") for answer in answers] == [7, "x y", None, None, None, None, [1.0, 2.0]]
    assert [answer["quality"] in QUALITIES for answer in answers] == [True, True, False, False, False, False, True]
    assert pytango.read(fresh_types, "long_scalar") == 7
    assert pytango.read(fresh_types, "string_scalar") == "x y"
    assert pytango.read(fresh_types, "short_scalar") == before
    assert pytango.read(fresh_types, "double_spectrum") == [1.0, 2.0]


@pytest.mark.parametrize(
    "query",
    [
        *("double_scalar=", "double_scalar=null", "double_scalar=undefined", "double_scalar=NaN", "long_scalar=abc"),
        *("long64_scalar=9223372036854776000", "uchar_scalar=256", "boolean_scalar=2", "enum_scalar=HIGHEST"),
        *("encoded_scalar=[object%20Object]", "string_scalar=%E6%B8%A9%E5%BA%A6", "string_scalar=a%00b"),
        *("string_spectrum=%22open,x", "long_spectrum=1,,2"),
    ],
)
def test_value_that_does_not_fit_is_refused_and_nothing_is_written(
    tangojs: Tangojs, fresh_types: str, pytango: PyTango, query: str
) -> None:
    attribute = query.partition("=")[0]
    before = pytango.read(fresh_types, attribute)
    (answer,) = tangojs.write(query)
    assert answer["name"] == attribute
    assert "value" not in answer
    assert attribute in answer["errors"][0]["description"]
    assert pytango.read(fresh_types, attribute) == before


# --- commands ---


def test_commands_are_listed_and_described(tangojs: Tangojs) -> None:
    infos = [each["info"] for each in tangojs.fetch("GET", f"devices/{TYPES_DEVICE}/commands")]
    assert all(has(info, COMMAND_INFO) and info["level"] in LEVELS for info in infos)
    one = tangojs.fetch("GET", f"devices/{TYPES_DEVICE}/commands/EchoDevDouble")["info"]
    assert one in infos
    assert (one["cmd_name"], one["in_type"], one["out_type"]) == ("EchoDevDouble", "DevDouble", "DevDouble")


def test_an_expert_command_says_so(tangojs: Tangojs) -> None:
    found = tangojs.fetch("GET", f"devices/{DEMO_DEVICE}/commands/DumpExecutionState")
    assert found["info"]["level"] == "EXPERT"


# (type, what `fetch` makes of the argument, what comes back)
ARGUMENTS = [
    ("DevVarStringArray", 'say "hi",c\n', ['say "hi"', "c\n"]),
    ("DevVarStringArray", 'say "hi",line\nbreak', ['say "hi"', "line\nbreak"]),
    ("DevBoolean", "true", True),
    ("DevBoolean", "false", False),
    ("DevShort", "-32768", -32768),
    ("DevUShort", "65535", 65535),
    ("DevLong", "0", 0),
    ("DevULong", "4294967295", 2**32 - 1),
    ("DevLong64", "9223372036854775807", 2**63 - 1),
    ("DevULong64", "18446744073709551615", 2**64 - 1),
    ("DevFloat", "0.1", 0.1),
    ("DevDouble", "1e+21", 1e21),
    ("DevDouble", "NaN", "NaN"),
    ("DevDouble", "-Infinity", "-Infinity"),
    ("DevString", "Hello World!!!", "Hello World!!!"),
    ("DevString", "a&b#c%41+d,e'f", "a&b#c%41+d,e'f"),
    ("DevString", "Ångström\n2nd line", "Ångström\n2nd line"),
    ("DevString", "[1,2]", "[1,2]"),
    ("DevString", "true", "true"),
    ("DevString", " a ", " a "),
    ("DevString", "", ""),
    ("DevState", "RUNNING", "RUNNING"),
    ("DevEnum", "1", 1),
    ("DevVarBooleanArray", "true,false", [True, False]),
    ("DevVarCharArray", "0,255", [0, 255]),
    ("DevVarShortArray", "-1,2", [-1, 2]),
    ("DevVarUShortArray", "65535", [65535]),
    ("DevVarLongArray", "1,2,3", [1, 2, 3]),
    ("DevVarLongArray", "", []),
    ("DevVarULongArray", "4294967295", [2**32 - 1]),
    ("DevVarLong64Array", "9223372036854775807,-1", [2**63 - 1, -1]),
    ("DevVarULong64Array", "18446744073709551615", [2**64 - 1]),
    ("DevVarFloatArray", "0.1,1", [0.1, 1.0]),
    ("DevVarDoubleArray", "0.1,NaN,-Infinity,1e+21", [0.1, "NaN", "-Infinity", 1e21]),
    ("DevVarDoubleArray", "1.5", [1.5]),
    ("DevVarStringArray", "a,b c", ["a", "b c"]),
    ("DevVarStringArray", "one", ["one"]),
    ("DevVarStringArray", "5", ["5"]),
    ("DevVarStringArray", "true", ["true"]),
    ("DevVarStringArray", "é,l'x", ["é", "l'x"]),
    ("DevVarStringArray", "", []),
    ("DevVarLongStringArray", '{"lvalue":[1,2],"svalue":["a"]}', {"lvalue": [1, 2], "svalue": ["a"]}),
    ("DevVarDoubleStringArray", '[[0.5],["a"]]', {"dvalue": [0.5], "svalue": ["a"]}),
    ("DevEncoded", '{"encoded_format":"X","encoded_data":"AAE="}', {"encoded_format": "X", "encoded_data": "AAE="}),
]


@pytest.mark.parametrize(("kind", "argument", "output"), ARGUMENTS)
def test_an_argument_of_every_type_comes_as_text(tangojs: Tangojs, kind: str, argument: str, output: Any) -> None:
    assert tangojs.run(f"Echo{kind}", argument) == {"name": f"Echo{kind}", "output": output}


def test_a_command_without_argument_gets_an_empty_text_or_none(
    tangojs: Tangojs, fresh_types: str, pytango: PyTango
) -> None:
    assert tangojs.run("State") == {"name": "State", "output": "ON"}
    assert tangojs.run("DevVoid", "whatever", DEMO_DEVICE) == {"name": "DevVoid"}
    tangojs.write("long_scalar=5")
    assert tangojs.fetch("PUT", f"devices/{fresh_types}/commands/Init") == {"name": "Init"}
    assert pytango.read(fresh_types, "long_scalar") == KINDS["long"].values[-1]


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        *(("DevDouble", "abc"), ("DevDouble", ""), ("DevLong", "1.5"), ("DevBoolean", "2"), ("DevState", "LOST")),
        *(("DevVarLongArray", "1,a"), ("DevVarLongStringArray", "[object Object]"), ("DevString", "温度")),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(tangojs: Tangojs, kind: str, argument: str) -> None:
    answer = tangojs.ask("PUT", f"devices/{TYPES_DEVICE}/commands/Echo{kind}", argument)
    assert answer.status == 400
    assert f"Echo{kind}, {kind}: expected " in answer.json()["errors"][0]["description"]


# --- failures ---


@pytest.mark.parametrize(
    ("method", "address"),
    [
        *(("GET", "no/such/device"), ("GET", "no/such/device/state"), ("GET", "no/such/device/attributes")),
        *(("GET", "no/such/device/attributes/value?attr=a&attr=b"), ("GET", "no/such/device/commands")),
        *(("GET", f"{TYPES_DEVICE}/commands/Nope"), ("PUT", f"{TYPES_DEVICE}/commands/Nope")),
    ],
)
def test_a_failure_is_an_object_that_is_no_answer(tangojs: Tangojs, method: str, address: str) -> None:
    """Then tangojs finds no `map`, `info` or `state` in it: an empty list, or a promise that is rejected."""
    found = tangojs.fetch(method, f"devices/{address}", "" if method == "PUT" else None)
    assert set(found) == {"errors", "quality", "timestamp"}
    assert found["quality"] not in QUALITIES


def test_a_page_sees_why_a_url_is_wrong(tangojs: Tangojs) -> None:
    assert tangojs.ask("GET", "nope").status == 404
    assert tangojs.ask("PUT", f"devices/{TYPES_DEVICE}/attributes/value?").status == 400


# --- a gateway that does not list the page's origin ---


def test_page_that_is_not_listed_may_read(unlisted: Tangojs) -> None:
    assert [device["name"] for device in unlisted.fetch("GET", "devices")]
    assert unlisted.read(["double_scalar", "State"])
    assert unlisted.infos(["double_scalar"])
    assert unlisted.preflight("GET", "devices").status == 200


def test_page_that_is_not_listed_may_not_write_and_sees_why(unlisted: Tangojs) -> None:
    assert unlisted.preflight("PUT", f"devices/{TYPES_DEVICE}/commands/Init").status == 200
    for address in (f"devices/{TYPES_DEVICE}/attributes/value?long_scalar=5", f"devices/{TYPES_DEVICE}/commands/Init"):
        answer = unlisted.ask("PUT", address, "")
        assert (answer.status, answer.json()["errors"][0]["reason"]) == (403, "MTANGO_CrossSite")
        assert "MTANGO_CORS_ORIGINS" in answer.json()["errors"][0]["description"]


# --- what browsers ask before ---


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", "devices"),
        ("GET", f"devices/{TYPES_DEVICE}/attributes/value?attr=double_scalar"),
        ("PUT", f"devices/{TYPES_DEVICE}/attributes/value?string_scalar=50%"),
        ("PUT", f"devices/{TYPES_DEVICE}/commands/Init"),
        ("DELETE", f"devices/{TYPES_DEVICE}/properties/tangojs"),
    ],
)
def test_a_preflight_lets_the_request_through(tangojs: Tangojs, method: str, address: str) -> None:
    answer = tangojs.preflight(method, address)
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Headers"].lower() == "authorization"
    assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert answer.headers["Vary"] == "Origin"
