"""What v11 answers while a server or the database is gone: contract v11, section 2 and constraint 6 of section 1."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mtango_gevent.demo.embedded import ServerProcess
from tests.http_clients import Answer
from tests.live.conftest import Gateway

from .conftest import DEVICES, Tango, ask, is_good, until_good

LISTS = ["attributes", "commands"]  # pipes: without them in PyTango the list is empty


def v11_path(tango: Tango, what: str) -> str:
    host = tango.system.tango_host.replace(":", ";port=")
    return f"/tango/rest/v11/hosts/{host}/devices/{DEVICES[0]}/{what}"


def ends_repetition(answer: Answer) -> bool:
    return answer.status in (400, 404) and any("DEVICE_NOT_EXPORTED" in reason for reason in answer.reasons)


@pytest.mark.parametrize("end", [ServerProcess.freeze, ServerProcess.kill])
@pytest.mark.parametrize("is_known", [True, False])
def test_lists_of_unreachable_device_end_repetition_by_clients(
    gateway: Gateway, tango: Tango, end: Callable[[ServerProcess], object], is_known: bool
) -> None:
    if is_known:
        assert is_good(ask(gateway, v11_path(tango, "attributes/life/value")))
    end(tango.server.server)
    for noun in LISTS:
        assert ends_repetition(ask(gateway, v11_path(tango, noun))), noun
    answer = ask(gateway, v11_path(tango, "attributes/life/value"))
    assert answer.status == 503
    assert answer.reasons
    tango.mend()
    until_good(gateway, [v11_path(tango, noun) for noun in (*LISTS, "attributes/life/value")], 0)


def test_lists_end_repetition_while_the_database_is_frozen(gateway: Gateway, tango: Tango) -> None:
    tango.database.server.freeze()
    for noun in LISTS:
        assert ends_repetition(ask(gateway, v11_path(tango, noun))), noun
