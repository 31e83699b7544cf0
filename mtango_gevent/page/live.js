/** Live values: one connection of the page, with subscriptions that are shared by all that follow the same source. */

import { get, onAuthorization, streamUrl } from "./api.js";
import { Refused, openSocket } from "./socket.js";

// Milliseconds: delays before connections, until a source without followers ends, and until a refused one is tried again.
const FIRST_DELAY = 1_000, MOST_DELAY = 10_000, LINGER = 500, RETRY = 10_000;

// Milliseconds between two calls of listeners, and while the page is hidden: more frames take more than they show.
const SHOWN = 50, HIDDEN = 1_000;

// Refusals of the WebSocket by a gateway that answers otherwise, after which the page takes server-sent events.
const REFUSALS = 2;

/** state: "connecting", "open" (WebSocket), "fallback" (server-sent events) or "lost"; since: milliseconds.
 *
 * failure: the Failure of a request to the gateway when the connection was lost, if there was one.
 */
export const connection = { state: "connecting", since: Date.now(), failure: null };

const sources = new Map(), sourcesById = new Map(), observers = new Set();
let transport = null, attempt = 0, failed = 0, refusals = 0, timer = 0, nextId = 1, waitsForLogin = false;

// --- followers ---

/** Call a listener with the record of an attribute, at most once in 50 ms, until the function that is returned is called.
 *
 * keep: "latest", or "all": the listener is then called for each record, in order.
 * The record: value, set_value (of a writable scalar), quality (null if unknown), errors (null or a list), time of the value (ms, 0 without one),
 * missed, configuration, stale.
 */
export function follow(device, attribute, listener, { event = "change", maxHz = 10, binary = false, keep = "latest" } = {}) {
  const key = [device, attribute, event, maxHz, binary, keep].join("\n").toLowerCase();
  const source = sources.get(key) ?? addSource({ key, device, attribute, event, maxHz, binary, keep });
  const follower = { listener, source };
  source.followers.add(follower);
  if (source.record.time || source.record.errors) deliver(newcomers, follower);
  return () => {
    source.followers.delete(follower);
    newcomers.delete(follower);
    if (!source.followers.size) setTimeout(dropSource, LINGER, source);
  };
}

function addSource(given) {
  const record = { value: undefined, quality: null, errors: null, time: 0, missed: 0, configuration: null, stale: true };
  const source = { ...given, id: nextId++, followers: new Set(), record, records: [] };
  sources.set(source.key, source);
  sourcesById.set(source.id, source);
  subscribeSoon(source);
  return source;
}

function dropSource(source) {
  if (source.followers.size || !sourcesById.delete(source.id)) return;
  sources.delete(source.key);
  begun.delete(source);
  transport?.unsubscribe([source]);
}

// --- subscriptions that wait to be sent together ---

const begun = new Set();

function subscribeSoon(source) {
  if (!begun.size) setTimeout(subscribe);
  begun.add(source);
}

function subscribe() {
  if (transport && begun.size) transport.subscribe([...begun]);
  begun.clear(); // without a connection, all are subscribed when there is one
}

// --- records ---

const dirty = new Set(), newcomers = new Set();
let flushing = 0, flushed = 0;

const handlers = {
  onRecord(id, given) {
    const source = sourcesById.get(id);
    if (!source) return;
    const { errors = null, time, came, missed = 0 } = given, last = source.record;
    source.after = came === undefined ? time : [time, came];
    const record = { ...last, errors, time: errors ? last.time : time / 1000, stale: errors !== null };
    if ("value" in given) record.value = given.value;
    if ("set_value" in given) record.set_value = given.set_value;
    if (given.quality !== undefined) record.quality = given.quality;
    const before = dirty.has(source) && source.keep !== "all" ? last.missed : 0;
    record.missed = missed === null || before === null ? null : before + missed;
    change(source, record);
  },
  /** The subscription has begun: after a reconnect, no record has to follow if the value is still the same. */
  onConfiguration(id, configuration) {
    const source = sourcesById.get(id);
    if (source) change(source, { ...source.record, configuration, stale: source.record.errors !== null || !source.record.time });
  },
  /** The subscription has ended or was refused; it is tried again as long as somebody follows it. */
  onFailure(id, errors) {
    const source = sourcesById.get(id);
    if (!source) return;
    change(source, { ...source.record, errors, stale: true });
    setTimeout(() => sourcesById.has(id) && subscribeSoon(source), RETRY);
  },
  onClose: (code) => lose(code === 4403 || code === 4503 ? MOST_DELAY : undefined),
};

function change(source, record) {
  source.record = record;
  if (source.keep === "all") source.records.push(record);
  deliver(dirty, source);
}

function deliver(queue, item) {
  queue.add(item);
  if (flushing && !document.hidden) return;
  const wait = flushed + (document.hidden ? HIDDEN : SHOWN) - performance.now();
  if (document.hidden && wait <= 0) flush(); // without a timer, which is slow now
  else flushing ||= setTimeout(flush, wait);
}

function flush() {
  clearTimeout(flushing);
  flushing = 0;
  flushed = performance.now();
  const followers = new Map([...newcomers].map((follower) => [follower, [follower.source.record]]));
  for (const source of dirty) {
    const records = source.keep === "all" ? source.records : [source.record];
    for (const follower of source.followers) followers.set(follower, records);
    source.records = [];
  }
  dirty.clear();
  newcomers.clear();
  for (const [{ listener }, records] of followers) for (const record of records) call(listener, record);
}

function call(listener, argument) {
  try {
    listener(argument);
  } catch (error) {
    reportError(error);
  }
}

// --- the connection ---

/** Call a listener with the connection when its state changes. */
export function onConnection(listener) {
  observers.add(listener);
  return () => observers.delete(listener);
}

function setState(state, failure = null) {
  const isSame = connection.state === state;
  if (isSame && connection.failure?.status === failure?.status) return;
  Object.assign(connection, { state, failure, since: isSame ? connection.since : Date.now() });
  for (const observer of observers) call(observer, connection);
}

/** Connect, and again whenever the connection is lost. */
export async function connect() {
  const own = ++attempt;
  clearTimeout(timer);
  waitsForLogin = false;
  const guarded = Object.fromEntries(Object.entries(handlers).map(([name, handle]) => [name, (...given) => own === attempt && handle(...given)]));
  try {
    const open = refusals < REFUSALS ? openSocket : (await import("./fallback.js")).openFallback; // which is seldom needed
    const opened = await open(guarded);
    if (own !== attempt) return opened.close();
    begin(opened);
  } catch (error) {
    const failure = error instanceof Refused ? await whyRefused() : error;
    if (own !== attempt) return;
    if (error instanceof Refused && refusals >= REFUSALS) connect(); // by server-sent events
    else lose(undefined, failure);
  }
}

function begin(opened) {
  transport = opened;
  failed = 0;
  if (opened.state === "open") refusals = 0;
  begun.clear();
  transport.subscribe([...sources.values()]);
  setState(opened.state);
}

/** Count a refusal where the gateway answers a request nevertheless; return the failure of that request. */
async function whyRefused() {
  try {
    await get(streamUrl("/stream/token"));
    refusals += 1;
    return null;
  } catch (failure) {
    return failure;
  }
}

/** Mark all values as stale, and connect again after a while: with other credentials where these are refused. */
function lose(delay = Math.min(MOST_DELAY, FIRST_DELAY * 2 ** failed), failure = null) {
  attempt += 1;
  transport?.close();
  if (transport?.state === "fallback") refusals = REFUSALS - 1; // the WebSocket has another chance
  transport = null;
  failed += 1;
  if (failure || connection.state !== "connecting") setState("lost", failure);
  for (const source of sources.values()) if (!source.record.stale) change(source, { ...source.record, stale: true });
  waitsForLogin = failure?.status === 401;
  if (!waitsForLogin) timer = setTimeout(connect, delay * (0.75 + Math.random() / 2));
}

onAuthorization(() => {
  if (transport?.renew) return void transport.renew();
  transport?.close();
  transport = null;
  connect();
});

document.addEventListener("visibilitychange", () => {
  flush();
  if (!document.hidden && connection.state === "lost" && !waitsForLogin) connect();
});
