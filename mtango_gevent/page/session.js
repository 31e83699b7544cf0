// The user of the page: how users log in, credentials (in sessionStorage alone), and what the user may do.
import { html, useEffect, useState } from "./vendor/htm-preact-3.1.1.module.js";
import { authorization, get, omitCredentials, onUnauthorized, post, setAuthorization } from "./api.js";

const TOKENS = "mtango.tokens", FLOW = "mtango.flow";
const PAGE = location.origin + location.pathname;

// methods: ways to log in; anonymousMayRead, readOnly: of the gateway; open: every client may do everything;
// oidc: what a login at the provider needs; user, groups, method: as whoami has them; failure: why they are unknown.
let current = { loading: true, methods: [], user: null, anonymous: true };
const listeners = new Set();
let answers = new Map(), busy = true, timer;

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

/** Log in with a value of the header Authorization, and begin the page anew at `next`. Rejects with a Failure. */
export async function logIn(value, next) {
  busy = true;
  try {
    const { user } = await get("/sys/whoami", { authorization: value });
    if (!user) throw new Error("The gateway does not take such credentials.");
    sessionStorage.removeItem(TOKENS);
    setAuthorization(value);
    restart(next);
  } finally {
    busy = false;
  }
}

/** Forget the credentials, and begin the page anew. */
export function logout() {
  forget();
  restart(current.anonymousMayRead ? location.hash : "#/login");
}

// A new page has nothing of the user before it.
function restart(hash) {
  history.replaceState(null, "", PAGE + (hash || "#/"));
  location.reload();
}

function forget() {
  clearTimeout(timer);
  setAuthorization(null);
  sessionStorage.removeItem(TOKENS);
}

function goToLogin(why = "") {
  if (!location.hash.startsWith("#/login")) location.hash = `#/login?${new URLSearchParams({ next: location.hash, why })}`;
}

// --- the provider: authorization code flow with PKCE; the gateway exchanges the code ---

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/[+/=]/g, (c) => ({ "+": "-", "/": "_" })[c] || "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

/** Go to the provider, which sends the browser back to this page; `next`: the view to show then. */
export async function goToProvider(next) {
  if (!crypto.subtle) throw new Error("A login at the provider needs https, or a page of this machine.");
  const flow = { state: random(), verifier: random(), next };
  const challenge = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(flow.verifier));
  sessionStorage.setItem(FLOW, JSON.stringify(flow));
  const { authorization_endpoint, client_id, scope } = current.oidc;
  const url = new URL(authorization_endpoint);
  Object.entries({
    response_type: "code", client_id, scope, redirect_uri: PAGE, state: flow.state,
    code_challenge: base64url(new Uint8Array(challenge)), code_challenge_method: "S256",
  }).forEach(([name, value]) => url.searchParams.set(name, value));
  location.assign(url);
}

/** Take the code with which the provider has sent the browser back. */
async function returnFromProvider() {
  const query = new URLSearchParams(location.search);
  const flow = JSON.parse(sessionStorage.getItem(FLOW) || "null");
  if (!query.has("state") || !(query.has("code") || query.has("error"))) return;
  sessionStorage.removeItem(FLOW);
  history.replaceState(null, "", PAGE + ((flow && flow.next) || "#/"));
  try {
    if (!flow || flow.state !== query.get("state")) throw new Error("The answer of the provider is of another login.");
    if (query.has("error")) throw new Error(query.get("error_description") || query.get("error"));
    keep(await post("/sys/login/token", { code: query.get("code"), verifier: flow.verifier, redirect_uri: PAGE }));
  } catch (failure) {
    goToLogin(failure.message);
  }
}

const tokens = () => JSON.parse(sessionStorage.getItem(TOKENS) || "{}");

function keep({ access_token, refresh_token = tokens().refresh, expires_in }) {
  setAuthorization(`Bearer ${access_token}`, { ofSameUser: true });
  sessionStorage.setItem(TOKENS, JSON.stringify({ refresh: refresh_token, until: Date.now() + expires_in * 1000 }));
  renewInTime();
}

function renewInTime() {
  const { refresh, until } = tokens();
  clearTimeout(timer);
  if (refresh) timer = setTimeout(renew, Math.min(Math.max(1000, (until - Date.now()) * 0.8), 2 ** 31 - 1));
}

/** Get a new token; promise of whether there is one. */
async function renew() {
  const { refresh } = tokens();
  if (!refresh) return false;
  try {
    keep(await post("/sys/login/token", { refresh_token: refresh }));
    return true;
  } catch (failure) {
    if (failure.status === 400 || failure.status === 401) return false;
    clearTimeout(timer);
    timer = setTimeout(renew, 5000);  // the provider or the gateway is away
    return true;
  }
}

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
    if (current.failure?.status === 401) forget();
    if (!authorization()) goToLogin(had ? refusal.message : "");
    if (had && isLocked()) location.reload();
  } finally {
    busy = false;
  }
}

async function begin() {
  await returnFromProvider();
  renewInTime();
  try {
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
    ${user && html`<a class="user" href="#/login" title="You and your groups">${user}</a>`}
    ${user && canLogIn && html`<button class="log-out" onClick=${logout}>Log out</button>`}
    ${!loading && !user && canLogIn && html`<a href="#/login">Log in</a>`}`;
}
