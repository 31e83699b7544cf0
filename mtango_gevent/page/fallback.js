/** Server-sent events, where a WebSocket is refused. Reference: docs/reference/subscriptions.md.
 *
 * They have neither the quality of a value nor binary frames; the configuration is asked for.
 */

import { deviceOf, get, post, splitDevice, streamUrl } from "./api.js";
import { parseJson } from "./format.js";

// Milliseconds in which changes of what is followed are taken together, and attributes of one request for configurations.
const GATHER = 50, CHUNK = 16;

const URL_ = streamUrl("/subscriptions");

/** Open an event stream, and return it as a transport. Rejects with a Failure. */
export async function openFallback(handlers) {
  const sources = new Set(), described = new Set();
  let stream = null, round = 0, timer = 0;

  const end = (code) => {
    round += 1;
    clearTimeout(timer);
    stream?.close();
    if (code !== undefined) handlers.onClose(code);
  };
  /** Make a subscription of all sources with a stream of its own, in place of the last one: so no first value is missed. */
  const rebuild = async () => {
    const number = ++round, groups = Map.groupBy(sources, targetKey);
    const made = await post(URL_, [...groups.keys()].map((key) => JSON.parse(key)));
    if (number !== round) return;
    const next = new EventSource(`${URL_}/${made.id}/event-stream${made.token ? `?token=${encodeURIComponent(made.token)}` : ""}`);
    for (const { id, target } of made.events) {
      next.addEventListener(id, (event) => takeEvent(event, groups.get(JSON.stringify(target)), handlers));
    }
    for (const { target, errors } of made.failures) {
      for (const { id } of groups.get(JSON.stringify(target)) ?? []) handlers.onFailure(id, errors);
    }
    stream?.close();
    stream = next;
    await new Promise((resolve) => {
      next.onopen = resolve;
      next.onerror = () => (number === round ? end(1006) : resolve());
    });
    const undescribed = [...sources].filter((source) => !described.has(source));
    undescribed.forEach((source) => described.add(source));
    await describe(undescribed, handlers);
  };
  const rebuildSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => rebuild().catch(() => end(1006)), GATHER);
  };

  await rebuild();
  return {
    state: "fallback",
    subscribe: (added) => {
      added.forEach((source) => sources.add(source));
      if (added.length) rebuildSoon();
    },
    unsubscribe: (removed) => {
      removed.forEach((source) => sources.delete(source));
      rebuildSoon();
    },
    close: () => end(),
  };
}

// The gateway repeats a target as it was sent.
function targetKey({ device, attribute, event }) {
  const { host, name } = splitDevice(device);
  return JSON.stringify({ host, device: name, attribute, type: event });
}

function takeEvent({ data, lastEventId }, sources, handlers) {
  const time = Number(lastEventId) * 1000;
  const record = data.startsWith("error: ")
    ? { time, errors: [{ reason: "", description: data.slice(7), severity: "ERR", origin: "" }] }
    : { time, value: parseJson(data), quality: null };
  for (const { id } of sources) handlers.onRecord(id, record);
}

/** Ask for the configurations of the attributes of sources. Those that cannot be had are left out. */
async function describe(sources, handlers) {
  const groups = Map.groupBy(sources, ({ device, attribute }) => `${device}/${attribute}`.toLowerCase());
  const keys = [...groups.keys()];
  for (let first = 0; first < keys.length; first += CHUNK) {
    const wildcards = keys.slice(first, first + CHUNK).map((key) => {
      const { host, name } = splitDevice(key);
      return ["wildcard", `${host}/${name}`];
    });
    const found = await get(`/v11/attributes?${new URLSearchParams(wildcards)}`).catch(() => []);
    for (const { host, device, name, info } of found) {
      const key = `${deviceOf(host, device)}/${name}`.toLowerCase();
      if (info) for (const { id } of groups.get(key) ?? []) handlers.onConfiguration(id, { ...info, device });
    }
  }
}
