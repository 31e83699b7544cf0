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
    AT_A_TIME,
    MOST_SUBSCRIPTIONS,
    MOST_TARGETS,
    StoreError,
    StoreFull,
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
local prefix, linger, most_targets = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function key(kind, name) return prefix .. kind .. ':' .. name end

local function is_of(id, owner) return redis.call('HGET', key('subscription', id), 'owner') == owner end

-- Keep a subscription. Return whether it exists.
local function keep(id)
    local client = redis.call('HGET', key('subscription', id), 'client')
    if not client then return false end
    redis.call('PEXPIRE', key('subscription', id), linger)
    redis.call('PEXPIRE', key('events', id), linger)
    redis.call('ZADD', key('client', client), now + linger, id)
    redis.call('PEXPIRE', key('client', client), linger)
    return true
end

-- Count a change.
local function change(id)
    redis.call('HINCRBY', key('subscription', id), 'version', 1)
    keep(id)
    return 1
end

-- Return what there would be too much of with `new` more targets of a client.
local function excess(client, new)
    local targets = new
    for _, other in ipairs(redis.call('ZRANGEBYSCORE', key('client', client), now, '+inf')) do
        targets = targets + redis.call('HLEN', key('events', other))
    end
    if targets > most_targets then return most_targets .. ' targets of one client' end
end
"""

# Each after prefix, linger and the most targets of a client: id, owner, and what it needs besides.
_SCRIPTS = {
    "create": """
local id, owner, client, most, targets = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
redis.call('ZREMRANGEBYSCORE', key('client', client), '-inf', now)
if redis.call('ZCARD', key('client', client)) >= most then return most .. ' subscriptions of one client' end
local problem = excess(client, targets)
if problem then return problem end
redis.call('HSET', key('subscription', id), 'owner', owner, 'client', client)
return change(id)
""",
    "add": """
local id, owner, most = ARGV[4], ARGV[5], tonumber(ARGV[6])
if not is_of(id, owner) then return 0 end
local known, new = {}, 0
for position = 7, #ARGV do
    local event = redis.call('GET', key('event', ARGV[position]))
    known[position] = event
    if not event or redis.call('HEXISTS', key('events', id), event) == 0 then new = new + 1 end
end
local targets = redis.call('HLEN', key('events', id)) + new
if targets > most then return most .. ' targets of a subscription, got ' .. targets end
local problem = excess(redis.call('HGET', key('subscription', id), 'client'), new)
if problem then return problem end
for position = 7, #ARGV do
    local target = ARGV[position]
    local event = known[position] or redis.call('GET', key('event', target)) or redis.call('INCR', prefix .. 'events')
    redis.call('SET', key('event', target), event, 'PX', 2 * linger)
    redis.call('HSET', key('events', id), event, target)
end
return change(id)
""",
    "remove": """
local id, owner = ARGV[4], ARGV[5]
if not is_of(id, owner) then return 0 end
for position = 6, #ARGV do
    local event = redis.call('GET', key('event', ARGV[position]))
    if event then redis.call('HDEL', key('events', id), event) end
end
return change(id)
""",
    "version": """
local id, owner = ARGV[4], ARGV[5]
if not is_of(id, owner) then return false end
return tonumber(redis.call('HGET', key('subscription', id), 'version'))
""",
    "delete": """
local id, owner = ARGV[4], ARGV[5]
if not is_of(id, owner) then return 0 end
redis.call('ZREM', key('client', redis.call('HGET', key('subscription', id), 'client')), id)
return redis.call('UNLINK', key('subscription', id), key('events', id))
""",
    # The ids of its events are kept longer than the subscription.
    "keep": """
for position = 4, #ARGV do
    if keep(ARGV[position]) then
        for _, target in ipairs(redis.call('HVALS', key('events', ARGV[position]))) do
            redis.call('PEXPIRE', key('event', target), 2 * linger)
        end
    end
end
""",
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
        return self._scripts[script](args=[_PREFIX, self._linger, MOST_TARGETS, *arguments])

    def _change(self, script: str, *arguments: str | int) -> bool:
        """Return whether a script has changed a subscription. Raises StoreFull."""
        answer = self._run(script, *arguments)
        if isinstance(answer, str):
            raise StoreFull(answer)
        return answer > 0

    @_translated
    def create(self, id: int, owner: str, client: str, targets: int) -> None:
        self._change("create", id, owner, client, MOST_SUBSCRIPTIONS, targets)

    @_translated
    def version(self, id: int, owner: str) -> int | None:
        return self._run("version", id, owner)

    @_translated
    def events(self, id: int, position: int) -> tuple[dict[int, Target], int]:
        next_position, found = self._redis.hscan(f"{_PREFIX}events:{id}", position, count=AT_A_TIME)
        return {int(event): Target.of_key(key) for event, key in found.items()}, int(next_position)

    @_translated
    def add(self, id: int, owner: str, targets: Collection[Target], most: int) -> bool:
        return self._change("add", id, owner, most, *_keys(targets))

    @_translated
    def remove(self, id: int, owner: str, targets: Collection[Target]) -> bool:
        return self._change("remove", id, owner, *_keys(targets))

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
