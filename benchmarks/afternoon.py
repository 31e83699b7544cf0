"""The yardstick "fastapi": a gateway as one writes it in an afternoon, with FastAPI, tango.asyncio and orjson.

It answers the same JSON at the same URLs, as long as all goes well; it has no limits, no checks, no deadlines.
"""

import asyncio
import functools
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Query, Request, Response
from tango import EventData, EventType
from tango.asyncio import DeviceProxy

from benchmarks import shapes

DEVICES = "/tango/rest/rc3/hosts/{host}/{port}/devices"
DEVICE = DEVICES + "/{domain}/{family}/{member}"

app = FastAPI()
proxies: dict[str, Any] = {}
next_event: dict[tuple[str, str], asyncio.Future[EventData]] = {}


async def proxy_of(name: str) -> Any:
    if name not in proxies:
        proxies[name] = await DeviceProxy(name)
    return proxies[name]


def answer(data: Any) -> Response:
    return Response(shapes.encode(data), media_type="application/json")


@app.get(DEVICES)
async def devices(request: Request, wildcard: str = "*") -> Response:
    names = await (await proxy_of("sys/database/2")).command_inout("DbGetDeviceWideList", wildcard)
    return answer(shapes.devices(names, str(request.url.replace(query=""))))


@app.get(DEVICE + "/attributes/value")
async def read_all(domain: str, family: str, member: str, attr: Annotated[list[str], Query()]) -> Response:
    proxy = await proxy_of(f"{domain}/{family}/{member}")
    return answer([shapes.value(reading) for reading in await proxy.read_attributes(attr)])


@app.get(DEVICE + "/attributes/{name}/value")
async def read(domain: str, family: str, member: str, name: str) -> Response:
    proxy = await proxy_of(f"{domain}/{family}/{member}")
    return answer(shapes.value(await proxy.read_attribute(name)))


@app.put(DEVICE + "/attributes/{name}/value")
async def write(domain: str, family: str, member: str, name: str, v: float) -> Response:
    proxy = await proxy_of(f"{domain}/{family}/{member}")
    await proxy.write_attribute(name, v)
    return answer(shapes.value(await proxy.read_attribute(name)))


@app.put(DEVICE + "/commands/{name}")
async def run(domain: str, family: str, member: str, name: str, request: Request) -> Response:
    proxy = await proxy_of(f"{domain}/{family}/{member}")
    return answer({"name": name, "output": await proxy.command_inout(name, orjson.loads(await request.body()))})


@app.get(DEVICE + "/attributes/{name}/change")
async def wait(domain: str, family: str, member: str, name: str, timeout: int = 30000) -> Response:
    source = (f"{domain}/{family}/{member}", name)
    if source not in next_event:
        next_event[source] = asyncio.get_running_loop().create_future()
        proxy = await proxy_of(source[0])
        await proxy.subscribe_event(name, EventType.CHANGE_EVENT, functools.partial(publish, source))
    event = await asyncio.wait_for(asyncio.shield(next_event[source]), timeout / 1000)
    return answer(shapes.value(event.attr_value))


async def publish(source: tuple[str, str], event: EventData) -> None:
    done, next_event[source] = next_event[source], asyncio.get_running_loop().create_future()
    done.set_result(event)
