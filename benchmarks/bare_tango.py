"""The yardstick "bare_tango": the least that answers with gunicorn's gevent worker and PyTango.

Four native threads make the calls, and one watcher of the hub hands all finished ones back at each wake-up. There is no
Flask, and there are no limits, checks or deadlines: what the gateway costs more than this is its own.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import gevent
import orjson
import tango
from gevent import monkey
from gevent.hub import Waiter

from benchmarks import shapes

_THREADS = 4


class Threads:
    def __init__(self) -> None:
        self._calls: Any = monkey.get_original("queue", "SimpleQueue")()
        self._finished = deque[Callable[[], None]]()
        self._watcher: Any = gevent.get_hub().loop.async_()
        self._watcher.start(self._hand_back)
        for _ in range(_THREADS):
            monkey.get_original("_thread", "start_new_thread")(self._work, ())

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        waiter = Waiter()
        self._calls.put((waiter, function, arguments))
        return waiter.get()

    def _work(self) -> None:
        with tango.EnsureOmniThread():
            while True:
                waiter, function, arguments = self._calls.get()
                try:
                    done = functools.partial(waiter.switch, function(*arguments))
                except Exception as error:
                    done = functools.partial(waiter.throw, error)
                self._finished.append(done)
                self._watcher.send()

    def _hand_back(self) -> None:
        while self._finished:
            self._finished.popleft()()


class Application:
    def __init__(self) -> None:
        self._call = Threads().call
        self._proxies = dict[str, Any]()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = shapes.encode(self._ask(environ))
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _ask(self, environ: dict[str, Any]) -> Any:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if "/devices" not in path:
            return None
        query = parse_qs(environ["QUERY_STRING"])
        base, _, item = path.partition("/devices")
        if not item:
            url = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{base}/devices"
            return shapes.devices(self._run("sys/database/2", "DbGetDeviceWideList", query["wildcard"][0]), url)
        _, domain, family, member, kind, name, *_ = item.split("/")
        device = f"{domain}/{family}/{member}"
        if kind == "commands":
            return {"name": name, "output": self._run(device, name, orjson.loads(environ["wsgi.input"].read()))}
        proxy = self._proxy(device)
        if "attr" in query:
            return [shapes.value(reading) for reading in self._call(proxy.read_attributes, query["attr"])]
        if method == "PUT":
            self._call(proxy.write_attribute, name, float(query["v"][0]))
        return shapes.value(self._call(proxy.read_attribute, name))

    def _run(self, device: str, command: str, argument: Any) -> Any:
        return self._call(self._proxy(device).command_inout, command, argument)

    def _proxy(self, device: str) -> Any:
        if device not in self._proxies:
            self._proxies[device] = self._call(tango.DeviceProxy, device)
        return self._proxies[device]


application = Application()
