"""Every setting of the gateway: its name, default, sentence and check.

Sources are the environment (``MTANGO_<NAME>``), then the TOML file that ``MTANGO_CONFIG`` names.
gunicorn's configuration reads this module before the fork.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

ENVIRONMENT_PREFIX = "MTANGO_"
FILE_VARIABLE = "MTANGO_CONFIG"

# The variables that Kubernetes makes for a Service, besides MTANGO_PORT=tcp://10.0.0.5:8000.
_SERVICE = re.compile(
    r"MTANGO_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_URL = re.compile("(tcp|udp|sctp)://")

T = TypeVar("T")
Check = Callable[[Any], Any]


class ConfigError(ValueError):
    """An invalid setting; its text is one line for the operator."""


# --- checks: the raw value of a file or the environment -> the value to use, or ValueError with the expected value ---


def text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("a printable text")
    return value


def boolean(value: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() not in words:
        raise ValueError("true or false")
    return words[str(value).lower()]


def integer(low: int, high: int) -> Check:
    return _number(int, low, high, f"a whole number from {low} to {high}")


def seconds(low: float, high: float) -> Check:
    return _number(float, low, high, f"seconds from {low:g} to {high:g}")


def _number(kind: type, low: float, high: float, expected: str) -> Check:
    def check(value: Any) -> Any:
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError(expected)
        try:
            number = kind(value)
        except (TypeError, ValueError):
            raise ValueError(expected) from None
        if not low <= number <= high:  # also refuses NaN
            raise ValueError(expected)
        return number

    return check


def choice(*names: str) -> Check:
    def check(value: Any) -> str:
        if value not in names:
            raise ValueError("one of " + ", ".join(names))
        return value

    return check


def url_path(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", value):
        raise ValueError("a URL path such as /tango/rest")
    return value.rstrip("/")


def device_name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[^/\s]+/[^/\s]+/[^/\s]+", value):
        raise ValueError("a device name such as sys/database/2")
    return value


def texts(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ValueError("a list of texts, in the environment with commas between")
    return tuple(text(part.strip() if isinstance(part, str) else part) for part in parts if part != "")


def tango_hosts(value: Any) -> tuple[str, ...]:
    hosts = tuple(host.lower() for host in texts(value))
    for host in hosts:
        name, _, port = host.rpartition(":")
        if not name or not re.fullmatch("[1-9][0-9]{0,4}", port) or int(port) > 65535:
            raise ValueError("a list of host:port")
    return hosts


def origins(value: Any) -> tuple[str, ...]:
    """Check origins, which must be exact or a single `*`."""
    found = texts(value)
    for origin in found:
        if origin != "*" and not re.fullmatch(
            r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?", origin
        ):
            raise ValueError("`*`, or a list of origins such as https://panels.example.org:8443")
    return found


def setting(default: T, sentence: str, check: Check) -> T:
    """Return a field of ``Config``; its declared type is that of the value."""
    return dataclasses.field(default=default, metadata={"sentence": sentence, "check": check})  # type: ignore[return-value]


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings in force. Times are seconds."""

    # of the gateway itself; most are mtango-py's
    app_base: str = setting("/tango/rest", "URL path of the API", url_path)
    host: str = setting("0.0.0.0", "address to listen on", text)
    port: int = setting(8000, "TCP port to listen on", integer(1, 65535))
    workers: int = setting(1, "worker processes, 0 for one per processor", integer(0, 256))
    debug: bool = setting(False, "log at debug level", boolean)
    rc3_mode: str = setting(
        "strict",
        "`strict` answers as documented, `implementation` as the Java server did",
        choice("strict", "implementation"),
    )
    log_format: str = setting(
        "text", "format of the log: `text`, or `json` for an object in each line", choice("text", "json")
    )
    access_log: bool = setting(True, "one log line for each request", boolean)
    metrics_devices: bool = setting(False, "label `device` on the metric `mtango_tango_calls_total`", boolean)
    cache_size: int = setting(1024, "device proxies that a worker keeps", integer(1, 100_000))
    # how rc3 answers
    rc3_timestamps: str = setting("ms", "unit of rc3 timestamps: `ms`, or mtango-py's whole `s`", choice("ms", "s"))
    rc3_errors: str = setting(
        "tango",
        "`tango` answers Tango failures with status 200, `http` with 400, 404 or 503",
        choice("tango", "http"),
    )
    text_encoding: str = setting(
        "latin-1",
        "encoding of texts in Tango's values, arguments and outputs: `latin-1` (PyTango's own) or `utf-8`",
        choice("latin-1", "utf-8"),
    )
    value_max_age: float = setting(
        0.0, "greatest age of the attribute values in answers, and in the caches of clients", seconds(0, 3600)
    )
    metadata_max_age: float = setting(
        0.0, "greatest age of the lists and descriptions in answers, and in the caches of clients", seconds(0, 86400)
    )
    cors_origins: tuple[str, ...] = setting(
        ("*",), "origins whose pages may call the API, each as `scheme://host:port`; `*` for all", origins
    )
    trusted_proxies: int = setting(
        0, "proxies in front of the gateway whose `X-Forwarded-*` headers it trusts", integer(0, 16)
    )
    max_requests: int = setting(
        0, "requests after which a worker is replaced, with up to 10 % more at random; 0 for never", integer(0, 1 << 40)
    )
    head_timeout: float = setting(
        10.0, "time limit for the head of a request, after which its connection is closed", seconds(0.5, 3600)
    )
    body_limit: int = setting(16 << 20, "size limit for the body of a request, in bytes", integer(0, 1 << 32))
    body_timeout: float = setting(10.0, "time limit for the body of a request", seconds(0.1, 3600))
    send_timeout: float = setting(60.0, "time limit for a client to read an answer", seconds(0.1, 3600))
    # which Tango
    tango_hosts: tuple[str, ...] = setting(
        (),
        "Tango hosts as `host:port`, in addition to TANGO_HOST; if any are given, all others answer 404",
        tango_hosts,
    )
    database_device: str = setting("sys/database/2", "name of the Tango database device", device_name)
    # how Tango is called
    tango_timeout: float = setting(3.0, "CORBA timeout of one Tango call", seconds(0.05, 600))
    call_deadline: float = setting(
        5.0, "time limit for one Tango call, after which its request is answered without it", seconds(0.05, 600)
    )
    queue_timeout: float = setting(1.0, "time limit for the wait for a slot of the device", seconds(0, 600))
    device_limit: int = setting(4, "Tango calls in flight to one device", integer(1, 128))
    device_queue: int = setting(256, "requests that may wait for a slot of one device", integer(0, 100_000))
    server_limit: int = setting(16, "Tango calls in flight to one device server", integer(1, 128))
    database_limit: int = setting(4, "Tango calls in flight to one database", integer(1, 128))
    open_after: int = setting(3, "consecutive timeouts that open the circuit breaker of a device", integer(1, 1000))
    retry_after: float = setting(1.0, "period of the probes of a device whose circuit is open", seconds(0.05, 3600))
    pool_size: int = setting(96, "native threads of a worker for Tango calls", integer(1, 1024))
    async_limit: int = setting(100, "asynchronous requests that may wait for one device", integer(1, 100_000))
    # events
    event_timeout: float = setting(60.0, "time limit for the wait of a request for an event", seconds(1, 3600))
    event_limit: int = setting(1000, "requests of a worker that may wait for events", integer(1, 100_000))
    event_poll_period: float = setting(
        1.0, "period in which the gateway polls an attribute that sends no events", seconds(0.05, 60)
    )
    event_silence: float = setting(
        10.0, "time without events after which one read checks whether the attribute has changed", seconds(1, 86400)
    )
    event_linger: float = setting(
        60.0, "time without listeners after which an event subscription ends", seconds(0, 86400)
    )
    event_buffer: int = setting(256, "events of one attribute that the gateway keeps", integer(1, 1_000_000))
    event_memory: int = setting(
        16 << 20, "memory limit for the kept events of one attribute, in bytes", integer(0, 1 << 40)
    )
    # caches
    value_memory: int = setting(64 << 20, "memory limit for cached attribute values, in bytes", integer(0, 1 << 40))
    cache_idle: float = setting(1800.0, "time without use after which a device proxy is discarded", seconds(1, 604800))
    metadata_lifetime: float = setting(
        10.0, "lifetime of the cached descriptions with which the gateway checks requests", seconds(0, 86400)
    )

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ) -> Config:
        """Read the settings from `environment` and the file it names, and check each one.

        Raises ConfigError, with one line that names the setting, its source and the expected value.
        """
        values = {}
        for source, given in _sources(environment):
            for name, value in given.items():
                values[name] = _checked(name, value, source)
        return cls(**values)

    def changed(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if getattr(self, f.name) != f.default}


def warnings(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a sentence for each variable that looks like a setting and is none, and one for all of Kubernetes."""
    known = {ENVIRONMENT_PREFIX + name.upper() for name in SETTINGS} | {FILE_VARIABLE}
    ours = sorted(name for name in environment if name.startswith(ENVIRONMENT_PREFIX))
    services = [name for name in ours if _is_of_kubernetes(name, environment[name])]
    found = [
        f"{name} is no setting of the gateway and has no effect" for name in ours if name not in (*known, *services)
    ]
    if services:
        found.append(
            f"{', '.join(services)}: ignored, as Kubernetes sets such variables for a Service whose name begins with"
            " `mtango`; `enableServiceLinks: false` in the pod keeps them away"
        )
    return found


def _is_of_kubernetes(name: str, value: str) -> bool:
    """Return whether Kubernetes made the variable for a Service, as it does for containers that link to it."""
    return bool(_SERVICE.fullmatch(name)) or (name.endswith("_PORT") and bool(_SERVICE_URL.match(value)))


def _sources(environment: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Return (source, {name: raw value}) of each source; the later one takes precedence."""
    path = environment.get(FILE_VARIABLE)
    variables = {name: ENVIRONMENT_PREFIX + name.upper() for name in SETTINGS}
    given = {name: environment[variable] for name, variable in variables.items() if variable in environment}
    ours = {name: value for name, value in given.items() if not _is_of_kubernetes(variables[name], value)}
    return [*([(path, _read_file(path))] if path else []), ("the environment", ours)]


def _read_file(path: str) -> dict[str, Any]:
    try:
        values = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{FILE_VARIABLE}: cannot read {path}: {error}") from None
    for name in values:
        if name not in SETTINGS:
            near = difflib.get_close_matches(name, SETTINGS, 1)
            raise ConfigError(f"{path}: unknown setting {name!r}" + (f", did you mean {near[0]}?" if near else ""))
    return values


def _checked(name: str, value: Any, source: str) -> Any:
    try:
        return SETTINGS[name].metadata["check"](value)
    except ValueError as expected:
        label = ENVIRONMENT_PREFIX + name.upper()
        raise ConfigError(f"{label} = {value!r} (from {source}): expected {expected}") from None


SETTINGS = {field.name: field for field in dataclasses.fields(Config)}
