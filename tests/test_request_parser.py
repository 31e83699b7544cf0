"""The parsers of requests: which one is chosen, and that both have the same outcome."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config as GunicornConfig
from gunicorn.http.errors import ParseException
from gunicorn.http.unreader import IterUnreader
from hypothesis import example, given
from hypothesis import strategies as st

from mtango_gevent.config import ConfigError
from mtango_gevent.serving import request_parser
from mtango_gevent.serving.request_parser import GatewayRequest

CORPUS = Path(__file__).parent / "corpus"
HEADS = [
    b"GET /tango/rest?filter=name HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /2 HTTP/1.1\r\n\r\n",
    *(path.read_bytes() for path in sorted(CORPUS.glob("*.http")) if path.stat().st_size < 2000),
]
INSERTED = [
    *(bytes([code]) for code in b" \t\r\n\0:\x7f\xff\x0b#?,;_0"),
    *(b"\r\n", b"\r\n ", b"\r\n\t", b"chunked", b"http://h/", b"HTTP/1.0", b"HTTP/2.0", b" HTTP/1.1"),
    *(b"Content-Length: 5\r\n", b"Content-Length: +5\r\n", b"Content-Length:5,5\r\n", b"Connection: close\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip,chunked\r\n", b"Expect: 100-continue\r\n"),
]

needs_fast = pytest.mark.skipif(request_parser.chosen("auto") == "python", reason="needs gunicorn_h1c, the extra fast")


def config(parser: str) -> Any:
    """gunicorn's configuration as gunicorn.conf.py has it."""
    made = GunicornConfig()
    for name, value in {
        "http_parser": parser,
        "limit_request_fields": 100,
        "limit_request_field_size": 8190,
        "limit_request_line": 8190,
        "forwarded_allow_ips": "*",
        "secure_scheme_headers": {},
        "forwarder_headers": "",
        "header_map": "drop",
    }.items():
        made.set(name, value)
    return made


CONFIGS = {parser: config(parser) for parser in ("python", "fast")}


def outcome(parser: str, received: list[bytes]) -> object:
    """Return what a parser makes of a request that arrives in parts; None if it is refused or does not end."""
    unreader = IterUnreader(iter(received))
    try:
        request = GatewayRequest(CONFIGS[parser], unreader, ("127.0.0.1", 1))
    except (ParseException, StopIteration, OSError):  # gunicorn's NoMoreData is an OSError
        return None
    try:
        body = request.body.read()
    except (ParseException, OSError) as error:
        body = type(error)
    rest = unreader.buf.getvalue() + b"".join(unreader.iter or ())
    head = request.method, request.uri, request.path, request.query, request.version, request.headers
    return head, request.should_close(), body, rest


@st.composite
def changed_requests(draw: st.DrawFn) -> list[bytes]:
    """Requests of the corpus with bytes inserted, replaced or left out, in one part or two."""
    text = draw(st.sampled_from(HEADS))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from([b"", *INSERTED])) + text[place + draw(st.integers(0, 2)) :]
    cut = draw(st.sampled_from([0, draw(st.integers(0, len(text)))]))
    return [part for part in (text[:cut], text[cut:]) if part]


@needs_fast
@example([b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"])
@example([b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n"])
@example([b"\r\nGET /  HTTP/1.1\r\nHost: a\r\n\r\n"])
@example([b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"])
@given(changed_requests())
def test_both_parsers_have_the_same_outcome(received: list[bytes]) -> None:
    assert outcome("fast", received) == outcome("python", received)


# --- which one is chosen ---


@needs_fast
def test_fast_parser_is_chosen_where_it_is_installed() -> None:
    assert (request_parser.chosen("auto"), request_parser.chosen("fast")) == ("fast", "fast")
    assert request_parser.chosen("python") == "python"
    assert request_parser.description("auto").startswith("in C, gunicorn_h1c 0.")
    assert request_parser.description("python") == "in Python (MTANGO_HTTP_PARSER = python)"


def test_parser_that_is_not_installed_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gunicorn_h1c", None)
    assert request_parser.chosen("auto") == "python"
    assert request_parser.description("auto") == "in Python (gunicorn_h1c is not installed (extra fast))"
    with pytest.raises(ConfigError, match="MTANGO_HTTP_PARSER = 'fast': gunicorn_h1c is not installed"):
        request_parser.chosen("fast")


def test_old_parser_is_not_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "gunicorn_h1c.py").write_text('__version__ = "0.6.9"\n')
    monkeypatch.delitem(sys.modules, "gunicorn_h1c", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert request_parser.chosen("auto") == "python"
        with pytest.raises(ConfigError, match=r"expected gunicorn_h1c 0\.6\.10 or later, got 0\.6\.9"):
            request_parser.chosen("fast")
    finally:
        sys.modules.pop("gunicorn_h1c", None)
