"""Pages of other origins: what they may do, what they may read, and which requests count as theirs."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
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


def as_alice(client: TestApp) -> TestApp:
    """Return the client of a gateway with AUTHENTICATED, with the credentials of a user."""
    client.extra_environ.update(REMOTE_ADDR="127.0.0.1", HTTP_X_REMOTE_USER="alice")
    return client


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


@pytest.mark.parametrize(
    ("origin", "allowed_headers"), [(EVIL, "authorization"), ("null", "authorization"), (PANEL, None)]
)
def test_a_preflight_of_an_unlisted_page_allows_no_header_of_a_proxy_or_a_key(
    make_client: Callable[..., TestApp], origin: str, allowed_headers: str | None
) -> None:
    client = make_client(cors_origins=(PANEL,), auth_header="X-User", auth_header_groups="X-User-Groups")
    names = [
        *("authorization", "forwarded", "x-api-key", "X-Forwarded-For", "x-forwarded-host", "x-forwarded-prefix"),
        *("X-Real-IP", "x_forwarded_host", "x-user", "x-user-groups"),
    ]
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": ",".join(names)}
    preflight = client.options("/tango/rest", headers={"Origin": origin, **asked}, status=200)
    assert preflight.headers["Access-Control-Allow-Headers"] == (allowed_headers or ", ".join(sorted(names)))


def test_a_preflight_that_asks_for_such_headers_only_allows_none(client: TestApp) -> None:
    headers = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-forwarded-host"}
    preflight = client.options("/tango/rest", headers={"Origin": EVIL, **headers}, status=200)
    assert "Access-Control-Allow-Headers" not in preflight.headers


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
        "/swagger/rc3.yml",
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


# --- a browser that sends no header about the page ---

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


def test_an_image_without_a_referrer_cleans_nothing(client: TestApp, demo_url: str) -> None:
    clean = "/tango/rest/sys/clean/devices"
    assert reason(client.get(clean, headers=BROWSER, status=403)) == "MTANGO_CrossSite"
    client.get(clean, headers={"User-Agent": "curl/8.14.1"}, status=204)
    for site in ("same-origin", "none"):
        client.get(clean, headers={**BROWSER, "Sec-Fetch-Site": site}, status=204)
    client.get(clean, headers={**BROWSER, "Referer": f"{OWN}/"}, status=204)
    for url in ("/metrics", f"{demo_url}/state", f"{demo_url}/attributes/ampli/value"):
        client.get(url, headers=BROWSER, status=200)


def test_a_put_of_a_script_with_the_name_of_a_browser_is_not_affected(client: TestApp, demo_url: str) -> None:
    headers = {**BROWSER, "Host": "gw.example:8000"}  # as PowerShell sends it
    assert ask(client, "PUT", f"{demo_url}/attributes/double_scalar/value?v=1", **headers).status_int == 200


# --- a name of another site that points at the gateway ---

REBOUND = {"Host": "evil.example:8000", "Origin": "http://evil.example:8000", "Sec-Fetch-Site": "same-origin"}


def test_a_page_of_a_rebound_name_may_change_nothing(client: TestApp, writes: list[tuple[str, str, str]]) -> None:
    for method, url, body in writes:
        answer = ask(client, method, url, body, **REBOUND)
        assert (answer.status_int, reason(answer)) == (403, "MTANGO_CrossSite"), (method, url)
        description = answer.json["errors"][0]["description"]
        assert "evil.example" in description
        assert "MTANGO_CORS_ORIGINS" in description


@pytest.mark.parametrize("name", ["Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"])
def test_each_header_of_a_browser_shows_a_page_of_a_rebound_name(client: TestApp, demo_url: str, name: str) -> None:
    host = "evil.example:8000"
    value = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}.get(name)
    headers = {"Host": host, name: value or f"http://{host}"}
    answer = ask(client, "PUT", f"{demo_url}/attributes/double_scalar/value?v=1", **headers)
    assert reason(answer) == "MTANGO_CrossSite"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:8000", "192.0.2.7", "[::1]:8000", "localhost:8000", "LOCALHOST.", "gw.localhost:8000"),
        *(socket.gethostname(), socket.gethostname().partition(".")[0], "bound.example", "public.example:444"),
    ],
)
def test_an_address_or_a_name_of_the_gateway_is_not_a_rebound_name(
    make_client: Callable[..., TestApp], demo_url: str, host: str
) -> None:
    client = make_client(host="bound.example", cors_origins=("https://public.example",))
    headers = {"Host": host, "Origin": f"http://{host.lower()}"}
    assert ask(client, "PUT", f"{demo_url}/attributes/double_scalar/value?v=1", **headers).status_int == 200


@pytest.mark.parametrize(
    "host", ["127.0.0.1.evil.example", "localhost.evil.example", "evillocalhost", "[evil.example]", "x.bound.example"]
)
def test_a_name_that_resembles_one_of_the_gateway_is_refused(
    make_client: Callable[..., TestApp], demo_url: str, host: str
) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    answer = ask(make_client(host="bound.example"), "PUT", f"{demo_url}/attributes/double_scalar/value?v=1", **headers)
    assert reason(answer) == "MTANGO_CrossSite"


def test_a_script_may_use_any_name_of_the_gateway(client: TestApp, writes: list[tuple[str, str, str]]) -> None:
    for method, url, body in writes:
        assert ask(client, method, url, body, Host="gw.example:8000").status_int in (200, 204)


def test_reads_by_a_rebound_name_are_refused_where_not_every_page_may_read(
    make_client: Callable[..., TestApp], client: TestApp, demo_url: str, rules: str
) -> None:
    navigation = {"Host": "evil.example", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for settings in ({"cors_origins": (PANEL,)}, {"rules": rules}):
        restricted = make_client(value_max_age=3600.0, **settings)
        for url in (
            f"{demo_url}/state",
            f"{demo_url}/attributes/ampli/value",
            "/swagger/rc3.yml",
            "/tango/rest/sys/whoami",
        ):
            for headers in (REBOUND, navigation, {**BROWSER, "Host": "evil.example"}):
                assert reason(restricted.get(url, headers=headers, status=403)) == "MTANGO_CrossSite"
            restricted.get(url, headers={"Host": "evil.example"}, status=200)
    assert ask(client, "GET", f"{demo_url}/state", **REBOUND).status_int == 200


def test_users_may_write_by_any_name(make_client: Callable[..., TestApp], demo_url: str, rules: str) -> None:
    for settings in (AUTHENTICATED, {**AUTHENTICATED, "rules": rules}):
        client = as_alice(make_client(**settings))
        assert ask(client, "PUT", f"{demo_url}/attributes/double_scalar/value?v=1", **REBOUND).status_int == 200


def test_a_page_of_any_name_learns_that_credentials_are_missing_or_wrong(
    make_client: Callable[..., TestApp], demo_url: str, rules: str
) -> None:
    url = f"{demo_url}/attributes/double_scalar/value?v=1"
    forged = {**REBOUND, "X-Remote-User": "mallory"}
    elsewhere = {"auth": ("trusted-header",), "auth_header_from": ("192.0.2.1",)}
    assert ask(make_client(**AUTHENTICATED), "PUT", url, **REBOUND).status_int == 401
    assert ask(make_client(**elsewhere), "PUT", url, **forged).status_int == 401
    assert ask(make_client(**elsewhere, rules=rules), "PUT", url, **forged).status_int == 401
    assert ask(make_client(**elsewhere, rules=rules), "PUT", url, **REBOUND).status_int == 403


# --- with access rules ---


@pytest.fixture
def rules(tmp_path: Path) -> str:
    """A file of rules that allow everything, as rules by network do for some clients."""
    file = tmp_path / "rules.toml"
    file.write_text('[[rule]]\nanyone = true\nmay = ["read", "write"]\n')
    return str(file)


def test_rules_without_authentication_close_reads_to_other_pages(
    make_client: Callable[..., TestApp], demo_url: str, rules: str
) -> None:
    for url in (f"{demo_url}/state", f"{demo_url}/attributes/ampli/value"):
        answer = ask(make_client(rules=rules), "GET", url, Origin=EVIL)
        assert (answer.status_int, reason(answer)) == (403, "MTANGO_CrossSite")
        assert ask(make_client(rules=rules, cors_origins=(PANEL,)), "GET", url, Origin=PANEL).status_int == 200


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
    client = as_alice(make_client(**AUTHENTICATED))
    client.get("/tango/rest", headers={"Host": host, "Origin": origin}, status=200)
    client.get("/tango/rest", headers={"Host": host, "Origin": origin + "0"}, status=403)


def test_only_a_trusted_proxy_says_what_the_origin_of_the_gateway_is(make_client: Callable[..., TestApp]) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "gw.example", "Origin": "https://gw.example"}
    for proxies, status in ((1, 200), (0, 403)):
        client = as_alice(make_client(**AUTHENTICATED, trusted_proxies=proxies))
        client.get("/tango/rest", headers=headers, status=status)


# --- the setting ---


def test_all_origins_are_allowed_for_reads_only(make_client: Callable[..., TestApp], demo_url: str) -> None:
    with pytest.raises(ConfigError, match=r"MTANGO_CORS_ORIGINS.*MTANGO_READ_ONLY"):
        Config(cors_origins=("*",))
    client = make_client(cors_origins=("*",), read_only=True)
    assert allowed(client.get(f"{demo_url}/state", headers={"Origin": EVIL}, status=200)) == EVIL
    answer = ask(client, "PUT", f"{demo_url}/attributes/double_scalar/value?v=1", Origin=EVIL)
    assert (answer.status_int, allowed(answer)) == (403, EVIL)
