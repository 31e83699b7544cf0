"""Limits and timeouts in deploy/, compared with those of the gateway and of gunicorn."""

from __future__ import annotations

import re
import subprocess
import sys

import orjson
import pytest

from mtango_gevent.config import Config

from .conftest import DEPLOY, ROOT

MEGABYTE = 1 << 20


def figure(name: str, pattern: str) -> int:
    """The one number that `pattern` finds in deploy/`name`."""
    (number,) = re.findall(pattern, (DEPLOY / name).read_text("utf-8"), re.MULTILINE)
    return int(number)


@pytest.fixture(scope="module")
def gunicorn() -> dict[str, int]:
    """The numbers of gunicorn.conf.py."""
    program = (
        "import json, runpy; settings = runpy.run_path('gunicorn.conf.py');"
        "print(json.dumps({name: value for name, value in settings.items() if type(value) is int}))"
    )
    return orjson.loads(subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, timeout=30))


def test_stop_timeouts_exceed_the_graceful_timeout_of_gunicorn(gunicorn: dict[str, int]) -> None:
    longest = gunicorn["graceful_timeout"]
    assert figure("mtango-gevent.service", r"^TimeoutStopSec=(\d+)$") > longest
    assert figure("compose.yml", r"stop_grace_period: (\d+)s") > longest
    assert figure("uwsgi.ini", r"^worker-reload-mercy = (\d+)$") >= longest
    assert figure("mod_wsgi.conf", r"shutdown-timeout=(\d+)") >= longest


def test_body_limits_are_equal() -> None:
    limit = Config().body_limit
    assert figure("nginx.conf", r"client_max_body_size (\d+)m;") * MEGABYTE == limit
    assert figure("uwsgi.ini", r"^limit-post = (\d+)$") == limit
    assert figure("mod_wsgi.conf", r"^LimitRequestBody (\d+)$") == limit


def test_proxy_timeouts_exceed_the_longest_wait_for_an_event() -> None:
    assert figure("nginx.conf", r"proxy_read_timeout (\d+)s;") > Config().event_timeout
    assert figure("mod_wsgi.conf", r"request-timeout=(\d+)") > Config().event_timeout


def test_event_listeners_leave_connections_to_other_requests(gunicorn: dict[str, int]) -> None:
    assert figure("uwsgi.ini", r"^gevent = (\d+)$") > Config().event_limit
    assert (
        figure("mtango-gevent.service", r"^LimitNOFILE=(\d+)$") > gunicorn["worker_connections"] + Config().cache_size
    )


def test_nginx_closes_idle_connections_before_gunicorn(gunicorn: dict[str, int]) -> None:
    assert figure("nginx.conf", r"keepalive_timeout (\d+)s;") < gunicorn["keepalive"]


def test_nginx_refuses_no_url_that_gunicorn_takes(gunicorn: dict[str, int]) -> None:
    assert figure("nginx.conf", r"large_client_header_buffers \d+ (\d+)k;") * 1024 > gunicorn["limit_request_line"]
