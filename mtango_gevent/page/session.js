/** The user of the page: how users log in, credentials (in sessionStorage alone), and what the user may do. */

import { html, useEffect, useState } from "./vendor/htm-preact-3.1.1.module.js";
import { authorization, get, ofTab, omitCredentials, onUnauthorized, setAuthorization } from "./api.js";

// methods: ways to log in; anonymousMayRead, readOnly: of the gateway; open: every client may do everything;
// oidc: what a login at the provider needs; user, groups, method: as whoami has them; failure: why they are unknown.
let current = { loading: true, methods: [], user: null, anonymous: true };
const listeners = new Set();
let answers = new Map(), busy = true;

function change(news) {
  current = { ...current, ...news };
  answers = new Map();
  listeners.forEach((listener) => listener(current));
}

/** Hook: the session, drawn again when it changes. */
export function session() {
  const [state, setState] = useState(current);
  useEffect(() => {
    listeners.add(setState);
    setState(current);
    return () => listeners.delete(setState);
  }, []);
  return state;
}

// --- what the user may do ---

/** Promise of {allowed, reason, rule, line}. kind: where the names alone do not say it, such as "property". */
export function may(action, device, name, kind) {
  if (current.open) return Promise.resolve({ allowed: true, reason: "every client may do everything" });
  const [, host, path] = /^tango:\/\/([^/]+)\/(.*)$/i.exec(device || "") || [, "", device];
  const given = Object.entries({ action, kind, device: path, name, tango_host: host }).filter(([, value]) => value);
  const url = `/sys/whoami?${new URLSearchParams(given)}`;
  if (!answers.has(url)) {
    const asked = get(url).catch((failure) => {
      if (failure.status !== 401 && failure.status !== 403 && answers.get(url) === asked) answers.delete(url);
      return { allowed: false, reason: failure.message };
    });
    answers.set(url, asked);
  }
  return answers.get(url);
}

/** Hook: the answer of `may`; undefined while it is unknown. */
export function useMay(action, device, name, kind) {
  const [answer, setAnswer] = useState();
  const { user, open } = session();
  useEffect(() => {
    let wanted = true;
    setAnswer();
    may(action, device, name, kind).then((found) => wanted && setAnswer(found));
    return () => { wanted = false; };
  }, [action, device, name, kind, user, open]);
  return answer;
}

// --- log in and out ---

/** Begin the page anew at `next` with a value of the header Authorization, null for none: it has nothing of the user before. */
export function enter(value, next) {
  keep(value);
  history.replaceState(null, "", location.pathname + (next || "#/"));
  location.reload();
}

export const logout = () => enter(null, current.anonymousMayRead ? location.hash : "#/login");

function keep(value) {
  setAuthorization(value);
  ofTab.removeItem(TOKENS);
}

function goToLogin(why = "") {
  if (!location.hash.startsWith("#/login")) location.hash = `#/login?${new URLSearchParams({ next: location.hash, why })}`;
}

// --- the provider, whose module is loaded where it is needed ---

const TOKENS = "mtango.tokens";
const provider = () => import("./provider.js");

/** Take the code with which the provider has sent the browser back, or go on with the tokens of before. */
async function continueLogin() {
  const query = new URLSearchParams(location.search);
  if (query.has("state") && (query.has("code") || query.has("error"))) {
    const problem = await (await provider()).takeAnswer(query);
    if (problem) goToLogin(problem);
  } else if (ofTab.getItem(TOKENS)) {
    (await provider()).renewInTime();
  }
}

const renew = async () => ofTab.getItem(TOKENS) !== null && (await provider()).renew();

// --- begin ---

/** Ask for the ways to log in, and again until the provider has told its address. */
export async function findWays() {
  const { anonymous, read_only, ...ways } = await get("/sys/login");
  if (ways.methods.includes("basic") && !ways.methods.includes("trusted-header")) omitCredentials();
  change({ ...ways, anonymousMayRead: anonymous, readOnly: read_only });
}

async function findUser() {
  try {
    change({ ...(await get("/sys/whoami")), failure: null });
  } catch (failure) {
    change({ user: null, anonymous: true, failure });
  }
}

const isLocked = () => !current.user && current.anonymousMayRead === false;

/** Look after a request that was refused with 401: the token may have expired, or the password may have changed. */
async function check(refusal) {
  const had = authorization();
  if (busy || !(had || isLocked())) return;
  busy = true;
  try {
    if (had) await findUser();
    if (current.failure?.status === 401 && (await renew())) {
      await findUser();
      setAuthorization(authorization()); // so that the connection of live values begins anew
    }
    if (current.failure?.status === 401) keep(null);
    if (!authorization()) goToLogin(had ? refusal.message : "");
    if (had && isLocked()) location.reload();
  } finally {
    busy = false;
  }
}

async function begin() {
  try {
    await continueLogin();
    await findWays();
    if (authorization() || current.anonymousMayRead || current.methods.includes("trusted-header")) await findUser();
  } catch (failure) {
    change({ failure });
  }
  busy = false;
  change({ loading: false });
  if (current.failure?.status === 401) await check(current.failure);
  if (isLocked()) goToLogin();
  return !isLocked();
}

onUnauthorized(check);
addEventListener("hashchange", () => { if (!current.loading && isLocked()) goToLogin(); });

/** Promise of whether the client may read, when the user is known. */
export const ready = begin();

/** The user, log in or out, and "read-only", for the head of the page. */
export function UserStatus() {
  const { loading, user, methods, readOnly } = session();
  const canLogIn = methods.some((method) => method !== "trusted-header");
  return html`
    ${readOnly && html`<span class="badge" title="The gateway refuses every write, command and change.">read-only</span>`}
    ${user && html`<a class="user" href="#/login">${user}</a>`}
    ${user && canLogIn && html`<button class="log-out" onClick=${logout}>Log out</button>`}
    ${!loading && !user && canLogIn && html`<a href="#/login">Log in</a>`}`;
}
