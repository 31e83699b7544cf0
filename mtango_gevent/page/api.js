/** Requests to the gateway's API. All requests of the page go through this module. */

import { parseJson } from "./format.js";
import { useEffect, useState } from "./vendor/htm-preact-3.1.1.module.js";

const meta = (name) => document.querySelector(`meta[name=${name}]`)?.content ?? "";

/** Path of the API below the page's origin, MTANGO_APP_BASE behind the script root. */
export const base = meta("base");
export const version = meta("version");

/** Path of the page about the API. */
export const docs = new URL("../../docs", import.meta.url).pathname;

/** Return the URL of a path of the streams, which are beside the API: without /rest. */
export const streamUrl = (path) => `${location.origin}${base.replace(/\/rest$/, "")}${path}`;

// --- the browser's storage; one of this page alone where the browser refuses it, as with all cookies blocked ---

function open(name) {
  try {
    return window[name];
  } catch {
    const texts = new Map();
    return { getItem: (key) => texts.get(key) ?? null, setItem: (key, text) => texts.set(key, `${text}`), removeItem: (key) => texts.delete(key) };
  }
}

/** What stays when the browser is closed, and what ends with the tab. */
export const lasting = open("localStorage"), ofTab = open("sessionStorage");

/** Return what a storage has in JSON, null if there is none. */
export function readStored(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}

/** Keep a text, unless the storage is full. */
export function store(storage, key, text) {
  try {
    storage.setItem(key, text);
  } catch {
    // the page does without it
  }
}

// --- credentials ---

const KEY = "mtango.authorization";

/** Key of the tokens of the provider. */
export const TOKENS = "mtango.tokens";

const unauthorized = new Set(), changed = new Set();

/** The failure of a request. status: 0 where the gateway cannot be reached. */
export class Failure extends Error {
  constructor(errors, status = 0, requestId = "") {
    super((errors[0]?.description ?? "").split("\n")[0]);
    Object.assign(this, { name: "Failure", errors, status, requestId, reason: errors[0]?.reason ?? "" });
  }
}

export const authorization = () => ofTab.getItem(KEY);

/** Keep the value of the header Authorization until the tab is closed; null removes it. ofSameUser: it is a new token. */
export function setAuthorization(value, { ofSameUser } = {}) {
  if (value) ofTab.setItem(KEY, value);
  else ofTab.removeItem(KEY);
  if (!ofSameUser) for (const listener of changed) listener();
}

/** Call back with the Failure of each 401. */
export const onUnauthorized = (listener) => unauthorized.add(listener);

/** Call back when the credentials have changed. */
export const onAuthorization = (listener) => changed.add(listener);

/** Leave out what the browser adds itself, such as the cookies of a proxy: after a challenge for Basic it would ask for a password. */
export const omitCredentials = () => (credentials = "omit");
let credentials = "same-origin";

// --- requests ---

/** Return the parsed answer to GET.
 *
 * accept: another media type than JSON, for which the Response is returned; authorization: in place of the one that is
 * kept.
 */
export const get = (path, options = {}) => request("GET", path, options);
export const put = (path, body) => request("PUT", path, { body });
export const post = (path, body) => request("POST", path, { body });
export const del = (path, body) => request("DELETE", path, { body });

async function request(method, path, options) {
  const response = await send(method, path, options);
  if (response.status === 401 && !options.authorization) await refuse(response.clone());
  if (!response.ok) throw await failureOf(response);
  if (options.accept) return response;
  return response.status === 204 ? null : readJson(response);
}

async function send(method, path, { body, accept = "application/json", authorization: given = authorization() }) {
  const headers = { Accept: accept };
  if (given) headers.Authorization = given;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(urlOf(path), { method, headers, credentials, body: JSON.stringify(body) });
  } catch {
    const outcome = method === "GET" ? "" : ": the outcome is unknown";
    throw new Failure([{ reason: "MTANGO_Unreachable", description: `the gateway cannot be reached${outcome}`, severity: "ERR", origin: path }]);
  }
}

/** Return the JSON of a response; a proxy may have put a page of its own in its place, or cut it off. */
async function readJson(response) {
  try {
    return parseJson(await response.text());
  } catch {
    throw new Failure([{ reason: "MTANGO_NoJson", description: `expected JSON, got ${response.headers.get("Content-Type")}` }], response.status);
  }
}

async function refuse(response) {
  const failure = await failureOf(response);
  for (const listener of unauthorized) listener(failure);
}

/** Return the URL of a path below the API, or of a full URL, which has to be of this origin. */
function urlOf(path) {
  const url = new URL(/^https?:/.test(path) ? path : base + path, location.href);
  if (url.origin !== location.origin) throw new Error(`expected a URL of ${location.origin}, got ${url.origin}`);
  return url;
}

async function failureOf(response) {
  const answer = await response.json().catch(() => null), errors = answer?.errors;
  const description = `the gateway answered ${response.status} ${response.statusText}`;
  const given = errors?.[0]?.reason ? errors : [{ reason: `MTANGO_Http${response.status}`, description, severity: "ERR", origin: response.url }];
  return Object.assign(new Failure(given, response.status, response.headers.get("X-Request-ID") ?? ""), { answer });
}

// Milliseconds after which a question is asked again that the gateway could not answer for now.
export const RETRY = 5_000;

/** Whether a request may succeed later: the gateway, a device or the provider of the login is away. */
export const isTemporary = ({ status }) => !status || status >= 500;

/** Hook: {answer, failure} of the promise that `ask` returns: asked again when an input changes, and after a temporary failure.
 *
 * The last answer is kept while it fails.
 */
export function useAnswer(ask, inputs) {
  const [found, setFound] = useState({});
  useEffect(() => {
    let isCurrent = true, timer;
    const look = () => ask().then((answer) => isCurrent && setFound({ answer }), (failure) => {
      if (!isCurrent) return;
      setFound((before) => ({ ...before, failure }));
      if (isTemporary(failure)) timer = setTimeout(look, RETRY);
    });
    look();
    return () => { isCurrent = false; clearTimeout(timer); };
  }, inputs);
  return found;
}

// --- Tango hosts and devices ---

let known = null;

/** Return the Tango hosts (`host:port`) that the gateway serves, the first one first. */
export const hosts = async () => (known ??= Object.keys(await get("/rc3/hosts")));

/** Return the Tango host and the name of a device: `a/b/c` of the first one, `tango://host:port/a/b/c` of another one. */
export function splitDevice(device) {
  const [, host, name] = /^tango:\/\/([^/]+)\/(.*)$/s.exec(device) ?? [];
  return host ? { host, name } : { host: known?.[0] ?? "", name: device };
}

/** Return the name that the page has for a device of a Tango host. */
export const deviceOf = (host, name) => (host === known?.[0] ? name : `tango://${host}/${name}`);

/** Return the path of a Tango host in v11; the host is known after `hosts()` has answered. */
export function hostUrl(host) {
  const [, name, port] = /^(.*):(\d+)$/.exec(host) ?? [, host, "10000"];
  return `/v11/hosts/${encodeURIComponent(name)};port=${port}`;
}

/** Return the path of a device in v11. */
export function deviceUrl(device) {
  const { host, name } = splitDevice(device);
  return `${hostUrl(host)}/devices/${name.split("/").map(encodeURIComponent).join("/")}`;
}
