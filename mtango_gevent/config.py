"""Every setting of the gateway: its name, default, sentence and check.

Sources are the environment (``MTANGO_<NAME>``), then the TOML file that ``MTANGO_CONFIG`` names.
gunicorn's configuration reads this module before the fork.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from mtango_gevent import kubernetes
from mtango_gevent.redaction import redact
from mtango_gevent.setting_checks import (
    Check,
    audit_target,
    auth_methods,
    boolean,
    choice,
    device_name,
    header_name,
    integer,
    jwt_algorithms,
    networks,
    optional_text,
    origins,
    seconds,
    store_url,
    tango_hosts,
    text,
    texts,
    url_path,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

ENVIRONMENT_PREFIX = "MTANGO_"
FILE_VARIABLE = "MTANGO_CONFIG"

ALL_ORIGINS = "*"  # in the setting `cors_origins`

T = TypeVar("T")


class ConfigError(ValueError):
    """An invalid setting; its text is one line for the operator."""


# Whether an application is created even if a file of access control cannot be used: it refuses requests then, and
# recovers when the file is good. Set by a worker that takes the place of another one.
starts_without_files: ContextVar[bool] = ContextVar("starts_without_files", default=False)


def setting(default: T, sentence: str, check: Check) -> T:
    """Return a field of ``Config``; its declared type is that of the value."""
    return dataclasses.field(default=default, metadata={"sentence": sentence, "check": check})  # type: ignore[return-value]


@dataclasses.dataclass(frozen=True, repr=False)
class Config:
    """The settings in force. Times are seconds."""

    # of the gateway itself; most are mtango-py's
    app_base: str = setting("/tango/rest", "URL path of the API", url_path)
    host: str = setting("127.0.0.1", "address to listen on; `0.0.0.0` for all networks of the machine", text)
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
        "tango", "`tango` answers Tango failures with status 200, `http` with 4xx or 503", choice("tango", "http")
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
    trusted_proxies: int = setting(
        0, "proxies in front of the gateway whose `X-Forwarded-*` headers it trusts", integer(0, 16)
    )
    max_requests: int = setting(
        0, "requests after which a worker is replaced, with up to 10 % more at random; 0 for never", integer(0, 1 << 40)
    )
    http_parser: str = setting(
        "auto", "HTTP parser: `python`, `fast`, `auto` for `fast` if installed", choice("auto", "fast", "python")
    )
    head_timeout: float = setting(
        10.0, "time limit for the head of a request, after which its connection is closed", seconds(0.5, 3600)
    )
    body_limit: int = setting(16 << 20, "size limit for the body of a request, in bytes", integer(0, 1 << 32))
    body_timeout: float = setting(10.0, "time limit for the body of a request", seconds(0.1, 3600))
    send_timeout: float = setting(60.0, "time limit for a client to read an answer", seconds(0.1, 3600))
    # who may do what
    auth: tuple[str, ...] = setting(
        (),
        "ways to authenticate: a list of `basic`, `bearer`, `key` and `trusted-header`; empty for none",
        auth_methods,
    )
    auth_basic_file: str = setting("", "htpasswd file of `basic`, with bcrypt hashes", optional_text)
    auth_key_file: str = setting("", "file of the API keys of `key`, which `mtango-gevent key` writes", optional_text)
    auth_header: str = setting("X-Remote-User", "header of `trusted-header` with the name of the user", header_name)
    auth_header_groups: str = setting(
        "X-Remote-Groups", "header of `trusted-header` with the groups, separated by commas", header_name
    )
    auth_header_from: tuple[str, ...] = setting(
        (), "addresses or networks of the proxies whose `trusted-header` counts", networks
    )
    jwt_issuer: str = setting(
        "", "issuer of the tokens of `bearer`; its keys are found by OIDC discovery", optional_text
    )
    jwt_keys: str = setting("", "JWKS URL or PEM file with the keys of `bearer`, in place of discovery", optional_text)
    jwt_audience: str = setting("", "audience that a token of `bearer` must name", optional_text)
    jwt_algorithms: tuple[str, ...] = setting(("RS256", "ES256"), "signature algorithms of `bearer`", jwt_algorithms)
    jwt_user_claim: str = setting(
        "preferred_username", "claim with the name of the user; `sub` where it is missing", text
    )
    jwt_groups_claim: str = setting(
        "groups", "claim with the groups; `.` leads into an object (`realm_access.roles`)", text
    )
    jwt_leeway: float = setting(30.0, "greatest difference of clocks that `bearer` allows", seconds(0, 300))
    oidc_client_id: str = setting("", "client id of the operator's page at the issuer; empty for none", optional_text)
    oidc_scope: str = setting("openid", "scopes that the login of the operator's page asks for", text)
    rules: str = setting("", "TOML file with the access rules", optional_text)
    read_only: bool = setting(False, "refuse every write, command and change, whatever the rules say", boolean)
    harmless_commands: tuple[str, ...] = setting(
        (), "further commands that change nothing and count as reads, `*` stands for any characters", texts
    )
    tango_access_control: bool = setting(
        False, "ask the control system's TangoAccessControl before each write, command and change", boolean
    )
    cors_origins: tuple[str, ...] = setting(
        (),
        "origins whose pages may do everything that their users may, each as `scheme://host:port`; also public origins"
        " of the gateway, for its own pages",
        origins,
    )
    # the audit log
    audit: str = setting(
        "",
        "where the audit log goes: a file, `stderr`, `syslog` or `syslog:host:port`; empty for nowhere",
        audit_target,
    )
    audit_format: str = setting("text", "format of the audit log: `text` or `json`", choice("text", "json"))
    audit_required: bool = setting(False, "refuse every change that the audit log cannot record", boolean)
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
    merge_reads: bool = setting(
        False, "up to 32 attributes of a device asked for at once share a Tango call; a slow one delays all", boolean
    )
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
    event_linger: float = setting(60.0, "time without listeners until events are unsubscribed", seconds(0, 86400))
    event_buffer: int = setting(
        256, "events kept of one attribute; fewer where there are over 256 attributes", integer(1, 1_000_000)
    )
    event_memory: int = setting(
        16 << 20, "memory limit for the kept events of one attribute, in bytes", integer(0, 1 << 40)
    )
    # streams
    store: str = setting(
        "",
        "where subscriptions are kept: empty for a folder of this server, `redis://...` for several machines",
        store_url,
    )
    stream_limit: int = setting(1000, "streams of a worker", integer(1, 100_000))
    stream_client_limit: int = setting(100, "streams of one user, or one address, in a worker", integer(1, 100_000))
    stream_items: int = setting(10_000, "attributes of one stream; of all together ten times it", integer(1, 1_000_000))
    stream_heartbeat: float = setting(10.0, "time without a record after which a stream sends a sign", seconds(0.1, 15))
    stream_linger: float = setting(60.0, "time without a stream until a subscription is forgotten", seconds(1, 86400))
    # caches
    value_memory: int = setting(64 << 20, "memory limit for cached attribute values, in bytes", integer(0, 1 << 40))
    cache_idle: float = setting(1800.0, "time without use after which a device proxy is discarded", seconds(1, 604800))
    metadata_lifetime: float = setting(
        10.0, "lifetime of the cached descriptions with which the gateway checks requests", seconds(0, 86400)
    )

    def __post_init__(self) -> None:
        if ALL_ORIGINS in self.cors_origins and not self.read_only:
            raise ConfigError(
                "MTANGO_CORS_ORIGINS = *: every web page could write with the rights of the user who opens it;"
                " expected a list of origins, or MTANGO_READ_ONLY=1"
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

    def shown(self) -> dict[str, Any]:
        """Return the settings as an operator may see them: without the password of a URL."""
        values = dataclasses.asdict(self)
        return {name: redact(value) if isinstance(value, str) else value for name, value in values.items()}

    def changed(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults, as `shown` does."""
        return {name: value for name, value in self.shown().items() if getattr(self, name) != SETTINGS[name].default}

    def __repr__(self) -> str:
        return f"Config({self.changed()})"


def _sources(environment: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Return (source, {name: raw value}) of each source; the later one takes precedence."""
    path = environment.get(FILE_VARIABLE)
    variables = {name: ENVIRONMENT_PREFIX + name.upper() for name in SETTINGS}
    given = {name: environment[variable] for name, variable in variables.items() if variable in environment}
    ours = {name: value for name, value in given.items() if not kubernetes.makes(variables[name], value)}
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
        raise ConfigError(f"{label} = {redact(repr(value))} (from {source}): expected {expected}") from None


def warnings(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a sentence for each variable that looks like a setting and is none, and one for all of Kubernetes."""
    known = {ENVIRONMENT_PREFIX + name.upper() for name in SETTINGS} | {FILE_VARIABLE}
    unknown = [name for name in sorted(environment) if name.startswith(ENVIRONMENT_PREFIX) and name not in known]
    services = [name for name in sorted(environment) if kubernetes.makes(name, environment[name])]
    found = [f"{name} is no setting of the gateway and has no effect" for name in unknown if name not in services]
    return found + ([kubernetes.warning(services)] if services else [])


SETTINGS = {field.name: field for field in dataclasses.fields(Config)}
