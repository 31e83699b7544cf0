/** The login at an OIDC provider: authorization code flow with PKCE. The gateway exchanges the code. */

import { RETRY, TOKENS, ofTab, post, readStored, setAuthorization } from "./api.js";

const FLOW = "mtango.flow";
const PAGE = location.origin + location.pathname;

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/[+/=]/g, (c) => ({ "+": "-", "/": "_" })[c] ?? "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

/** Go to the provider, which sends the browser back to this page; `next`: the view to show then. */
export async function goToProvider({ authorization_endpoint, client_id, scope }, next) {
  if (!crypto.subtle) throw new Error("A login at the provider needs https, or a page of this machine.");
  const flow = { state: random(), verifier: random(), next };
  const challenge = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(flow.verifier));
  ofTab.setItem(FLOW, JSON.stringify(flow));
  const url = new URL(authorization_endpoint);
  Object.entries({
    response_type: "code", client_id, scope, redirect_uri: PAGE, state: flow.state,
    code_challenge: base64url(new Uint8Array(challenge)), code_challenge_method: "S256",
  }).forEach(([name, value]) => url.searchParams.set(name, value));
  location.assign(url);
}

/** Take the answer of the provider, and return what is wrong with it, or nothing. query: of this page's URL. */
export async function takeAnswer(query) {
  const flow = readStored(ofTab, FLOW);
  ofTab.removeItem(FLOW);
  history.replaceState(null, "", PAGE + (flow?.next ?? "#/"));
  if (flow?.state !== query.get("state")) return "The answer of the provider is of another login.";
  if (query.has("error")) return query.get("error_description") ?? query.get("error");
  try {
    keep(await post("/sys/login/token", { code: query.get("code"), verifier: flow.verifier, redirect_uri: PAGE }));
  } catch (failure) {
    return failure.message;
  }
}

// --- tokens ---

const tokens = () => readStored(ofTab, TOKENS) ?? {};
let timer, renewing = null;

function keep({ access_token, refresh_token = tokens().refresh, expires_in }) {
  setAuthorization(`Bearer ${access_token}`, { ofSameUser: true });
  ofTab.setItem(TOKENS, JSON.stringify({ refresh: refresh_token, until: Date.now() + expires_in * 1000 }));
  renewInTime();
}

/** Renew the token after four fifths of its time. */
export function renewInTime() {
  const { refresh, until } = tokens();
  clearTimeout(timer);
  if (refresh) timer = setTimeout(renewOrWait, Math.min(Math.max(1000, (until - Date.now()) * 0.8), 2 ** 31 - 1));
}

async function renewOrWait() {
  if ((await renew()) === "later") timer = setTimeout(renewOrWait, RETRY);
}

/** Get a new token; promise of true, of false if that is refused, of "later" while the provider or the gateway is away. */
export const renew = () => (renewing ??= exchange().finally(() => (renewing = null)));

async function exchange() {
  const { refresh } = tokens();
  if (!refresh) return false;
  try {
    keep(await post("/sys/login/token", { refresh_token: refresh }));
    return true;
  } catch (failure) {
    return failure.status === 400 || failure.status === 404 ? false : "later"; // refused, or a gateway without a provider
  }
}
