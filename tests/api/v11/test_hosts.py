"""The entry of v11, Tango hosts, lists of devices, domains, families and members."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from webtest import TestApp

from mtango_gevent.control import host
from mtango_gevent.demo.embedded import EmbeddedTango
from tests.api.v11.conftest import V11
from tests.conftest import DEMO_DEVICE, TYPES_DEVICE
from tests.pytango_process import PyTango


def test_entry_names_the_hosts_and_the_challenge(client: TestApp) -> None:
    answer = client.get(V11)
    assert answer.json == {"hosts": f"http://localhost{V11}/hosts"}
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Tango-Controls Realm"'


def test_v10_is_the_same_with_links_of_its_own(client: TestApp) -> None:
    assert client.get("/tango/rest/v10").json == {"hosts": "http://localhost/tango/rest/v10/hosts"}


def test_list_of_hosts_is_refused(client: TestApp) -> None:
    failure = client.get(f"{V11}/hosts", status=400).json
    assert failure["quality"] == "FAILURE"


def test_host_has_what_clients_read(client: TestApp, v11_host_url: str, tango_system: EmbeddedTango) -> None:
    host, port = tango_system.tango_host.split(":")
    shown = client.get(v11_host_url).json
    info = shown.pop("info")
    assert info
    assert all(isinstance(line, str) for line in info)
    assert shown == {
        "id": tango_system.tango_host,
        "host": host,
        "port": port,
        "name": "sys/database/2",
        "devices": f"http://localhost{v11_host_url}/devices",
        "tree": f"http://localhost{v11_host_url}/devices/tree",
    }
    assert client.get(f"{v11_host_url}?filter=name").json == {"name": "sys/database/2"}
    assert client.get(v11_host_url.replace(";", "%3B")).json["id"] == tango_system.tango_host


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("nowhere.invalid;port={port}", 404),
        ("localhost;port={port}", 200),
        ("127.0.0.1;port=1", 400),
        ("127.0.0.1", 400),
        ("127.0.0.1;ports=1", 400),
        ("127.0.0.1;port=x", 400),
        ("127.0.0.1;port=99999", 400),
    ],
)
def test_only_served_hosts_are_known(client: TestApp, tango_system: EmbeddedTango, host: str, status: int) -> None:
    url = f"{V11}/hosts/{host.format(port=tango_system.tango_host.split(':')[1])}"
    answer = client.get(url, status=status)
    assert answer.json.get("quality") == (None if status == 200 else "FAILURE")


@pytest.fixture
def alias(pytango: PyTango) -> Iterator[str]:
    pytango.run("sys/database/2", "DbPutDeviceAlias", [DEMO_DEVICE, "demo-alias"])
    yield "demo-alias"
    pytango.run("sys/database/2", "DbDeleteDeviceAlias", "demo-alias")


def test_devices_are_those_of_any_wildcard(client: TestApp, v11_host_url: str, alias: str) -> None:
    listed = client.get(f"{v11_host_url}/devices?wildcard=sys/tg_test/*&wildcard=demo/types/1&wildcard=").json
    assert listed == [
        {"name": TYPES_DEVICE, "href": f"http://localhost{v11_host_url}/devices/{TYPES_DEVICE}"},
        {"name": DEMO_DEVICE, "alias": alias, "href": f"http://localhost{v11_host_url}/devices/{DEMO_DEVICE}"},
    ]
    everything = [device["name"] for device in client.get(f"{v11_host_url}/devices").json]
    assert {DEMO_DEVICE, TYPES_DEVICE} < set(everything)


def test_wildcard_in_the_words_of_another_question_changes_no_list(client: TestApp, v11_host_url: str) -> None:
    """Without aliases both questions have empty answers."""
    client.get(f"{v11_host_url}/devices", {"wildcard": host._ALIASES}, status=200)
    assert client.get(f"{v11_host_url}/devices", status=200).json


def test_families_and_members(client: TestApp, v11_host_url: str) -> None:
    devices = f"{v11_host_url}/devices"
    assert "tg_test" in client.get(f"{devices}/sys").json
    assert client.get(f"{devices}/sys?wildcard=tg*").json == ["tg_test"]
    assert "1" in client.get(f"{devices}/SYS/tg_test").json
    assert client.get(f"{devices}/sys/tg_test?wildcard=none*").json == []
    assert client.get(f"{devices}/no*", status=400).json["quality"] == "FAILURE"


def test_tree_of_a_host(client: TestApp, v11_host_url: str, tango_system: EmbeddedTango, alias: str) -> None:
    id_ = tango_system.tango_host
    assert client.get(f"{v11_host_url}/devices/tree?wildcard=sys/tg_test/1").json == [
        {
            "id": id_,
            "value": id_,
            "$css": "tango_host",
            "isAlive": True,
            "data": [
                {
                    "value": "aliases",
                    "$css": "aliases",
                    "data": [{"value": alias, "$css": "member", "isAlias": True, "device_name": DEMO_DEVICE}],
                },
                {
                    "value": "sys",
                    "$css": "tango_domain",
                    "data": [
                        {
                            "value": "tg_test",
                            "$css": "tango_family",
                            "data": [
                                {
                                    "id": f"{id_}/{DEMO_DEVICE}",
                                    "value": "1",
                                    "$css": "member",
                                    "isMember": True,
                                    "device_name": DEMO_DEVICE,
                                }
                            ],
                        }
                    ],
                },
            ],
        }
    ]


@pytest.mark.parametrize("wildcard", ["", "?wildcard=", "?wildcard=*/*/*", "?wildcard=sys&wildcard=demo/*"])
def test_wildcards_of_the_tree_may_lack_parts(client: TestApp, v11_host_url: str, wildcard: str) -> None:
    ((aliases, *domains),) = (host["data"] for host in client.get(f"{v11_host_url}/devices/tree{wildcard}").json)
    assert aliases == {"value": "aliases", "$css": "aliases", "data": []}
    assert {"sys", "demo"} <= {domain["value"] for domain in domains}


def test_tree_of_several_hosts_leaves_out_those_that_are_not_served(
    client: TestApp, tango_system: EmbeddedTango
) -> None:
    host = tango_system.tango_host
    assert client.get(f"{V11}/devices/tree").json == []
    tree = client.get(f"{V11}/devices/tree?host={host}&host=127.0.0.1:1&host=nowhere.invalid&host=a:b&wildcard=").json
    assert [branch["id"] for branch in tree] == [host]
    assert tree[0]["isAlive"]


def test_tree_shows_a_host_whose_database_does_not_answer(
    make_client: Callable[..., TestApp], tango_system: EmbeddedTango
) -> None:
    client = make_client(tango_hosts=("127.0.0.1:1",))
    alive, dead = client.get(f"{V11}/devices/tree?host={tango_system.tango_host}&host=127.0.0.1:1&host=").json
    assert alive["isAlive"]
    assert (dead["id"], dead["isAlive"], dead["data"]) == ("127.0.0.1:1", False, [])
    assert dead["devFailed"]["errors"]
