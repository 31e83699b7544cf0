"""Values in other media types than JSON: raw numbers, files of NumPy, CSV and TIFF, in both versions of the API."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from urllib.parse import unquote

import numpy
import pytest
import tango
from webtest import TestApp, TestResponse

from mtango_gevent.api import media_types
from tests.api.rc3.test_values import NUMBERS, TYPES
from tests.api.test_caching import reads_of
from tests.api.test_fast_values import flask_asked, of_version
from tests.conftest import DEMO_DEVICE, TYPES_DEVICE
from tests.pytango_process import PyTango
from tests.waiting import wait_until

OCTETS, NPY, CSV, TIFF = "application/octet-stream", "application/x-npy", "text/csv", "image/tiff"


@pytest.fixture(params=["rc3", "v11"])
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def url(version: str, host_url: str) -> Callable[[str], str]:
    """Return the URL of `device/attributes/attribute`."""
    return lambda path: of_version(version, f"{host_url}/devices/{path}")


@pytest.fixture
def get(client: TestApp, url: Callable[[str], str]) -> Callable[..., TestResponse]:
    """Read an attribute of the device with one of everything."""

    def get(attribute: str, accept: str, status: int = 200) -> TestResponse:
        path = url(f"{TYPES_DEVICE}/attributes/{attribute}/value")
        return client.get(path, headers={"Accept": accept}, status=status)

    return get


@pytest.fixture
def proxy(tango_system: object) -> tango.DeviceProxy:
    return tango.DeviceProxy(TYPES_DEVICE)


def in_numpy(answer: TestResponse) -> numpy.ndarray:
    """The three lines of the documentation."""
    shape = tuple(map(int, answer.headers["X-Shape"].split(",")))
    return numpy.frombuffer(answer.body, answer.headers["X-Dtype"]).reshape(shape)


def cells(answer: TestResponse) -> list[list[str]]:
    assert answer.content_type == CSV
    assert answer.headers["Content-Type"].startswith("text/csv; charset=utf-8; header=")
    return list(csv.reader(io.StringIO(answer.body.decode("utf-8"), newline=""), strict=True))


# --- numbers ---


@pytest.mark.parametrize("data_format", ["scalar", "spectrum", "image"])
@pytest.mark.parametrize("kind", ["boolean", *NUMBERS, "state", "enum"])
def test_numbers_are_those_of_tango(get: Callable, proxy: tango.DeviceProxy, kind: str, data_format: str) -> None:
    reading = proxy.read_attribute(f"{kind}_{data_format}")
    raw, npy = get(f"{kind}_{data_format}", OCTETS), get(f"{kind}_{data_format}", NPY)
    expected = numpy.asarray(reading.value if data_format != "scalar" or kind != "state" else int(reading.value))
    kept = numpy.load(io.BytesIO(npy.body), allow_pickle=False)
    assert kept.shape == expected.shape
    numpy.testing.assert_allclose(kept, expected, rtol=1e-7)
    assert in_numpy(raw).tolist() == numpy.atleast_1d(kept).tolist()
    assert raw.headers["X-Dtype"] == kept.dtype.str
    assert kept.dtype.byteorder != ">"
    if data_format != "scalar":
        assert kept.dtype == expected.dtype
    assert npy.body[:8] == b"\x93NUMPY\x01\x00"


@pytest.mark.parametrize("accept", [OCTETS, NPY, CSV])
def test_quality_and_time_are_headers(get: Callable, accept: str) -> None:
    before, answer = get("quality_alarm", "application/json").json, get("quality_alarm", accept)
    assert answer.headers["X-Quality"] == before["quality"] == "ATTR_ALARM"
    assert int(answer.headers["X-Timestamp"]) >= before["timestamp"]
    assert answer.headers["Last-Modified"]
    assert answer.headers["Vary"] == "Accept, Origin"


def test_seconds_of_rc3_are_those_of_the_header(make_client: Callable[..., TestApp], types_url: str) -> None:
    client, path = make_client(rc3_timestamps="s"), f"{types_url}/attributes/double_scalar/value"
    for accept in (OCTETS, CSV):
        seconds = int(client.get(path, headers={"Accept": accept}).headers["X-Timestamp"])
        assert seconds <= client.get(path).json["timestamp"] < seconds + 60
    in_v11 = client.get(of_version("v11", path), headers={"Accept": OCTETS}).headers["X-Timestamp"]
    assert int(in_v11) // 1000 >= seconds


@pytest.mark.parametrize("accept", [OCTETS, NPY])
@pytest.mark.parametrize("attribute", ["string_scalar", "string_spectrum", "string_image", "Status"])
def test_texts_are_no_numbers(get: Callable, attribute: str, accept: str) -> None:
    refusal = get(attribute, accept, 406).json
    assert refusal["http_status"] == 406
    assert f"got texts of {attribute}" in refusal["errors"][0]["description"]
    assert get(attribute, f"{accept}, application/json;q=0.1").content_type == "application/json"
    assert get(attribute, f"{accept}, text/csv;q=0.2, */*;q=0.1").content_type == CSV


def test_encoded_value_is_its_bytes(get: Callable, proxy: tango.DeviceProxy) -> None:
    answer = get("encoded_scalar", OCTETS)
    encoding, data = proxy.read_attribute("encoded_scalar", extract_as=tango.ExtractAs.Bytes).value
    assert (answer.headers["X-Encoded-Format"], answer.body) == (encoding, bytes(data))
    assert in_numpy(answer).tolist() == list(data)
    assert numpy.load(io.BytesIO(get("encoded_scalar", NPY).body)).tolist() == list(data)


@pytest.mark.parametrize("text", ["a\r\nSet-Cookie: b=c", "100 %, a b", "x" * 5000, ""])
def test_format_of_a_device_cannot_break_a_header(client: TestApp, types_url: str, fresh_types: str, text: str) -> None:
    path = f"{types_url}/attributes/encoded_scalar/value"
    client.put_json(path, {"encoded_format": text, "encoded_data": "AAECAw=="}, status=200)
    answer = client.get(path, headers={"Accept": OCTETS})
    assert "Set-Cookie" not in answer.headers
    assert unquote(answer.headers["X-Encoded-Format"]) == text[:100]
    assert answer.headers["X-Encoded-Format"].isascii()


@pytest.mark.parametrize("attribute", ["empty_spectrum", "quality_invalid"])
def test_nothing_is_an_empty_array(get: Callable, attribute: str) -> None:
    raw = get(attribute, OCTETS)
    assert (raw.body, raw.headers["X-Dtype"], raw.headers["X-Shape"]) == (b"", "<f8", "0")
    assert raw.headers["X-Quality"] == ("ATTR_INVALID" if "invalid" in attribute else "ATTR_VALID")
    assert numpy.load(io.BytesIO(get(attribute, NPY).body)).shape == (0,)
    assert get(attribute, CSV).body == b""


# --- CSV ---


@pytest.mark.parametrize("data_format", ["scalar", "spectrum", "image"])
@pytest.mark.parametrize("kind", TYPES)
def test_cells_are_those_of_json(get: Callable, types_url: str, client: TestApp, kind: str, data_format: str) -> None:
    value = client.get(f"{types_url}/attributes/{kind}_{data_format}/value").json["value"]
    rows = {"scalar": lambda: [[value]], "spectrum": lambda: [[each] for each in value], "image": lambda: value}
    shown = [[each if isinstance(each, str) else str(each).lower() for each in row] for row in rows[data_format]()]
    found = cells(get(f"{kind}_{data_format}", CSV))
    if kind in ("float", "double"):
        assert [[float(each) for each in row] for row in found] == [[float(each) for each in row] for row in shown]
    else:
        assert found == shown


def test_numbers_that_are_not_finite_are_words_without_quotes(get: Callable) -> None:
    assert get("nonfinite_spectrum", CSV).body == b"NaN\r\nInfinity\r\n-Infinity\r\n1.5\r\n"
    assert get("nonfinite_image", CSV).body == b"NaN,Infinity\r\n-Infinity,1.5\r\n"
    assert get("infinity_scalar", CSV).body == b"Infinity\r\n"
    assert numpy.loadtxt(io.BytesIO(get("nonfinite_image", CSV).body), delimiter=",").shape == (2, 2)


def test_encoded_value_has_format_and_base64(get: Callable, types_url: str, client: TestApp) -> None:
    value = client.get(f"{types_url}/attributes/encoded_scalar/value").json["value"]
    assert cells(get("encoded_scalar", CSV)) == [[value["encoded_format"]], [value["encoded_data"]]]


def test_base64_that_begins_like_a_formula_stays_base64(
    get: Callable, types_url: str, client: TestApp, fresh_types: str
) -> None:
    sent = {"encoded_format": "=raw", "encoded_data": "+AAA"}
    client.put_json(f"{types_url}/attributes/encoded_scalar/value", sent, status=200)
    assert get("encoded_scalar", CSV).body == b'"\'=raw"\r\n"+AAA"\r\n'


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\t=1", "\r=1", "\n=1", '=HYPERLINK("http://a.b";"c")']
HARMLESS = ["a=1", 'say "hi"', "a,b;c\r\nd", "", "été", "'=1", "1-1", "<script>alert(1)</script>"]


def test_text_that_looks_like_a_formula_has_an_apostrophe(get: Callable, pytango: PyTango, fresh_types: str) -> None:
    texts = [*FORMULAS, *HARMLESS]
    pytango.write(TYPES_DEVICE, "string_spectrum", texts)
    expected = [*(f"'{text}" for text in FORMULAS), *HARMLESS]
    assert cells(get("string_spectrum", CSV)) == [[text] for text in expected]
    pytango.write(TYPES_DEVICE, "string_scalar", FORMULAS[0])
    assert cells(get("string_scalar", CSV)) == [["'=1+1"]]
    pytango.write(TYPES_DEVICE, "double_spectrum", [-1.0, 2.5])
    assert get("double_spectrum", CSV).body == b"-1.0\r\n2.5\r\n"


def test_long_spectrum_has_all_cells(get: Callable, pytango: PyTango, fresh_types: str) -> None:
    numbers = [number / 7 for number in range(4096)]
    pytango.write(TYPES_DEVICE, "double_spectrum", numbers)
    assert [float(cell) for (cell,) in cells(get("double_spectrum", CSV))] == numbers
    assert in_numpy(get("double_spectrum", OCTETS)).tolist() == numbers


@pytest.mark.slow
def test_large_image_is_whole_in_every_media_type(get: Callable, pytango: PyTango, fresh_types: str) -> None:
    image = numpy.arange(600 * 600, dtype="f8").reshape(600, 600) / 7
    pytango.write(TYPES_DEVICE, "double_image", image)
    raw = get("double_image", OCTETS)
    assert numpy.array_equal(in_numpy(raw), image)
    assert numpy.array_equal(numpy.load(io.BytesIO(get("double_image", NPY).body)), image)
    assert numpy.array_equal(numpy.loadtxt(io.BytesIO(get("double_image", CSV).body), delimiter=","), image)


@pytest.fixture
def polled(pytango: PyTango, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    device, attribute = request.param
    pytango.poll(device, attribute, 50)
    yield device, attribute
    pytango.poll(device, attribute, 0)


SCALAR, SPECTRUM, IMAGE = ((TYPES_DEVICE, f"double_{form}") for form in ("scalar", "spectrum", "image"))


@pytest.mark.parametrize("polled", [SCALAR, SPECTRUM, IMAGE], indirect=True, ids=["scalar", "spectrum", "image"])
def test_history_has_time_values_and_quality(
    client: TestApp, url: Callable[[str], str], polled: tuple[str, str], version: str
) -> None:
    path = url(f"{polled[0]}/attributes/{polled[1]}/history")
    wait_until(lambda: len(client.get(path, expect_errors=True).json) > 2)
    answer = client.get(path, headers={"Accept": CSV})
    (time, *names, quality, failure), *rows = cells(answer)
    assert (time, quality, failure) == ("time", "quality", "failure")
    many = {"double_scalar": 1, "double_spectrum": 5, "double_image": 10}[polled[1]]
    assert names == (["value"] if many == 1 else [f"value[{index}]" for index in range(many)])
    assert all(float(value) == 0.1 for row in rows for value in row[many : many + 1])
    assert {len(row) for row in rows} == {many + 3}
    assert {tuple(row[-2:]) for row in rows} == {("ATTR_VALID", "")}
    assert all(row[0].startswith("20") and row[0].endswith("Z") and len(row[0]) == 24 for row in rows)
    assert answer.headers["Vary"] == "Accept, Origin"
    assert client.get(path).headers["Vary"] == "Accept, Origin"
    part = client.get(f"{path}?range=0-2", headers={"Accept": CSV}, status=206)
    assert len(cells(part)) == 3
    assert part.headers["Content-Range"].startswith("0-2/" if version == "rc3" else "items 0-2/")


@pytest.mark.parametrize("polled", [(TYPES_DEVICE, "State")], indirect=True)
def test_history_of_a_state_has_names_where_json_has_them(
    client: TestApp, url: Callable[[str], str], polled: tuple[str, str]
) -> None:
    path = url(f"{polled[0]}/attributes/{polled[1]}/history")
    wait_until(lambda: len(client.get(path, expect_errors=True).json) > 2)
    expected = {(each.get("value") or "", each["quality"]) for each in client.get(path).json}
    assert {(row[1], row[2]) for row in cells(client.get(path, headers={"Accept": CSV}))[1:]} <= expected


@pytest.mark.parametrize("polled", [(DEMO_DEVICE, "throw_exception")], indirect=True)
def test_failure_in_a_history_has_a_column(client: TestApp, url: Callable[[str], str], polled: tuple[str, str]) -> None:
    path = url(f"{polled[0]}/attributes/{polled[1]}/history")
    wait_until(lambda: len(client.get(path, expect_errors=True).json) > 2)
    answer = client.get(path, headers={"Accept": CSV})
    head, *rows = cells(answer)
    assert head == ["time", "value", "quality", "failure"]
    assert {tuple(row[1:3]) for row in rows} == {("", "FAILURE")}
    assert all("exception" in row[3] for row in rows)
    assert "ETag" not in answer.headers


def test_history_of_no_polled_attribute_is_a_failure_in_json(
    client: TestApp, url: Callable[[str], str], version: str
) -> None:
    path = url(f"{TYPES_DEVICE}/attributes/empty_string/history")
    answer = client.get(path, headers={"Accept": CSV}, status=200 if version == "rc3" else 400)
    assert answer.json["errors"][0]["reason"] == "API_AttrNotPolled"


# --- TIFF ---


@pytest.mark.parametrize("kind", ["boolean", "uchar", "ushort", "short", "long", "float"])
def test_tiff_has_the_same_numbers(get: Callable, proxy: tango.DeviceProxy, kind: str) -> None:
    image = pytest.importorskip("PIL.Image")
    answer = get(f"{kind}_image", TIFF)
    assert answer.content_type == TIFF
    expected = proxy.read_attribute(f"{kind}_image").value
    assert numpy.array_equal(numpy.asarray(image.open(io.BytesIO(answer.body))), expected)


@pytest.mark.parametrize("kind", ["double", "ulong", "long64", "ulong64", "string"])
def test_other_images_have_no_tiff(get: Callable, version: str, kind: str) -> None:
    pytest.importorskip("PIL.Image")
    refusal = get(f"{kind}_image", TIFF, 400 if version == "v11" else 406).json
    assert "expected" in refusal["errors"][0]["description"]
    assert get(f"{kind}_image", f"{TIFF}, application/x-npy;q=0.5, text/csv;q=0.1").content_type == (
        CSV if kind == "string" else NPY
    )


# --- Accept ---


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        *(("", "json"), ("*/*", "json"), ("application/*", "json"), ("text/html", "json"), ("nonsense", "json")),
        *(("application/octet-stream;q=0", "json"), ("application/octet-stream, application/json", "json")),
        *(("application/json;q=0.5, application/octet-stream;q=0.6", OCTETS), (f"{OCTETS};q=0.1", OCTETS)),
        *(("application/octet-stream, */*", OCTETS), ("application/x-npy, application/octet-stream;q=0.9", NPY)),
        *(("TEXT/CSV", CSV), ("text/csv; charset=utf-8", CSV), ("text/csv;header=absent;q=0.8, */*;q=0.1", CSV)),
        *(("application/json; charset=utf-8, text/csv;q=0.5", "json"), ("image/png, text/csv;q=0.5", CSV)),
        *(("image/png, text/csv;q=0.5, application/json;q=0.6", "json"), ("image/*, */*;q=0.1", "json")),
    ],
)
def test_media_type_is_the_one_that_accept_prefers(get: Callable, accept: str, expected: str) -> None:
    answer = get("double_spectrum", accept)
    assert answer.content_type == ("application/json" if expected == "json" else expected)


def test_header_with_a_thousand_entries_is_read(get: Callable) -> None:
    many = ", ".join(f"a/b{number};q=0.9" for number in range(1000))
    assert get("double_spectrum", f"{many}, text/csv;q=0.5, {many}").content_type == CSV


def test_any_text_is_plain_text_in_v11_and_csv_in_rc3(get: Callable, version: str) -> None:
    assert get("double_scalar", "text/*").content_type == (CSV if version == "rc3" else "text/plain")


@pytest.mark.parametrize("accept", [*media_types.FORMS, "text/plain"])
def test_failed_reading_is_json_with_its_status(
    make_client: Callable[..., TestApp], url: Callable[[str], str], accept: str
) -> None:
    client = make_client(rc3_errors="http")
    for attribute, status in (("nope", 404), ("throw_exception", 400)):
        answer = client.get(
            url(f"{DEMO_DEVICE}/attributes/{attribute}/value"), headers={"Accept": accept}, status=status
        )
        assert answer.json["quality"] == "FAILURE"
        assert "ETag" not in answer.headers


@pytest.mark.parametrize("accept", [OCTETS, CSV])
def test_head_and_options_and_other_origins(client: TestApp, url: Callable[[str], str], accept: str) -> None:
    path = url(f"{TYPES_DEVICE}/attributes/double_image/value")
    headers = {"Accept": accept, "Origin": "http://a.page"}
    answer, head = client.get(path, headers=headers), client.head(path, headers=headers)
    assert head.body == b""
    assert head.headers["Content-Length"] == str(len(answer.body))
    assert {name for name in head.headers if name.startswith("X-")} == {
        name for name in answer.headers if name.startswith("X-")
    }
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"X-Dtype", "X-Shape", "X-Quality", "X-Timestamp", "X-Encoded-Format"} <= set(exposed)
    assert "GET" in client.options(path).headers["Allow"]


def test_each_media_type_has_a_tag_of_its_own(make_client: Callable[..., TestApp], url: Callable[[str], str]) -> None:
    client, path = make_client(value_max_age=60.0), url(f"{TYPES_DEVICE}/attributes/ushort_image/value")
    tags = {}
    for accept in ("application/json", *media_types.FORMS):
        tags[accept] = client.get(path, headers={"Accept": accept}).headers["ETag"]
        client.get(path, headers={"Accept": accept, "If-None-Match": tags[accept]}, status=304)
    assert len(set(tags.values())) == len(tags)


def test_equal_bytes_of_other_values_have_other_tags(
    make_client: Callable[..., TestApp], url: Callable[[str], str]
) -> None:
    """Nothing but headers tells an empty spectrum from a value that is not valid."""
    client = make_client(value_max_age=60.0)
    answers = [
        client.get(url(f"{TYPES_DEVICE}/attributes/{name}/value"), headers={"Accept": OCTETS})
        for name in ("empty_spectrum", "quality_invalid")
    ]
    assert answers[0].body == answers[1].body
    assert answers[0].headers["ETag"] != answers[1].headers["ETag"]


def test_date_of_v11_makes_a_304(client: TestApp, host_url: str) -> None:
    path = of_version("v11", f"{host_url}/devices/{TYPES_DEVICE}/attributes/double_image/value")
    later = "Sat, 01 Jan 2050 00:00:00 GMT"
    for accept in (OCTETS, CSV):
        client.get(path, headers={"Accept": accept, "If-Modified-Since": later}, status=304)


# --- the fast way ---


@pytest.mark.parametrize("accept", [OCTETS, NPY])
def test_raw_numbers_are_fast_and_equal_flasks(client: TestApp, url: Callable[[str], str], accept: str) -> None:
    path, headers = url(f"{TYPES_DEVICE}/attributes/double_image/value"), {"Accept": accept}
    with flask_asked(client) as asked:
        fast = client.get(path, headers=headers)
    assert not asked
    with flask_asked(client) as asked:
        slow = client.get(f"{path}/", headers=headers)  # the slash makes it a request that is not plain
    assert asked
    own = ("X-Request-ID", "Server-Timing", "X-Timestamp", "Last-Modified", "Expires", "ETag")
    assert fast.body == slow.body
    assert {name: value for name, value in fast.headers.items() if name not in own} == {
        name: value for name, value in slow.headers.items() if name not in own
    }


@pytest.mark.parametrize("accept", [OCTETS, f"{NPY}, application/json;q=0.5", f"{OCTETS}, {CSV};q=0.5"])
def test_text_in_another_media_type_is_read_once(
    make_client: Callable[..., TestApp], url: Callable[[str], str], accept: str
) -> None:
    client, path = make_client(), url(f"{TYPES_DEVICE}/attributes/Status/value")
    fast = client.get(path, headers={"Accept": accept}, expect_errors=True)
    assert reads_of(client) == 1
    slow = client.get(f"{path}/", headers={"Accept": accept}, expect_errors=True)
    assert (fast.status_int, fast.content_type) == (slow.status_int, slow.content_type)
    assert fast.status_int == (406 if accept == OCTETS else 200)


def test_text_is_kept_for_no_request_that_prefers_another_media_type(
    make_client: Callable[..., TestApp], url: Callable[[str], str]
) -> None:
    client, path = make_client(value_max_age=60.0), url(f"{TYPES_DEVICE}/attributes/Status/value")
    accepted = (f"{OCTETS}, application/json;q=0.5", f"{OCTETS}, {CSV};q=0.5")
    found = [client.get(path, headers={"Accept": accept}).content_type for accept in accepted * 2]
    assert found == ["application/json", CSV] * 2
    client.get(path, headers={"Accept": OCTETS}, status=406)
    assert reads_of(client) == 1


@pytest.mark.parametrize("accept", [OCTETS, CSV, TIFF, "image/png"])
def test_several_values_are_json(client: TestApp, url: Callable[[str], str], accept: str) -> None:
    path = url(f"{TYPES_DEVICE}/attributes/value?attr=double_scalar&attr=State")
    assert len(client.get(path, headers={"Accept": accept}).json) == 2


def test_one_reading_is_rendered_in_each_media_type(
    make_client: Callable[..., TestApp], url: Callable[[str], str]
) -> None:
    client, path = make_client(value_max_age=60.0), url(f"{TYPES_DEVICE}/attributes/double_scalar/value")
    for _ in range(2):
        assert client.get(path).json["value"] == 0.1
        assert in_numpy(client.get(path, headers={"Accept": OCTETS})).tolist() == [0.1]
        assert client.get(path, headers={"Accept": CSV}).body == b"0.1\r\n"


def test_events_of_rc3_have_the_media_types_of_values(client: TestApp, types_url: str) -> None:
    path = f"{types_url}/attributes/double_spectrum/change?state=INITIAL"
    answer = client.get(path, headers={"Accept": OCTETS})
    assert (answer.content_type, in_numpy(answer).shape) == (OCTETS, (5,))
    assert answer.headers["X-Event-Cursor"]
