/** The user of the page: how users log in, credentials (in sessionStorage alone), and what the user may do. */

import { html, useEffect, useState } from "./vendor/htm-preact-3.1.1.module.js";
import { RETRY, TOKENS, authorization, get, isTemporary, lasting, ofTab, omitCredentials, onUnauthorized, setAuthorization, store, useAnswer } from "./api.js";

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

/** Promise of {allowed, reason, rule, line}; rejects while that is unknown. kind: where the names alone do not say it, such as "property". */
export function may(action, device, name, kind) {
  if (current.open) return Promise.resolve({ allowed: true, reason: "every client may do everything" });
  const [, host, path] = /^tango:\/\/([^/]+)\/(.*)$/i.exec(device || "") || [, "", device];
  const given = Object.entries({ action, kind, device: path, name, tango_host: host }).filter(([, value]) => value);
  const url = `/sys/whoami?${new URLSearchParams(given)}`;
  if (!answers.has(url)) {
    const asked = get(url).catch((failure) => {
      if (failure.status === 401 || failure.status === 403) return { allowed: false, reason: failure.message };
      if (answers.get(url) === asked) answers.delete(url);
      throw failure;
    });
    answers.set(url, asked);
  }
  return answers.get(url);
}

/** Hook: the answer of `may`; undefined while it is unknown. */
export function useMay(...asked) {
  const { user, open } = session();
  const { answer, failure } = useAnswer(() => may(...asked), [...asked, user, open]);
  return answer ?? (failure && { allowed: false, reason: failure.message });
}

// --- log in and out ---

// What the browser keeps of the user before. Panels stay.
const OF_USER = [[ofTab, "mtango.plot"], [lasting, "mtango.recent"]];

/** Load the page again at `next` with a value of the header Authorization, null for none. */
export function enter(value, next) {
  keep(value);
  history.replaceState(null, "", location.pathname + (next || "#/"));
  location.reload();
}

export function logout() {
  for (const [storage, key] of OF_USER) storage.removeItem(key);
  enter(null, current.anonymousMayRead ? location.hash : "#/login");
}

function keep(value) {
  setAuthorization(value);
  ofTab.removeItem(TOKENS);
  ofTab.removeItem(WHY);
}

// Key of the reason why the page has gone to the login; not in the link, which anybody may have made.
const WHY = "mtango.why";
export const whyLogin = () => ofTab.getItem(WHY);

function goToLogin(why = "") {
  if (location.hash.startsWith("#/login")) return;
  store(ofTab, WHY, why);
  location.hash = `#/login?${new URLSearchParams({ next: location.hash })}`;
}

// --- the provider, whose module is loaded where it is needed ---

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

const renew = async () => ofTab.getItem(TOKENS) !== null && provider().then((module) => module.renew()).catch(() => "later");

// --- begin ---

/** Ask for the ways to log in, and again until the provider has told its address. */
export async function findWays() {
  const { anonymous, read_only, ...ways } = await get("/sys/login");
  if (ways.methods.includes("basic") && !ways.methods.includes("trusted-header")) omitCredentials();
  change({ ...ways, anonymousMayRead: anonymous, readOnly: read_only });
}

const findUser = () => get("/sys/whoami").then(
  (found) => ({ ...found, failure: null }), (failure) => ({ user: null, anonymous: true, failure }));

const isLocked = () => !current.user && current.anonymousMayRead === false;

/** Look after a request that was refused with 401: the token may have expired, or the password may have changed. */
async function check(refusal) {
  const had = authorization();
  if (busy || !(had || isLocked())) return;
  busy = true;
  await settle(had, refusal, isLocked());
}

/** Find the user again, and again while the provider or the gateway is away; then show what the user may see. */
async function settle(had, refusal, wasLocked, isLate = false) {
  if (had && !(await findAgain(isLate))) return void setTimeout(settle, RETRY, had, refusal, wasLocked, true);
  busy = false;
  if (!authorization()) goToLogin(had ? refusal.message : "");
  if (had && (isLocked() || (isLate && wasLocked))) location.reload();
}

/** Promise of whether the credentials are known as valid or as refused; a token that has expired is renewed. */
async function findAgain(isLate) {
  let found = await findUser();
  const { failure } = found, renewed = failure?.status === 401 && (await renew());
  if (renewed === "later" || (failure && isTemporary(failure))) return false;
  if (renewed) found = await findUser();
  change(found);
  if (found.failure?.status === 401) keep(null);
  else if (renewed || isLate) setAuthorization(authorization()); // so that the connection of live values begins anew
  return true;
}

// Without the ways to log in no other request is made: the browser itself would ask for a password.
const beginAgain = () => setTimeout(() => get("/sys/login").then(() => location.reload(), beginAgain), RETRY);

async function begin() {
  try {
    await continueLogin();
    await findWays();
  } catch (failure) {
    change({ failure, loading: false });
    beginAgain();
    throw failure;
  }
  if (authorization() || current.anonymousMayRead || current.methods.includes("trusted-header")) change(await findUser());
  busy = false;
  change({ loading: false });
  if (current.failure?.status === 401) await check(current.failure);
  if (isLocked()) goToLogin();
  return !isLocked();
}

onUnauthorized(check);
addEventListener("hashchange", () => { if (!current.loading && isLocked()) goToLogin(); });

/** Promise of whether the client may read, when the user is known; rejects if the ways to log in are unknown. */
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
