"""Subscriptions in Redis, for gateways on several machines. Every change is one script, which Redis runs as a whole.

Keys, of which Redis forgets each after its time: `subscription:ID` (owner, client, version), `events:ID` (target by
event), `event:TARGET` (the id of its events), `client:CLIENT` (ids of subscriptions by the time of their end).
`secret`, which stays, signs the tokens of streams.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from typing import Any, ParamSpec, TypeVar

import redis
from gevent import monkey
from redis.backoff import NoBackoff
from redis.retry import Retry

from mtango_gevent.redaction import redact
from mtango_gevent.store.interface import (
    MOST_SUBSCRIPTIONS,
    MOST_TARGETS,
    StoreError,
    StoreFull,
    Subscription,
    Target,
)

P = ParamSpec("P")
T = TypeVar("T")

# Seconds that a connection and an answer may take.
_TIMEOUT = 2.0

# Connections of a worker at most. More calls wait for one of them.
_CONNECTIONS = 4

_PREFIX = "mtango:"

# Subscriptions that are kept with one call of the script, during which Redis does nothing else.
_AT_A_TIME = 20

_COMMON = """
local prefix, linger = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function key(kind, name) return prefix .. kind .. ':' .. name end

local function is_of(id, owner) return redis.call('HGET', key('subscription', id), 'owner') == owner end

-- Keep a subscription, and the ids of its events a little longer.
local function keep(id)
    local client = redis.call('HGET', key('subscription', id), 'client')
    if not client then return end
    redis.call('PEXPIRE', key('subscription', id), linger)
    redis.call('PEXPIRE', key('events', id), linger)
    redis.call('ZADD', key('client', client), now + linger, id)
    redis.call('PEXPIRE', key('client', client), linger)
    for _, target in ipairs(redis.call('HVALS', key('events', id))) do
        redis.call('PEXPIRE', key('event', target), 2 * linger)
    end
end

local function add(id, first)
    for position = first, #ARGV do
        local target = ARGV[position]
        local event = redis.call('GET', key('event', target))
        if not event then
            event = redis.call('INCR', prefix .. 'events')
            redis.call('SET', key('event', target), event)
        end
        redis.call('HSET', key('events', id), event, target)
    end
end

-- Count a change, and return the version and the events.
local function changed(id)
    local version = redis.call('HINCRBY', key('subscription', id), 'version', 1)
    keep(id)
    return {version, redis.call('HGETALL', key('events', id))}
end
"""

# Each after prefix and linger: id, owner, and what it needs besides.
_SCRIPTS = {
    "create": """
local id, owner, client, most, most_targets = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
redis.call('ZREMRANGEBYSCORE', key('client', client), '-inf', now)
local ids = redis.call('ZRANGE', key('client', client), 0, -1)
if #ids >= most then return {'full', most .. ' subscriptions of one client'} end
local targets = #ARGV - 7
for _, other in ipairs(ids) do targets = targets + redis.call('HLEN', key('events', other)) end
if targets > most_targets then return {'full', most_targets .. ' targets of one client'} end
redis.call('HSET', key('subscription', id), 'owner', owner, 'client', client)
add(id, 8)
return changed(id)
""",
    "extend": """
local id, owner, most = ARGV[3], ARGV[4], tonumber(ARGV[5])
if not is_of(id, owner) then return false end
local new = 0
for position = 6, #ARGV do
    local event = redis.call('GET', key('event', ARGV[position]))
    if not event or redis.call('HEXISTS', key('events', id), event) == 0 then new = new + 1 end
end
local targets = redis.call('HLEN', key('events', id)) + new
if targets > most then return {'full', most .. ' targets of a subscription, got ' .. targets} end
add(id, 6)
return changed(id)
""",
    "remove": """
local id, owner = ARGV[3], ARGV[4]
if not is_of(id, owner) then return false end
for position = 5, #ARGV do
    local event = redis.call('GET', key('event', ARGV[position]))
    if event then redis.call('HDEL', key('events', id), event) end
end
return changed(id)
""",
    "read": """
local id, owner = ARGV[3], ARGV[4]
if not is_of(id, owner) then return false end
local version = redis.call('HGET', key('subscription', id), 'version')
return {tonumber(version), redis.call('HGETALL', key('events', id))}
""",
    "delete": """
local id, owner = ARGV[3], ARGV[4]
if not is_of(id, owner) then return 0 end
redis.call('ZREM', key('client', redis.call('HGET', key('subscription', id), 'client')), id)
return redis.call('DEL', key('subscription', id), key('events', id))
""",
    "keep": "for position = 3, #ARGV do keep(ARGV[position]) end",
}


def _translated(function: Callable[P, T]) -> Callable[P, T]:
    """Raise StoreError in place of the errors of redis."""

    @functools.wraps(function)
    def call(*arguments: P.args, **keywords: P.kwargs) -> T:
        try:
            return function(*arguments, **keywords)
        except (redis.RedisError, OSError) as error:
            raise StoreError(redact(f"Redis: {error}")) from None

    return call


class RedisStore:
    """url: of the server, as redis-py takes it."""

    def __init__(self, url: str, linger: float) -> None:
        self.yields = monkey.is_module_patched("socket")
        self._linger = int(linger * 1000)
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_TIMEOUT,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            retry=Retry(NoBackoff(), 1),  # at once, as Redis may have closed a connection that was kept
            decode_responses=True,
        )
        self._redis: Any = redis.Redis(connection_pool=pool)
        self._scripts = {name: self._redis.register_script(_COMMON + script) for name, script in _SCRIPTS.items()}

    def _run(self, script: str, *arguments: str | int) -> Any:
        return self._scripts[script](args=[_PREFIX, self._linger, *arguments])

    @_translated
    def create(self, id: int, owner: str, client: str, targets: Collection[Target]) -> Subscription:
        limits = (MOST_SUBSCRIPTIONS, MOST_TARGETS)
        found = _subscription(id, self._run("create", id, owner, client, *limits, *_keys(targets)))
        assert found is not None
        return found

    @_translated
    def read(self, id: int, owner: str) -> Subscription | None:
        return _subscription(id, self._run("read", id, owner))

    @_translated
    def extend(self, id: int, owner: str, targets: Collection[Target], most: int) -> Subscription | None:
        return _subscription(id, self._run("extend", id, owner, most, *_keys(targets)))

    @_translated
    def remove(self, id: int, owner: str, targets: Collection[Target]) -> Subscription | None:
        return _subscription(id, self._run("remove", id, owner, *_keys(targets)))

    @_translated
    def delete(self, id: int, owner: str) -> bool:
        return self._run("delete", id, owner) > 0

    @_translated
    def keep(self, ids: Collection[int]) -> None:
        asked = list(ids)
        for first in range(0, len(asked), _AT_A_TIME):
            self._run("keep", *asked[first : first + _AT_A_TIME])

    @_translated
    def versions(self, ids: Collection[int]) -> dict[int, int]:
        pipeline = self._redis.pipeline(transaction=False)
        for id in ids:
            pipeline.hget(f"{_PREFIX}subscription:{id}", "version")
        found = zip(ids, pipeline.execute(), strict=True)
        return {id: int(version) for id, version in found if version is not None}

    @_translated
    def secret(self, own: bytes) -> bytes:
        pipeline = self._redis.pipeline()
        pipeline.set(f"{_PREFIX}secret", own.hex(), nx=True)
        pipeline.get(f"{_PREFIX}secret")
        return bytes.fromhex(pipeline.execute()[1])

    @_translated
    def check(self) -> None:
        self._redis.ping()


def _keys(targets: Collection[Target]) -> Iterator[str]:
    return (target.as_key() for target in targets)


def _subscription(id: int, answer: list[Any] | None) -> Subscription | None:
    """Return what a script has answered. Raises StoreFull."""
    if not answer:
        return None
    version, content = answer
    if version == "full":
        raise StoreFull(content)
    events = {int(event): Target.of_key(key) for event, key in zip(content[::2], content[1::2], strict=True)}
    return Subscription(id, version, dict(sorted(events.items())))
