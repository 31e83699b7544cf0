"""The warning of a gateway whose devices every client of a network can change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtango_gevent.config import Config
from mtango_gevent.serving import exposure


@pytest.mark.parametrize(
    "address", [("127.0.0.1", 8000), ("127.1.2.3", 8000), ("::1", 8000, 0, 0), ("localhost", 8000), "/run/mtango.sock"]
)
def test_gateway_of_this_machine_is_not_exposed(address: Any) -> None:
    assert exposure.warning(Config(), [address]) == ""


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (("0.0.0.0", 8000), "0.0.0.0:8000"),
        (("::", 8000, 0, 0), "[::]:8000"),
        (("192.168.1.2", 80), "192.168.1.2:80"),
        (("fe80::1%eth0", 80, 0, 2), "[fe80::1%eth0]:80"),
        (("gw.example.org", 80), "gw.example.org:80"),
    ],
)
def test_warning_names_the_address_and_the_settings_in_one_line(address: Any, shown: str) -> None:
    line = exposure.warning(Config(), [("127.0.0.1", 1), address])
    assert shown in line
    assert "127.0.0.1:1" not in line
    assert "\n" not in line
    for name in ("MTANGO_AUTH", "MTANGO_RULES", "MTANGO_READ_ONLY", "MTANGO_HOST"):
        assert name in line


@pytest.mark.parametrize("settings", [{"auth": ("key",)}, {"rules": "rules.toml"}, {"read_only": True}], ids=str)
def test_restricted_gateway_is_not_warned_of(settings: dict[str, Any]) -> None:
    assert exposure.warning(Config(**settings), [("0.0.0.0", 8000)]) == ""


@pytest.mark.parametrize(
    ("rules", "numbers"),
    [
        ('[[rule]]\nanyone = true\nmay = ["write"]', "1"),
        ('[[rule]]\nusers = ["a"]\nmay = ["write"]\n[[rule]]\nnetworks = ["0.0.0.0/0"]\nmay = ["execute"]', "2"),
        ('[[rule]]\nnetworks = ["::/0"]\nmay = ["configure"]\n[[rule]]\nanyone = true\nmay = ["write"]', "1, 2"),
        ('[[rule]]\nnetworks = ["10.0.0.0/8"]\nmay = ["write"]', ""),
        ('[[rule]]\nanyone = true\nmay_not = ["write"]', ""),
        ('[[rule]]\nanyone = true\nmay = ["read", "administer"]', ""),
        ("rule = 1", ""),
        ("[[rule]", ""),
        ('[[rule]]\nnetworks = ["nowhere"]\nmay = ["write"]', ""),
    ],
)
def test_rules_that_open_devices_to_every_network_are_warned_of(tmp_path: Path, rules: str, numbers: str) -> None:
    (tmp_path / "rules.toml").write_text(rules)
    config = Config(rules=str(tmp_path / "rules.toml"), auth=("key",))
    line = exposure.warning(config, [("0.0.0.0", 8000)])
    assert (f"rule {numbers} of rules.toml" in line) if numbers else line == ""
    assert exposure.warning(config, [("127.0.0.1", 8000)]) == ""
