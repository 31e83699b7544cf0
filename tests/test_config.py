"""Settings: where they come from, and what a wrong one says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mtango_gevent.config import SETTINGS, Config, ConfigError, warnings

ROOT = Path(__file__).parent.parent


def test_defaults_pass_their_own_checks() -> None:
    for name, field in SETTINGS.items():
        assert field.metadata["check"](field.default) == field.default, name


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mtango.toml"
    file.write_text('port = 8001\nrc3_mode = "implementation"\ntango_hosts = ["a:1", "B:2"]\ndebug = true\n')
    config = Config.load({"MTANGO_CONFIG": str(file), "MTANGO_PORT": "8002"})
    assert (config.port, config.rc3_mode, config.tango_hosts, config.debug) == (
        8002,
        "implementation",
        ("a:1", "b:2"),
        True,
    )
    assert set(config.changed()) == {"port", "rc3_mode", "tango_hosts", "debug"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "80 00"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "1.5"),
        ("WORKERS", "many"),
        ("DEBUG", "maybe"),
        ("RC3_MODE", "spec"),
        ("RC3_TIMESTAMPS", "us"),
        ("APP_BASE", "tango"),
        ("APP_BASE", "/a b"),
        ("TANGO_HOSTS", "host"),
        ("TANGO_HOSTS", "host:99999"),
        ("TANGO_TIMEOUT", "nan"),
        ("TANGO_TIMEOUT", "-1"),
        ("CALL_DEADLINE", "inf"),
        ("DEVICE_LIMIT", "0"),
        ("DATABASE_DEVICE", "database"),
        ("TANGO_HOSTS", "host:0010"),
        ("CORS_ORIGINS", "https://*.lab.org"),
        ("CORS_ORIGINS", "lab.org"),
        ("CORS_ORIGINS", "https://lab.org/path"),
    ],
)
def test_a_wrong_value_names_the_setting_the_value_and_what_is_expected(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Config.load({f"MTANGO_{name}": value})
    message = str(raised.value)
    assert f"MTANGO_{name}" in message
    assert repr(value) in message
    assert "expected" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("prot = 1", "did you mean port?"),
        ("port = ", "cannot read"),
        ("port = true", "MTANGO_PORT"),
        ("port = 1.5", "MTANGO_PORT"),
        ("tango_hosts = 5", "MTANGO_TANGO_HOSTS"),
    ],
)
def test_error_in_a_file_names_the_setting_and_the_file(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "mtango.toml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=said):
        Config.load({"MTANGO_CONFIG": str(file)})


def test_a_missing_file_is_an_error() -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        Config.load({"MTANGO_CONFIG": "/nowhere/mtango.toml"})


def test_unknown_variables_are_told_apart() -> None:
    (warning,) = warnings({"MTANGO_PORT": "1", "MTANGO_CONFIG": "x", "MTANGO_PROT": "1", "PATH": ""})
    assert warning.startswith("MTANGO_PROT is no setting")


# As Kubernetes sets them for the Services `mtango` and `mtango-gevent`.
KUBERNETES = {
    "MTANGO_PORT": "tcp://10.0.0.5:8000",
    "MTANGO_PORT_8000_TCP": "tcp://10.0.0.5:8000",
    "MTANGO_PORT_8000_TCP_ADDR": "10.0.0.5",
    "MTANGO_PORT_8000_TCP_PORT": "8000",
    "MTANGO_PORT_8000_TCP_PROTO": "tcp",
    "MTANGO_SERVICE_HOST": "10.0.0.5",
    "MTANGO_SERVICE_PORT": "8000",
    "MTANGO_SERVICE_PORT_HTTP": "8000",
    "MTANGO_GEVENT_PORT": "tcp://[fd00::5]:8000",
    "MTANGO_GEVENT_SERVICE_HOST": "fd00::5",
}


def test_the_variables_of_a_kubernetes_service_are_ignored_and_one_sentence_says_why(tmp_path: Path) -> None:
    assert Config.load(KUBERNETES).port == 8000
    file = tmp_path / "mtango.toml"
    file.write_text("port = 8001")
    assert Config.load({**KUBERNETES, "MTANGO_CONFIG": str(file)}).port == 8001
    unknown, warning = warnings({**KUBERNETES, "MTANGO_PROT": "1", "MTANGO_HOST": "::"})
    assert "MTANGO_PROT" in unknown
    assert all(name in warning for name in (*KUBERNETES, "Kubernetes", "enableServiceLinks"))
    assert "MTANGO_HOST" not in warning


def test_a_port_that_is_a_url_of_another_kind_is_wrong() -> None:
    with pytest.raises(ConfigError, match="expected"):
        Config.load({"MTANGO_PORT": "http://10.0.0.5:8000"})


def test_a_wrong_setting_stops_the_start_with_one_line() -> None:
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:application"]
    for command in (gunicorn, [sys.executable, "-m", "mtango_gevent", "serve"]):
        ended = subprocess.run(command, cwd=ROOT, env={"MTANGO_PORT": "x"}, capture_output=True, text=True, timeout=60)
        assert ended.returncode != 0
        assert ended.stderr.strip().count("\n") == 0
        assert "MTANGO_PORT = 'x'" in ended.stderr
