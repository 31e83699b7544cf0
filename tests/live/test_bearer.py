"""Tokens of an OIDC provider against a real gunicorn: keys that rotate under load, a slow provider, TLS."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.http_clients import Clients
from tests.oidc_provider import AUDIENCE, Provider, new_key, oidc_provider
from tests.patched_process import in_patched_process

from .conftest import COMMAND, Gateway, served, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def provider() -> Iterator[Provider]:
    with oidc_provider() as provider:
        yield provider


@contextlib.contextmanager
def protected(provider: Provider, folder: Path, **environment: str) -> Iterator[Gateway]:
    settings = {"MTANGO_AUTH": "bearer", "MTANGO_JWT_ISSUER": provider.issuer, "MTANGO_JWT_AUDIENCE": AUDIENCE}
    with served(COMMAND, folder / "log", answers=is_alive, **settings, **environment) as gateway:
        yield gateway


def is_alive(gateway: Gateway) -> bool:
    """Return whether the gateway answers where no user is needed."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/healthz", timeout=30) as answer:
            return answer.status == 200
    except OSError:
        return False


def ask(gateway: Gateway, token: str, path: str = "/sys/whoami") -> tuple[int, Any, float]:
    """Return status, body and seconds of a request."""
    began = time.monotonic()
    with contextlib.closing(gateway.connection()) as connection:
        connection.request("GET", f"/tango/rest{path}", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, orjson.loads(answer.read()), time.monotonic() - began


class Load(Clients):
    """Clients that each send a new token with every request, as long as a with block lasts."""

    def __init__(self, gateway: Gateway, provider: Provider, clients: int = 4) -> None:
        super().__init__()
        self._provider = provider
        self.answers: list[tuple[int, Any, float]] = []
        self._threads = [threading.Thread(target=self._work, args=(gateway,)) for _ in range(clients)]

    def _work(self, gateway: Gateway) -> None:
        number = 0
        while not self._over.wait(0.005):
            number += 1
            self.answers.append(ask(gateway, self._provider.token(number=number)))


def test_keys_rotate_under_load(tango_system: EmbeddedTango, provider: Provider, tmp_path: Path) -> None:
    with protected(provider, tmp_path, MTANGO_WORKERS="2") as gateway, Load(gateway, provider) as load:
        wait_until(lambda: len(load.answers) > 100)
        kept = provider.token()
        for number in range(2):
            before = len(load.answers)
            provider.keys = {**provider.keys, f"rotated {number}": ("ES256", new_key("ES256"))}
            wait_until(lambda before=before: len(load.answers) > before + 100)
            time.sleep(11 * (number == 0))  # fetches for unknown keys pause for ten seconds
        assert ask(gateway, kept)[0] == 200  # its key is still published
    wrong = [answer for answer in load.answers if answer[0] != 200 or answer[1]["user"] != "ada"]
    assert wrong == []
    assert max(seconds for *_, seconds in load.answers) < 2
    assert provider.asked.count("/realms/test/certs") <= 2 * 3  # by each worker: at the start, and for each new key


def test_slow_provider_delays_no_request_with_a_known_key(
    tango_system: EmbeddedTango, provider: Provider, tmp_path: Path
) -> None:
    with protected(provider, tmp_path) as gateway:
        good = provider.token()
        assert ask(gateway, good)[0] == 200
        provider.delay = 1.0
        provider.rotate("second")
        answers = list[tuple[int, Any, float]]()
        asking = threading.Thread(target=lambda: answers.append(ask(gateway, provider.token())))
        asking.start()
        longest = 0.0
        wait_until(lambda: len(provider.asked) > 2)
        for _ in range(50):
            status, _, seconds = ask(gateway, good)
            longest = max(longest, seconds)
            assert status == 200
            time.sleep(0.01)
        assert not answers  # so that all this took place while the provider was asked
        asking.join()
        assert answers[0][0] == 200
        assert longest < 0.3


def test_provider_that_is_away_stops_neither_the_start_nor_other_requests(
    tango_system: EmbeddedTango, provider: Provider, tmp_path: Path
) -> None:
    provider.stop()
    with protected(provider, tmp_path) as gateway:
        status, body, _ = ask(gateway, provider.token())
        assert (status, body["errors"][0]["reason"]) == (503, "MTANGO_KeysUnavailable")
        assert is_alive(gateway)
        provider.start()
        wait_until(lambda: ask(gateway, provider.token())[0] == 200, 6)
        provider.stop()
        assert ask(gateway, provider.token(number=1))[0] == 200
        log = gateway.log.read_text()
        assert log.count("cannot fetch the keys of") == 1
        assert provider.token().split(".")[0] not in log


def test_wrong_tokens_are_refused(tango_system: EmbeddedTango, provider: Provider, tmp_path: Path) -> None:
    wrong = {
        "audience": {"aud": "other"},
        "issuer": {"iss": "other"},
        "expired": {"exp": 1},
        "not valid": {"nbf": 1e12},
    }
    with protected(provider, tmp_path) as gateway:
        for says, claims in wrong.items():
            status, body, _ = ask(gateway, provider.token(**claims), "/rc3")
            assert (status, body["errors"][0]["reason"]) == (401, "MTANGO_Unauthorized")
            assert says in body["errors"][0]["description"]
        status, body, _ = ask(gateway, provider.token(groups=["operators"], more="x" * 5_000))
        assert (status, body["user"], body["groups"], body["method"]) == (200, "ada", ["operators"], "bearer")


def make_certificate(folder: Path) -> Path:
    """Return a file with a private key and a certificate for localhost that it has signed itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (path := folder / "tls.pem").write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return path


@pytest.mark.parametrize("is_trusted", [True, False])
def test_certificate_of_the_provider_is_verified(tango_system: EmbeddedTango, tmp_path: Path, is_trusted: bool) -> None:
    path = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    trusted = {"SSL_CERT_FILE": str(path)} if is_trusted else {}
    with oidc_provider(context) as provider, protected(provider, tmp_path, **trusted) as gateway:
        status, body, _ = ask(gateway, provider.token())
        assert status == (200 if is_trusted else 503), body
        assert ("certificate verify failed" in gateway.log.read_text()) is not is_trusted


@in_patched_process
def test_fetches_in_threads_leave_no_hub_behind() -> None:
    import gevent
    import psutil

    from mtango_gevent import create_app
    from mtango_gevent.api.access.fetch import fetch_json
    from mtango_gevent.config import Config

    call = create_app(Config()).extensions["mtango"].client.partitions.keys.call
    open_files = list[int]()
    with oidc_provider() as provider:
        for _ in range(20):
            gevent.sleep(0)
            assert call("keys", fetch_json, provider.issuer + "/certs")["keys"]
            open_files.append(psutil.Process().num_fds())
    assert max(open_files[10:]) <= max(open_files[:10])
