/** The WebSocket of live values. Reference: docs/reference/stream.md. */

import { authorization, get, streamUrl } from "./api.js";
import { parseJson } from "./format.js";

const QUALITIES = ["ATTR_VALID", "ATTR_INVALID", "ATTR_ALARM", "ATTR_CHANGING", "ATTR_WARNING"];
const ARRAYS = [, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array, Float32Array, Float64Array, Uint8Array];
const HEADER = 40, UNKNOWN = 0xffffffff;

// A message has at most 256 KiB, so as many subscriptions with long names.
const CHUNK = 250;

// Milliseconds between pings; a connection without an answer to one is lost.
const PING = 10_000;

// Milliseconds in which a handshake has to be answered.
const PATIENCE = 10_000;

export class Refused extends Error {}

/** Open the WebSocket, and return it as a transport. Rejects with Refused, or with the Failure of asking for a token. */
export async function openSocket(handlers) {
  const token = authorization() ? await get(streamUrl("/stream/token")) : null;
  const protocols = ["mtango.v1", ...(token ? [`mtango.token.${token.token}`] : [])];
  const socket = new WebSocket(streamUrl("/stream").replace(/^http/, "ws"), protocols);
  socket.binaryType = "arraybuffer";
  const timer = setTimeout(() => socket.close(), PATIENCE);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onclose = () => reject(new Refused("the WebSocket is refused"));
  });
  clearTimeout(timer);
  return transport(socket, token, handlers);
}

function transport(socket, token, handlers) {
  let waiting = false, renewal = 0;
  const send = (message) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));
  const end = (code) => {
    clearInterval(pings);
    clearTimeout(renewal);
    socket.onmessage = socket.onclose = null;
    socket.close();
    if (code !== undefined) handlers.onClose(code);
  };
  const pings = setInterval(() => {
    if (waiting) return end(1006);
    waiting = true;
    send({ ping: 1 });
  }, PING);
  // A new token in good time, and with other credentials; without one the gateway ends the connection, which begins again.
  const renew = async () => {
    const next = await get(streamUrl("/stream/token")).catch(() => null);
    if (socket.readyState !== WebSocket.OPEN) return;
    if (next) send({ token: next.token });
    renewLater(next ? next.seconds : 60);
  };
  const renewLater = (seconds) => {
    clearTimeout(renewal);
    renewal = setTimeout(renew, seconds * 800);
  };
  if (token) renewLater(token.seconds);
  socket.onclose = ({ code }) => end(code);
  socket.onmessage = ({ data }) => {
    waiting = false;
    if (data instanceof ArrayBuffer) handlers.onRecord(...parseFrame(data));
    else takeText(parseJson(data), handlers);
  };
  return {
    state: "open",
    subscribe: (sources) => chunks(sources).forEach((chunk) => send({ subscribe: chunk.map(subscription) })),
    unsubscribe: (sources) => chunks(sources).forEach((chunk) => send({ unsubscribe: chunk.map(({ id }) => id) })),
    renew,
    close: () => end(),
  };
}

const chunks = (list) => Array.from({ length: Math.ceil(list.length / CHUNK) }, (_, n) => list.slice(n * CHUNK, (n + 1) * CHUNK));

const subscription = ({ id, device, attribute, event, maxHz, binary, keep, after }) => ({
  id, device, attribute, event, binary, keep, set_value: true, ...(maxHz && { max_hz: maxHz }), ...(after && { after }),
});

function takeText({ configurations = [], records = [], failures = [] }, handlers) {
  for (const configuration of configurations) handlers.onConfiguration(configuration.id, configuration);
  for (const record of records) handlers.onRecord(record.id, record);
  for (const { id, errors } of failures) handlers.onFailure(id, errors);
}

/** Return the id and the record of a binary frame. 64-bit integers become numbers, as plots need them. */
function parseFrame(buffer) {
  const view = new DataView(buffer), u32 = (offset) => view.getUint32(offset, true);
  const type = view.getUint8(1), data = new ARRAYS[type](buffer, HEADER), width = u32(32), height = u32(36);
  const numbers = type === 6 || type === 7 ? Float64Array.from(data, Number) : data;
  const missed = u32(12);
  return [u32(4), {
    value: view.getUint8(2) === 2 ? { data: numbers, width, height } : numbers,
    quality: QUALITIES[view.getUint8(3)],
    time: Number(view.getBigInt64(16, true)),
    came: Number(view.getBigInt64(24, true)),
    missed: missed === UNKNOWN ? null : missed,
  }];
}
