"""Log in at the operator's page, be denied, log out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.api.access.conftest import DENY_ALL
from tests.api.access.credentials import new_key, write_passwords
from tests.live.conftest import COMMAND, Gateway, served, wait_until
from tests.oidc_provider import AUDIENCE, CLIENT, Provider, oidc_provider

from .conftest import PageAt, PageWatch

RULES = '[[rule]]\nusers = ["ada"]\nmay = ["read", "write"]\n\n[[rule]]\nusers = ["ben"]\nmay = ["read"]\n\n' + DENY_ALL

PASSWORD = "pässword"

# Lines that the browser itself writes for requests that are refused.
REFUSED = "status of 4(01|03|29)"


@contextlib.contextmanager
def protected(folder: Path, **environment: str) -> Iterator[Gateway]:
    """A gateway whose rules allow ada to read and write, ben to read, and others nothing."""
    (folder / "access.toml").write_text(RULES)
    settings: dict[str, Any] = {"MTANGO_RULES": str(folder / "access.toml"), **environment}
    with served(COMMAND, folder / "log", **settings) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def with_passwords(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Users ada and ben with a password, and an API key of ada in key.txt."""
    folder = tmp_path_factory.mktemp("login")
    passwords = write_passwords(folder / "htpasswd", ada=PASSWORD, ben=PASSWORD)
    (folder / "key.txt").write_text(new_key(folder / "keys.json", "ada"))
    settings: dict[str, Any] = {"MTANGO_AUTH_BASIC_FILE": passwords, "MTANGO_AUTH_KEY_FILE": str(folder / "keys.json")}
    with protected(folder, MTANGO_AUTH="basic,key", **settings) as gateway:
        yield gateway


@pytest.fixture
def provider() -> Iterator[Provider]:
    with oidc_provider() as provider:
        yield provider


@contextlib.contextmanager
def with_provider(provider: Provider, folder: Path, **environment: str) -> Iterator[Gateway]:
    settings: dict[str, Any] = {
        "MTANGO_JWT_ISSUER": provider.issuer,
        "MTANGO_JWT_AUDIENCE": AUDIENCE,
        "MTANGO_OIDC_CLIENT_ID": CLIENT,
    }
    with protected(folder, MTANGO_AUTH="bearer", **settings, **environment) as gateway:
        provider.redirect_uris.add(f"http://127.0.0.1:{gateway.port}/")
        yield gateway


def log_in(page: Page, user: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name", exact=True).fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_label("Password").press("Enter")


def user_of(page: Page, name: str) -> None:
    expect(page.get_by_role("banner").get_by_role("link", name=name, exact=True)).to_be_visible()


def logged_in(page_at: PageAt, watch: PageWatch, provider: Provider, gateway: Gateway) -> Page:
    """Return the view Health after a login at the provider."""
    page = page_at("#/ill", of=gateway)
    watch.allow(provider.issuer.removesuffix("/realms/test"))  # the page itself goes there
    page.get_by_role("button", name="Log in at 127.0.0.1").click()
    user_of(page, "ada")
    return page


def test_user_logs_in_by_password_and_gets_to_the_view_of_before(
    page_at: PageAt, watch: PageWatch, with_passwords: Gateway, check_accessibility: Callable[[Page], None]
) -> None:
    watch.expect(REFUSED)
    page = page_at("#/ill", of=with_passwords)
    expect(page.get_by_role("heading", name="Log in", exact=True)).to_be_visible()
    check_accessibility(page)
    log_in(page, "ada", "wrong")
    expect(page.get_by_role("alert").filter(has_text="right password")).to_be_visible()
    log_in(page, "ada")
    user_of(page, "ada")
    expect(page.get_by_role("heading", name="Health")).to_be_visible()
    page.reload()
    user_of(page, "ada")


def test_password_is_in_no_storage_that_outlives_the_tab(page_at: PageAt, with_passwords: Gateway) -> None:
    page = page_at("#/login", of=with_passwords)
    log_in(page, "ada")
    user_of(page, "ada")
    assert page.evaluate("[localStorage.length && JSON.stringify(localStorage), document.cookie]") in (
        [0, ""],
        ["", ""],
    )


def test_user_logs_in_by_key(page_at: PageAt, with_passwords: Gateway) -> None:
    page = page_at("#/login", of=with_passwords)
    page.get_by_label("API key").fill((with_passwords.log.parent / "key.txt").read_text())
    page.get_by_label("API key").press("Enter")
    user_of(page, "ada")
    page.goto("#/login")
    expect(page.get_by_text("Logged in by key")).to_be_visible()


def test_wrong_passwords_have_growing_delays(page_at: PageAt, watch: PageWatch, with_passwords: Gateway) -> None:
    watch.expect(REFUSED)
    page = page_at("#/login", of=with_passwords)
    for _ in range(3):
        log_in(page, "eve", "wrong")
        expect(page.get_by_text("right password")).to_be_visible()
    log_in(page, "eve", "wrong")
    expect(page.get_by_text("too many wrong passwords")).to_be_visible()
    expect(page.get_by_role("button", name="Wait for")).to_be_disabled()
    expect(page.get_by_role("main").get_by_role("button", name="Log in", exact=True)).to_have_count(2)


def test_user_who_is_denied_sees_the_rule(
    page_at: PageAt, with_passwords: Gateway, check_accessibility: Callable[[Page], None]
) -> None:
    page = page_at("#/login", of=with_passwords)
    log_in(page, "ben")
    user_of(page, "ben")
    page.goto("#/login?action=write&device=sys/tg_test/1&name=ampli")
    expect(page.get_by_text("Denied: denied by rule 3 (line 9 of access.toml)")).to_be_visible()
    check_accessibility(page)


def test_log_out_leads_to_the_login(page_at: PageAt, watch: PageWatch, with_passwords: Gateway) -> None:
    watch.expect(REFUSED)
    page = page_at("#/login", of=with_passwords)
    log_in(page, "ada")
    user_of(page, "ada")
    page.goto("#/device/sys/tg_test/1")
    page.goto("#/plot?s=sys/tg_test/1/ampli")
    expect(page.locator(".u-over")).to_be_visible()
    page.get_by_role("banner").get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in", exact=True)).to_be_visible()
    assert page.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]
    page.goto("#/device/sys/tg_test/1")
    expect(page.get_by_role("heading", name="Log in", exact=True)).to_be_visible()


def test_gateway_without_users_offers_no_login(page_at: PageAt) -> None:
    page = page_at("#/login")
    expect(page.get_by_text("This gateway asks for no login")).to_be_visible()
    expect(page.get_by_role("button", name="Log in")).to_have_count(0)
    expect(page.get_by_role("link", name="Log in")).to_have_count(0)


def test_read_only_gateway_says_so(
    page_at: PageAt, watch: PageWatch, tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    watch.expect_lost_gateway()
    with served(COMMAND, tmp_path / "log", MTANGO_READ_ONLY="1") as gateway:
        page = page_at("#/login", of=gateway)
        expect(page.get_by_role("banner").get_by_text("read-only")).to_be_visible()
        page.goto("#/login?action=write&device=sys/tg_test/1&name=ampli")
        expect(page.get_by_text("MTANGO_READ_ONLY allows reads only")).to_be_visible()


def test_permission_that_could_not_be_asked_for_is_asked_for_again(
    page_at: PageAt, watch: PageWatch, with_passwords: Gateway
) -> None:
    watch.expect("status of 503")
    page = page_at("#/login", of=with_passwords)
    log_in(page, "ada")
    user_of(page, "ada")
    page.route("**/sys/whoami?*", lambda route: route.fulfill(status=503))
    page.goto("#/device/demo/motor/1")
    expect(page.get_by_text("may not write: the gateway answered 503").first).to_be_visible()
    page.unroute("**/sys/whoami?*")
    expect(page.get_by_role("button", name="Set Velocity")).to_be_visible()


def test_ways_to_log_in_are_asked_for_until_they_are_known(
    page_at: PageAt, watch: PageWatch, with_passwords: Gateway
) -> None:
    watch.expect("status of (401|503)|WebSocket connection to .* failed")
    page = page_at("#/login", of=with_passwords)
    page.route("**/sys/login", lambda route: route.fulfill(status=503))
    page.reload()
    expect(page.get_by_role("alert").filter(has_text="the gateway answered 503")).to_be_visible()
    expect(page.get_by_text("This gateway asks for no login")).to_have_count(0)
    page.unroute("**/sys/login")
    log_in(page, "ada")
    user_of(page, "ada")


def test_link_puts_no_text_into_the_login(page_at: PageAt, with_passwords: Gateway) -> None:
    page = page_at("#/login?why=Send%20your%20password", of=with_passwords)
    expect(page.get_by_label("Password")).to_be_visible()
    expect(page.get_by_text("Send your password")).to_have_count(0)


def test_login_fits_a_narrow_screen(page_at: PageAt, with_passwords: Gateway) -> None:
    page = page_at("#/login", of=with_passwords, viewport={"width": 360, "height": 800})
    expect(page.get_by_label("API key")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    log_in(page, "ada")
    user_of(page, "ada")
    page.goto("#/login")
    expect(page.get_by_role("heading", name="What may I do?")).to_be_visible()
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 360


# --- the provider ---


def test_user_logs_in_at_the_provider(
    page_at: PageAt, watch: PageWatch, provider: Provider, tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    watch.expect_lost_gateway()
    with with_provider(provider, tmp_path) as gateway:
        page = logged_in(page_at, watch, provider, gateway)
        expect(page.get_by_role("heading", name="Health")).to_be_visible()
        assert page.url == f"http://127.0.0.1:{gateway.port}/#/ill"
        to_provider = [request for request in watch.requests if provider.issuer in request]
        assert [request.split("?")[0] for request in to_provider] == [f"GET {provider.issuer}/auth"]
    log = (tmp_path / "log").read_text()
    assert "POST /tango/rest/sys/login/token" in log
    assert "eyJ" not in log


def test_token_is_renewed_before_it_expires(
    page_at: PageAt, watch: PageWatch, provider: Provider, tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    provider.lifetime = 5.0
    watch.expect_lost_gateway()
    with with_provider(provider, tmp_path, MTANGO_JWT_LEEWAY="0") as gateway:
        page = logged_in(page_at, watch, provider, gateway)
        wait_until(lambda: page.evaluate("0") == 0 and provider.asked.count("/realms/test/token") >= 3)
        expect(page.get_by_role("heading", name="Health")).to_be_visible()
        user_of(page, "ada")


def test_provider_that_is_away_for_a_while_ends_no_session(
    page_at: PageAt, watch: PageWatch, provider: Provider, tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    watch.expect("status of (401|503)|WebSocket connection to .* failed")
    provider.lifetime = 4.0
    watch.expect_lost_gateway()
    with with_provider(provider, tmp_path, MTANGO_JWT_LEEWAY="0") as gateway:
        page = logged_in(page_at, watch, provider, gateway)
        provider.answers["/realms/test/token"] = (503, {}, b"")
        expect(page.get_by_text("You (ada) may not see the devices")).to_be_visible()  # the token has expired
        page.wait_for_timeout(2_000)
        user_of(page, "ada")
        provider.lifetime = 600.0
        del provider.answers["/realms/test/token"]
        expect(page.get_by_text("may not see")).to_have_count(0)
        expect(page.locator(".connection")).to_have_text("live")
        user_of(page, "ada")
        assert page.url.endswith("#/ill")


def test_session_that_has_ended_leads_to_the_login_and_back(
    page_at: PageAt, watch: PageWatch, provider: Provider, tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    watch.expect("status of 40[01]|WebSocket connection to .* failed")
    provider.lifetime = 3.0
    watch.expect_lost_gateway()
    with with_provider(provider, tmp_path, MTANGO_JWT_LEEWAY="0") as gateway:
        page = logged_in(page_at, watch, provider, gateway)
        provider.refresh_tokens = frozenset()  # type: ignore[assignment]  # the provider has ended the session
        expect(page.get_by_role("alert").filter(has_text="expired")).to_be_visible()
        provider.refresh_tokens, provider.lifetime = set(), 600.0
        page.get_by_role("button", name="Log in at 127.0.0.1").click()
        user_of(page, "ada")
        expect(page.get_by_role("heading", name="Health")).to_be_visible()


def test_provider_that_is_away_delays_nothing(
    page_at: PageAt, watch: PageWatch, provider: Provider, tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    provider.stop()
    watch.expect_lost_gateway()
    with with_provider(provider, tmp_path) as gateway:
        page = page_at("#/login", of=gateway)
        watch.allow(provider.issuer.removesuffix("/realms/test"))
        expect(page.get_by_text("The provider is away")).to_be_visible()
        expect(page.get_by_role("button", name="Log in at the provider")).to_be_disabled()
        provider.start()
        page.get_by_role("button", name="Log in at 127.0.0.1").click()
        user_of(page, "ada")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("?code=x&state=forged", "The answer of the provider is of another login."),
        ("?error=access_denied&error_description=Not%20today&state=forged", "of another login"),
    ],
)
def test_answer_of_another_login_is_refused(
    page_at: PageAt,
    watch: PageWatch,
    provider: Provider,
    tango_system: EmbeddedTango,
    tmp_path: Path,
    query: str,
    text: str,
) -> None:
    watch.expect_lost_gateway()
    with with_provider(provider, tmp_path) as gateway:
        page = page_at("#/login", of=gateway)
        page.goto(f"/{query}")
        expect(page.get_by_role("alert").filter(has_text=text)).to_be_visible()
        assert "code=" not in page.url
        assert provider.asked.count("/realms/test/token") == 0
