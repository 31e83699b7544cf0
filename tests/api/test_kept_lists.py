"""Lists of devices that are kept until the database answers otherwise."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tango
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango

# More than are encoded at a time, and no multiple of that.
MANY = 1234


@pytest.fixture(scope="module")
def database(tango_system: EmbeddedTango) -> Iterator[tango.Database]:
    """With many devices, written into its file: to add them one by one takes seconds."""
    rows = [(f"kept/{number % 3}/{number * 7 % MANY:04}", "kept", str(number % 3), "Many") for number in range(MANY)]
    insert = """INSERT INTO device (name, domain, family, member, server, class, exported, ior, host, pid, version)
        VALUES (?, ?, ?, substr(?1, 8), 'Kept/test', ?, 0, 'nada', 'nada', 0, '0')"""
    with sqlite3.connect(tango_system.folder / "tango.sqlite", timeout=30) as file:
        file.executemany(insert, rows)
    yield tango.Database(*tango_system.tango_host.split(":"))
    with sqlite3.connect(tango_system.folder / "tango.sqlite", timeout=30) as file:
        file.execute("DELETE FROM device WHERE domain = 'kept'")


@pytest.fixture
def added(database: tango.Database) -> Iterator[Callable[[], str]]:
    """Return a function that adds a device, and returns its name."""
    name = "kept/0/new"

    def add() -> str:
        info = tango.DbDevInfo()
        info.name, info.server, info._class = name, "Kept/test", "Many"
        database.add_device(info)
        return name

    yield add
    database.delete_device(name)


def member_names(tree: list[Any]) -> list[str]:
    """Return the names of the devices in a tree, without its aliases."""
    return [
        item["device_name"] for domain in tree[0]["data"][1:] for family in domain["data"] for item in family["data"]
    ]


@pytest.fixture(params=["rc3", "v11", "tree"])
def listed(
    request: pytest.FixtureRequest, make_client: Callable[..., TestApp], host_url: str, database: tango.Database
) -> Callable[..., list[str]]:
    """Return a function that returns the names of the devices of `kept`, as a list of the API has them."""
    client = make_client(metadata_max_age=10.0)
    version, of_v11 = request.param, host_url.replace("rc3", "v11")
    host, _, port = of_v11.rpartition("/")
    url = f"{host_url}/devices" if version == "rc3" else f"{host};port={port}/devices"

    def ask(query: str = "") -> list[str]:
        answer = client.get(f"{url}{'/tree' if version == 'tree' else ''}?wildcard=kept/*{query}").json
        return member_names(answer) if version == "tree" else [item["name"] for item in answer]

    return ask


def test_list_is_sorted_and_complete_each_time(listed: Callable[..., list[str]]) -> None:
    names = listed()
    assert len(names) == MANY
    assert names == sorted(names)
    assert listed() == names


def test_list_follows_the_database_at_once(
    listed: Callable[..., list[str]], added: Callable[[], str], database: tango.Database
) -> None:
    before = listed()
    name = added()
    assert set(listed()) - set(before) == {name}
    database.delete_device(name)
    assert listed() == before


def test_list_with_a_filter_is_another_one(listed: Callable[..., list[str]]) -> None:
    names = listed()
    assert listed("&filter=name&filter=device_name") == names
    assert listed() == names


def test_etag_changes_with_the_list(
    make_client: Callable[..., TestApp], host_url: str, added: Callable[[], str]
) -> None:
    client, url = make_client(metadata_max_age=10.0), f"{host_url}/devices?wildcard=kept/*"
    tag = client.get(url).headers["ETag"]
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    added()
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 200


def test_links_have_the_host_of_each_request(client: TestApp, host_url: str, database: tango.Database) -> None:
    url = f"{host_url}/devices?wildcard=kept/0/000*"
    for host in ("one.example.org", "two.example.org:8080", "one.example.org"):
        for item in client.get(url, headers={"Host": host}).json:
            assert item["href"].startswith(f"http://{host}/tango/rest/rc3/")


def test_parts_of_a_list_are_those_of_the_whole(client: TestApp, host_url: str, database: tango.Database) -> None:
    url = f"{host_url}/devices?wildcard=kept/*"
    whole = client.get(url).json
    for start, stop in ((0, 100), (100, 333), (1200, 1300)):
        *items, about = client.get(f"{url}&range={start}-{stop}", status=206).json
        assert items == whole[start:stop]
        assert about["total"] == MANY


def test_aliases_follow_the_database_at_once(
    client: TestApp, host_url: str, added: Callable[[], str], database: tango.Database
) -> None:
    host, _, port = host_url.replace("rc3", "v11").rpartition("/")
    url, name = f"{host};port={port}/devices?wildcard=kept/0/new", added()
    assert "alias" not in client.get(url).json[0]
    database.put_device_alias(name, "kept_alias")
    try:
        assert client.get(url).json[0]["alias"] == "kept_alias"
        (aliases, _) = client.get(url.replace("?", "/tree?")).json[0]["data"]
        assert [item["value"] for item in aliases["data"]] == ["kept_alias"]
    finally:
        database.delete_device_alias("kept_alias")
    assert "alias" not in client.get(url).json[0]
