/** Log in, and who the user is and what the user may do. */

import { get } from "../api.js";
import { goToProvider } from "../provider.js";
import { enter, findWays, logout, may, session, whyLogin } from "../session.js";
import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.module.js";

const ACTIONS = ["read", "write", "execute", "configure", "administer"];

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** Log in with a value of the header Authorization. Rejects with a Failure. */
async function logIn(authorization, next) {
  const { user } = await get("/sys/whoami", { authorization });
  if (!user) throw new Error("The gateway does not take such credentials.");
  enter(authorization, next);
}

/** Seconds that a failure asks to wait for. */
const secondsOf = ({ status, message }) => (status === 429 ? Number(/(\d+) s$/.exec(message)?.[1] ?? 1) : 0);

/** A form that logs in with the credentials of its fields. credentials: returns the header Authorization of FormData. */
function Form({ title, credentials, next, children }) {
  const [state, setState] = useState({}), { failure, busy, wait } = state;
  useEffect(() => {
    if (!wait) return;
    const timer = setTimeout(() => setState({ ...state, wait: wait - 1 }), 1000);
    return () => clearTimeout(timer);
  }, [state]);
  const submit = async (event) => {
    event.preventDefault();
    setState({ busy: true });
    try {
      await logIn(credentials(new FormData(event.target)), next);
    } catch (found) {
      setState({ failure: found, wait: secondsOf(found) });
      event.target.querySelector("input[type=password]")?.select();
    }
  };
  return html`<form class="card form" onSubmit=${submit}>
    <h2>${title}</h2>
    ${children}
    <p><button class="primary" disabled=${busy || wait}>${wait ? `Wait for ${wait} s` : "Log in"}</button></p>
    <p role="alert">${failure && html`<span class="problem">${failure.message}</span>`}</p>
  </form>`;
}

function Password({ next }) {
  const credentials = (data) => `Basic ${base64(`${data.get("user")}:${data.get("password")}`)}`;
  return html`<${Form} title="Name and password" ...${{ credentials, next }}>
    <label>Name <input name="user" autocomplete="username" autocapitalize="none" required pattern="[^:]+" title="A name without a colon" /></label>
    <label>Password <input name="password" type="password" autocomplete="current-password" required /></label>
  <//>`;
}

function Key({ title, next }) {
  const credentials = (data) => `Bearer ${data.get("key").trim()}`;
  return html`<${Form} title=${title} ...${{ credentials, next }}>
    <label>${title} <input name="key" type="password" autocomplete="off" required pattern="\\s*[!-~]+\\s*" title="Without spaces" /></label>
  <//>`;
}

function Provider({ oidc, next }) {
  const [failure, setFailure] = useState();
  const host = oidc.authorization_endpoint && new URL(oidc.authorization_endpoint).host;
  useEffect(() => { // the gateway asks the provider in the background
    const timer = host ? 0 : setInterval(() => findWays().catch(() => {}), 1000);
    return () => clearInterval(timer);
  }, [host]);
  return html`<section class="card form">
    <h2>Single sign-on</h2>
    <p><button class="primary" disabled=${!host} onClick=${() => goToProvider(oidc, next).catch(setFailure)}>Log in at ${host || "the provider"}</button></p>
    ${!host && html`<p role="status">${oidc.problem ? "The provider is away; it is asked again every few seconds." : "The provider is asked for its address…"}</p>`}
    ${oidc.end_session_endpoint && html`<p class="muted">On a shared computer <a href=${oidc.end_session_endpoint}>log out at the provider</a>, too.</p>`}
    ${failure && html`<p role="alert" class="problem">${failure.message}</p>`}
  </section>`;
}

/** The question whether the user may do something, and the rule that decides. */
function Question({ params }) {
  const [answer, setAnswer] = useState();
  const ask = ({ action, device, name }) => may(action, device, name).then(setAnswer, ({ message }) => setAnswer({ reason: message }));
  const asked = params.get("action");
  useEffect(() => { if (asked) ask(Object.fromEntries(params)); }, [asked]);
  const submit = (event) => {
    event.preventDefault();
    ask(Object.fromEntries(new FormData(event.target)));
  };
  return html`<form class="card form" onSubmit=${submit}>
    <h2>What may I do?</h2>
    <label>Action <select name="action">${ACTIONS.map((action) => html`<option selected=${action === (asked ?? "write")}>${action}</option>`)}</select></label>
    <label>Device <input name="device" value=${params.get("device") ?? ""} placeholder="domain/family/member" /></label>
    <label>Attribute or command <input name="name" value=${params.get("name") ?? ""} /></label>
    <p><button>Ask</button></p>
    <p role="status">${answer && html`<strong>${{ true: "Allowed", false: "Denied" }[answer.allowed] ?? "Unknown"}</strong>: ${answer.reason}`}</p>
  </form>`;
}

function User({ user, groups, method, next }) {
  return html`<section class="card"><h2>${user}</h2>
    <p>Logged in by ${method}${groups.length ? `, in ${groups.length > 1 ? "the groups" : "the group"} ${groups.join(", ")}` : ""}.</p>
    <p class="row">${next && html`<a href=${next}>Back to the view</a>`}
      ${method !== "trusted-header" && html`<button onClick=${logout}>Log out</button>`}</p></section>`;
}

function Ways({ methods, oidc, next }) {
  const keys = [methods.includes("key") && "API key", methods.includes("bearer") && !oidc && "Token"].filter(Boolean);
  return html`
    ${oidc && html`<${Provider} ...${{ oidc, next }} />`}
    ${methods.includes("basic") && html`<${Password} next=${next} />`}
    ${keys.length > 0 && html`<${Key} title=${keys.join(" or ")} next=${next} />`}`;
}

export function View({ route }) {
  const known = session(), { loading, user, methods, failure, anonymousMayRead } = known;
  const given = route.params.get("next"), next = given?.startsWith("#/") ? given : null, why = whyLogin();
  if (loading) return html`<p role="status">Loading…</p>`;
  const isOpen = !methods.length && !failure;
  return html`<div class="login">
    <h1>${user ? "Your login" : "Log in"}</h1>
    ${why && !user && html`<p class="notice error" role="alert">${why}</p>`}
    ${failure && failure.status !== 401 && html`<p class="notice error" role="alert">${failure.message}</p>`}
    ${isOpen && html`<p>This gateway asks for no login: the access rules alone decide what a client may do.</p>`}
    ${user ? html`<${User} ...${known} next=${next} />` : html`<${Ways} ...${known} next=${next} />`}
    ${(user || anonymousMayRead) && html`<${Question} params=${route.params} />`}
  </div>`;
}
