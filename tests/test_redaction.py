"""Redaction of secrets in texts for operators, and the places that show such texts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from webtest import TestApp

from mtango_gevent.config import Config, ConfigError
from mtango_gevent.redaction import redact

SECRET = "s3cr3t"
URL = f"https://user:{SECRET}@sso.example.org/realms/tango"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (URL, "https://***@sso.example.org/realms/tango"),
        ("redis://:s3cr3t@cache:6379/0", "redis://***@cache:6379/0"),
        ("https://sso.example.org/a@b", "https://sso.example.org/a@b"),
        ("https://u:p@sswd@host/path", "https://***@host/path"),
        ("https://u:p#s?w@host, then b@c", "https://***@host, then b@c"),
        ("got 'mtg_Ab-c_1234' for a device", "got '***' for a device"),
        ("syslog:log.example.org:514", "syslog:log.example.org:514"),
        ("access_token=s3cr3t&attr=a", "access_token=***&attr=a"),
        ("state=1&code=s3cr3t&iss=a", "state=1&code=***&iss=a"),
        ("GET /x?attr=a&Token=s3cr3t HTTP/1.1", "GET /x?attr=a&Token=*** HTTP/1.1"),
        ("attr=token&my_token_count=3", "attr=token&my_token_count=3"),
        ("Invalid: 'Authorization Bearer s3cr3t'", "Invalid: 'Authorization ***"),
        ("X-API-Key: s3cr3t", "X-API-Key ***"),
        ("Invalid HTTP header name: 'AUTHORIZATION'", "Invalid HTTP header name: 'AUTHORIZATION'"),
    ],
)
def test_secrets_are_taken_out_of_a_text(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_settings_are_shown_without_the_password_of_a_url(make_client: Callable[..., TestApp]) -> None:
    client = make_client(jwt_issuer=URL, jwt_keys=URL)
    shown = client.get("/tango/rest/sys/config").json
    assert shown["jwt_issuer"] == shown["jwt_keys"] == redact(URL)
    for text in (repr(Config(jwt_issuer=URL)), str(Config(jwt_issuer=URL).changed())):
        assert SECRET not in text


def test_refused_setting_is_named_without_its_password() -> None:
    with pytest.raises(ConfigError, match="MTANGO_CORS_ORIGINS") as error:
        Config.load({"MTANGO_CORS_ORIGINS": URL})
    assert SECRET not in str(error.value)


def test_access_log_has_no_token(client: TestApp, demo_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    headers = {"Authorization": f"Bearer {SECRET}", "X-API-Key": SECRET}
    for path in ("/state?access_token=s3cr3t", "/attributes/ampli/value?token=s3cr3t", "/nope?password=s3cr3t"):
        client.get(demo_url + path, headers=headers, expect_errors=True)
    assert "access_token=***" in caplog.text
    assert SECRET not in caplog.text
