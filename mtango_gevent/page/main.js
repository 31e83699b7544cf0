/** The layout of the page, and which view a route has. */

import { docs, hosts, lasting, store, useAnswer } from "./api.js";
import { remember, useDevices } from "./devices.js";
import { connect, connection, onConnection } from "./live.js";
import { link, useRoute } from "./router.js";
import { UserStatus, ready } from "./session.js";
import { html, render, useEffect, useErrorBoundary, useState } from "./vendor/htm-preact-3.1.1.module.js";
import { Tree } from "./views/tree.js";

// View -> the module that exports it as View.
const MODULES = { "": "start", device: "device", plot: "plot", panel: "panels", ill: "ill", login: "login" };

// Views that do without the names of the Tango hosts, so also without a login.
const FREE = ["ill", "login"];

const MENU = [["", "Start"], ["plot", "Plot"], ["panel", "Panels"], ["ill", "Health"]];

const TITLES = { ...Object.fromEntries(MENU), login: "Log in" };

// --- the view ---

function View({ route, tango, directory }) {
  const [{ view, Component, error }, setLoaded] = useState({});
  const [failure, retry] = useErrorBoundary((caught) => console.error(caught));
  useEffect(() => {
    let isCurrent = true;
    const set = (loaded) => isCurrent && setLoaded({ view: route.view, ...loaded });
    const name = Object.hasOwn(MODULES, route.view) && MODULES[route.view];
    if (!name) set({ error: `there is no view “${route.view}”` });
    else import(`./views/${name}.js`).then((module) => set({ Component: module.View }), () => set({ error: "its module cannot be loaded. A newer gateway has newer ones: reload the page" }));
    return () => { isCurrent = false; };
  }, [route.view]);
  useEffect(() => retry(), [route.view, route.path]);
  const needsHosts = !tango.answer && !FREE.includes(route.view);
  const trouble = failure ?? (view === route.view && error) ?? (needsHosts && tango.failure?.message);
  if (trouble) return html`<p class="notice error" role="alert">This view cannot be shown: ${String(trouble.message ?? trouble)}</p>`;
  if (view !== route.view || needsHosts) return html`<p class="notice" role="status">Loading…</p>`;
  return html`<${Component} route=${route} directory=${directory} hosts=${tango.answer} />`;
}

// --- the connection ---

const STATES = {
  connecting: ["connecting", ""],
  open: ["live", "Live values arrive over a WebSocket."],
  fallback: ["live, by events", "The WebSocket is refused, so live values arrive as server-sent events, without their quality."],
  lost: ["no connection", "Values are stale. The page connects again by itself."],
};

function useConnection() {
  const [state, setState] = useState({ ...connection });
  useEffect(() => {
    const show = () => setState({ ...connection });
    show(); // the connection may have opened since the first rendering
    return onConnection(show);
  }, []);
  return state;
}

function Banner({ state, since, failure }) {
  if (state !== "lost") return null;
  const why = failure?.status === 401 ? "Log in to see live values."
    : failure?.status ? `No live values: ${failure.message}.`
    : `The gateway cannot be reached since ${new Date(since).toLocaleTimeString()}. The values are stale. The page connects again by itself.`;
  return html`<p class="banner" role="alert">${why}</p>`;
}

// --- light and dark ---

const THEME = "mtango.theme", prefersDark = matchMedia("(prefers-color-scheme: dark)");

const theme = () => lasting.getItem(THEME) ?? (prefersDark.matches ? "dark" : "light");
const showTheme = () => { document.documentElement.dataset.theme = theme(); };

function ThemeSwitch() {
  const [current, setCurrent] = useState(theme);
  useEffect(() => {
    const change = () => setCurrent(theme());
    prefersDark.addEventListener("change", change);
    return () => prefersDark.removeEventListener("change", change);
  }, []);
  useEffect(showTheme, [current]);
  const toggle = () => {
    store(lasting, THEME, current === "dark" ? "light" : "dark");
    setCurrent(theme());
  };
  return html`<button class="plain" role="switch" aria-checked=${current === "dark"} title="Dark colours" onClick=${toggle}>
    <span aria-hidden="true">${current === "dark" ? "☾" : "☀"}</span><span class="hidden">Dark colours</span></button>`;
}

// --- the page ---

function App({ mayRead }) {
  const route = useRoute(), tango = useAnswer(async () => ((await ready) ? hosts() : null), []), directory = useDevices(tango.answer), connected = useConnection();
  const [shown, show] = useState(""); // the part that a narrow window shows in place of the view: "tree", "menu" or none
  const toggle = (part) => show(shown === part ? "" : part), close = () => show("");
  const [name, ...others] = tango.answer ?? [];
  useEffect(() => {
    show("");
    document.title = [route.path || TITLES[route.view], name ?? "mtango-gevent"].filter(Boolean).join(" · ");
    if (route.view === "device") remember(route.path);
  }, [route.view, route.path, name]);
  useEffect(() => addEventListener("keydown", ({ key, defaultPrevented }) => {
    if (key !== "Escape" || defaultPrevented) return;
    document.querySelector(".narrow[aria-expanded=true]")?.focus();
    close();
  }), []);
  const [text, title] = STATES[connected.state];
  return html`
    <header class="bar">
      <button class="narrow" aria-expanded=${shown === "tree"} aria-controls="tree" onClick=${() => toggle("tree")}>Devices</button>
      <a class="brand" href="#/" title=${tango.answer?.join(", ")}>${name ?? "mtango-gevent"}${others.length ? ` +${others.length}` : ""}</a>
      <nav id="menu" class=${shown === "menu" ? "open" : ""} aria-label="Views" onClick=${close}>
        ${MENU.map(([view, label]) => html`<a href=${link(view)} aria-current=${route.view === view ? "page" : undefined}>${label}</a>`)}
        <a href=${docs}>API</a>
      </nav>
      ${mayRead && html`<span class="connection ${connected.state}" role="status" title=${title}>${text}</span>`}
      <${UserStatus} />
      <${ThemeSwitch} />
      <button class="narrow" aria-expanded=${shown === "menu"} aria-controls="menu" onClick=${() => toggle("menu")}>Menu</button>
    </header>
    <${Banner} ...${connected} />
    <div class="columns">
      <aside id="tree" class=${shown === "tree" ? "open" : ""} aria-label="Devices">${tango.answer && html`<${Tree} directory=${directory} route=${route} show=${show} />`}</aside>
      <main><${View} route=${route} tango=${tango} directory=${directory} /></main>
    </div>`;
}

showTheme();
ready.catch(() => false).then((mayRead) => {
  render(html`<${App} mayRead=${mayRead} />`, document.body);
  if (mayRead) connect();
});
