"""Pages of other origins: what they may do, what they may read, and which requests count as theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from webtest import TestApp

from mtango_gevent.config import Config, ConfigError

PANEL, EVIL, OWN = "http://panel.example", "https://evil.example", "http://localhost"
AUTHENTICATED = {"auth": ("trusted-header",), "auth_header_from": ("127.0.0.1",)}
FROM_ELSEWHERE = [
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "https://localhost"},
    {"Origin": "http://localhost:8080"},
    {"Origin": OWN, "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "same-origin", "Origin": EVIL},
]
FORMS = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain;charset=UTF-8"]
SCRIPTS = [
    {},
    {"Origin": OWN},
    {"Origin": OWN, "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Referer": f"{OWN}/panel"},
]


@pytest.fixture
def writes(demo_url: str) -> list[tuple[str, str, str]]:
    """A request for each way to change something: method, URL, body."""
    return [
        ("PUT", f"{demo_url}/attributes/double_scalar/value?v=1", ""),
        ("PUT", f"{demo_url}/attributes/value?double_scalar=1", ""),
        ("DELETE", f"{demo_url}/attributes/double_scalar/properties/unit", ""),
        ("PUT", f"{demo_url}/attributes/double_scalar/info", '{"label": "double_scalar"}'),
        ("PUT", f"{demo_url}/commands/DevVoid", ""),
        ("PUT", f"{demo_url}/properties?cross_site=1", ""),
        ("POST", f"{demo_url}/properties?cross_site=1", ""),
        ("DELETE", f"{demo_url}/properties/cross_site", ""),
        ("GET", "/tango/rest/sys/clean/devices", ""),
    ]


def ask(client: TestApp, method: str, url: str, body: str = "", **headers: str) -> Any:
    return client.request(
        url,
        method=method,
        body=body.encode(),
        headers={"Content-Type": "text/plain", **{name.replace("_", "-"): value for name, value in headers.items()}},
        expect_errors=True,
    )


def reason(answer: Any) -> str:
    return answer.json["errors"][0]["reason"] if answer.status_int >= 400 else ""


def allowed(answer: Any) -> str | None:
    return answer.headers.get("Access-Control-Allow-Origin")


# --- without a list, without authentication ---


def test_every_page_may_read_with_credentials(client: TestApp, demo_url: str) -> None:
    for url in (f"{demo_url}/state", f"{demo_url}/attributes/ampli/value", f"{demo_url}/attributes/nope/value"):
        for origin in (PANEL, "null"):
            answer = ask(client, "GET", url, Origin=origin, Authorization="Basic dW5kZWZpbmVkOnVuZGVmaW5lZA==")
            assert (answer.status_int, allowed(answer)) == (200, origin)
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"
            assert "Origin" in answer.headers["Vary"]
    answer = ask(client, "GET", "/nope", Origin=PANEL)
    assert (answer.status_int, allowed(answer)) == (404, PANEL)


@pytest.mark.parametrize("headers", FROM_ELSEWHERE, ids=str)
def test_no_page_of_another_origin_may_change_anything(
    client: TestApp, writes: list[tuple[str, str, str]], headers: dict[str, str]
) -> None:
    for method, url, body in writes:
        answer = ask(client, method, url, body, **headers)
        assert (answer.status_int, reason(answer)) == (403, "MTANGO_CrossSite"), (method, url)
        assert "MTANGO_CORS_ORIGINS" in answer.json["errors"][0]["description"]
        assert headers.get("Origin", "") in answer.json["errors"][0]["description"]
        assert allowed(answer) == (headers.get("Origin") or None)


@pytest.mark.parametrize("content_type", [*FORMS, ""])
def test_a_form_of_another_page_changes_nothing_in_a_browser_without_the_other_headers(
    client: TestApp, demo_url: str, content_type: str
) -> None:
    headers = {"Referer": f"{EVIL}/page", "Content-Type": content_type}
    answer = ask(client, "POST", f"{demo_url}/properties", "cross_site=1", **headers)
    assert (answer.status_int, reason(answer)) == (403, "MTANGO_CrossSite")


def test_an_image_of_another_page_cleans_nothing_in_a_browser_without_the_other_headers(client: TestApp) -> None:
    answer = client.get("/tango/rest/sys/clean/devices", headers={"Referer": f"{EVIL}/page"}, status=403)
    assert reason(answer) == "MTANGO_CrossSite"


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "application/json"])
@pytest.mark.parametrize("headers", SCRIPTS, ids=str)
def test_scripts_and_pages_of_the_gateway_are_not_affected(
    client: TestApp, demo_url: str, headers: dict[str, str], content_type: str
) -> None:
    url = f"{demo_url}/attributes/double_scalar/value?v=1"
    answer = ask(client, "PUT", url, "", **headers, **{"Content-Type": content_type})
    assert answer.json["value"] == 1.0
    assert ask(client, "GET", "/tango/rest/sys/clean/devices", **headers).status_int == 204


def test_a_preflight_allows_what_browsers_send(client: TestApp, demo_url: str) -> None:
    preflight = client.options(
        f"{demo_url}/state",
        headers={
            "Origin": PANEL,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )
    assert preflight.status_int == 200
    assert preflight.headers["Access-Control-Allow-Headers"] == "authorization, content-type"
    assert {"GET", "PUT", "POST", "DELETE"} <= set(preflight.headers["Access-Control-Allow-Methods"].split(", "))


@pytest.mark.parametrize("settings", [{}, {"cors_origins": (PANEL,)}, AUTHENTICATED], ids=str)
def test_a_preflight_succeeds_so_that_a_page_can_read_the_refusal(
    make_client: Callable[..., TestApp], settings: dict[str, Any]
) -> None:
    client = make_client(tango_hosts=("elsewhere:10000",), **settings)
    headers = {"Origin": EVIL, "Access-Control-Request-Method": "PUT"}
    for url in ("/tango/rest/rc3/hosts/nowhere/1/devices", "/tango/rest/nope", "/tango/rest"):
        preflight = client.options(url, headers=headers, status=200)
        assert (allowed(preflight), preflight.body) == (EVIL, b"")
    client.options("/tango/rest/nope", status=404)


# --- with a list ---


@pytest.fixture
def listing(make_client: Callable[..., TestApp]) -> TestApp:
    return make_client(cors_origins=(PANEL,), value_max_age=3600.0)


def test_a_listed_page_may_do_everything(listing: TestApp, writes: list[tuple[str, str, str]], demo_url: str) -> None:
    for method, url, body in [*writes, ("GET", f"{demo_url}/attributes/ampli/value", "")]:
        for site in ("cross-site", "same-site"):
            answer = ask(listing, method, url, body, Origin=PANEL, **{"Sec-Fetch-Site": site})
            assert answer.status_int in (200, 204), (method, url)
            assert (allowed(answer), answer.headers["Access-Control-Allow-Credentials"]) == (PANEL, "true")


def test_an_image_in_a_listed_page_is_known_by_its_referer(listing: TestApp, demo_url: str) -> None:
    for page, status in ((PANEL, 200), (EVIL, 403), (f"{PANEL}.evil.example", 403), (f"{PANEL}@evil.example", 403)):
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Referer": f"{page}/index.html"}
        listing.get(f"{demo_url}/attributes/ampli/value", headers=headers, status=status)


@pytest.mark.parametrize("headers", FROM_ELSEWHERE, ids=str)
@pytest.mark.parametrize("settings", [{"cors_origins": (PANEL,)}, AUTHENTICATED], ids=str)
def test_a_page_that_is_not_listed_reads_nothing_but_the_refusal(
    make_client: Callable[..., TestApp], demo_url: str, settings: dict[str, Any], headers: dict[str, str]
) -> None:
    client = make_client(value_max_age=3600.0, **settings)
    several = f"{demo_url}/attributes/value?attr=ampli&attr=State"
    whoami = "/tango/rest/sys/whoami"
    for url in (
        "/",
        "/nope",
        "/tango/rest",
        "/tango/rest/sys/config",
        whoami,
        f"{demo_url}/attributes/ampli/value",
        several,
    ):
        answer = client.get(url, headers=headers, status=403)
        assert reason(answer) == "MTANGO_CrossSite"
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("url", ["/healthz", "/readyz"])
def test_a_free_url_is_not_readable_by_a_page_that_is_not_listed(listing: TestApp, url: str) -> None:
    assert allowed(listing.get(url, headers={"Origin": PANEL}, status=200)) == PANEL
    assert allowed(listing.get(url, headers={"Origin": EVIL}, status=200)) is None


def test_a_link_to_the_gateway_can_be_followed(listing: TestApp, demo_url: str) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert allowed(listing.get(f"{demo_url}/state", headers=link, status=200)) == PANEL  # the only listed one, always
    listing.get("/tango/rest/sys/clean/devices", headers=link, status=403)
    listing.get(f"{demo_url}/state", headers={**link, "Sec-Fetch-Dest": "iframe"}, status=403)
    ask(listing, "POST", f"{demo_url}/properties", "a=1", **link).mustcontain("MTANGO_CrossSite")


def test_a_listed_page_reads_why_it_lacks_credentials(make_client: Callable[..., TestApp], demo_url: str) -> None:
    client = make_client(cors_origins=(PANEL,), **AUTHENTICATED)
    for method in ("GET", "PUT"):
        answer = ask(client, method, f"{demo_url}/attributes/double_scalar/value?v=1", Origin=PANEL)
        assert (answer.status_int, reason(answer), allowed(answer)) == (401, "MTANGO_Unauthorized", PANEL)
        answer = ask(client, method, f"{demo_url}/attributes/double_scalar/value?v=1", Origin=EVIL)
        assert (answer.status_int, reason(answer), allowed(answer)) == (403, "MTANGO_CrossSite", EVIL)


def test_a_harmless_command_counts_as_a_read(client: TestApp, demo_url: str) -> None:
    assert ask(client, "PUT", f"{demo_url}/commands/State", Origin=EVIL).status_int == 200


# --- the gateway's own origin ---


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("gw:80", "http://gw"),
        ("gw", "http://gw"),
        ("GW.example", "http://gw.example"),
        ("gw:8000", "http://gw:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_the_origin_of_the_gateway_is_that_of_its_host(
    make_client: Callable[..., TestApp], host: str, origin: str
) -> None:
    client = make_client(cors_origins=(PANEL,))
    client.get("/tango/rest", headers={"Host": host, "Origin": origin}, status=200)
    client.get("/tango/rest", headers={"Host": host, "Origin": origin + "0"}, status=403)


def test_only_a_trusted_proxy_says_what_the_origin_of_the_gateway_is(make_client: Callable[..., TestApp]) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "gw.example", "Origin": "https://gw.example"}
    for proxies, status in ((1, 200), (0, 403)):
        make_client(cors_origins=(PANEL,), trusted_proxies=proxies).get("/tango/rest", headers=headers, status=status)


# --- the setting ---


def test_all_origins_are_allowed_for_reads_only(make_client: Callable[..., TestApp], demo_url: str) -> None:
    with pytest.raises(ConfigError, match=r"MTANGO_CORS_ORIGINS.*MTANGO_READ_ONLY"):
        Config(cors_origins=("*",))
    client = make_client(cors_origins=("*",), read_only=True)
    assert allowed(client.get(f"{demo_url}/state", headers={"Origin": EVIL}, status=200)) == EVIL
    answer = ask(client, "PUT", f"{demo_url}/attributes/double_scalar/value?v=1", Origin=EVIL)
    assert (answer.status_int, allowed(answer)) == (403, EVIL)
