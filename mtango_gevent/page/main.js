/** The layout of the page, and which view a route has. */

import { hosts } from "./api.js";
import { connect, connection, onConnection } from "./live.js";
import { link, useRoute } from "./router.js";
import { html, render, useEffect, useErrorBoundary, useState } from "./vendor/htm-preact-3.1.1.module.js";
import { Tree } from "./views/tree.js";

/** Path of the gateway's root, with a slash at its end. */
const root = new URL("../../", import.meta.url).pathname;

// View -> the module that exports it as View.
const MODULES = { "": "start", device: "device", plot: "plot", panel: "panels", ill: "ill", login: "login" };

// Views that do without the names of the Tango hosts, so also without a login.
const FREE = ["ill", "login"];

const MENU = [["", "Devices"], ["plot", "Plot"], ["panel", "Panels"], ["ill", "Health"]];

function View({ route, isReady }) {
  const [{ view, Component, error }, setLoaded] = useState({});
  const [failure, retry] = useErrorBoundary((caught) => console.error(caught));
  useEffect(() => {
    let isCurrent = true;
    const set = (loaded) => isCurrent && setLoaded({ view: route.view, ...loaded });
    const name = MODULES[route.view];
    if (!name) set({ error: `there is no view ${route.view}` });
    else import(`./views/${name}.js`).then((module) => set({ Component: module.View }), (reason) => set({ error: reason.message }));
    return () => (isCurrent = false);
  }, [route.view]);
  useEffect(() => retry(), [route.view, route.path]);
  if (failure) return html`<p class="notice error" role="alert">This view has failed: ${String(failure)}</p>`;
  if (view !== route.view || !(isReady || FREE.includes(view))) return html`<p class="notice" role="status">Loading…</p>`;
  if (error) return html`<p class="notice error" role="alert">This view cannot be shown: ${error}</p>`;
  return html`<${Component} route=${route} />`;
}

/** Return the Tango hosts: null until the gateway has told them, which is asked again when the connection is there. */
function useHosts() {
  const [found, setFound] = useState(null);
  useEffect(() => {
    const ask = () => hosts().then(setFound, () => {});
    ask();
    return onConnection(({ state }) => state !== "lost" && ask());
  }, []);
  return found;
}

function useConnection() {
  const [state, setState] = useState({ ...connection });
  useEffect(() => onConnection((changed) => setState({ ...changed })), []);
  return state;
}

const STATES = {
  connecting: "connecting",
  open: "live",
  fallback: "live (events)",
  lost: "no connection",
};

function App() {
  const route = useRoute(), found = useHosts(), { state } = useConnection();
  const [isOpen, setOpen] = useState(false);
  useEffect(() => setOpen(false), [route.view, route.path]);
  return html`
    <header class="bar">
      <button class="tree-button" aria-expanded=${isOpen} aria-controls="tree" onClick=${() => setOpen(!isOpen)}>Devices</button>
      <a class="brand" href="#/">${found?.[0] ?? "mtango-gevent"}</a>
      <nav aria-label="Views">${MENU.map(([view, text]) => html`
        <a href=${link(view)} aria-current=${route.view === view ? "page" : undefined}>${text}</a>`)}
        <a href="${root}docs">API</a>
      </nav>
      <span class="connection ${state}" role="status">${STATES[state]}</span>
    </header>
    <div class="columns">
      <aside id="tree" class=${isOpen ? "open" : ""} aria-label="Devices">${found && html`<${Tree} hosts=${found} route=${route} />`}</aside>
      <main><${View} route=${route} isReady=${found !== null} /></main>
    </div>`;
}

render(html`<${App} />`, document.body);
connect();
