/** Views are named by the hash of the URL: `#/view/path?key=value`. */

import { useEffect, useState } from "./vendor/htm-preact-3.1.1.module.js";

const listeners = new Set();

/** Return the hash of a view. path: behind its name, as of a device; params: texts or lists of texts by name. */
export function link(view, { path = "", params = {} } = {}) {
  const query = new URLSearchParams();
  for (const [key, given] of params instanceof URLSearchParams ? params : Object.entries(params)) {
    for (const value of [given].flat()) if (value !== undefined && value !== null) query.append(key, value);
  }
  const parts = [view, path && encodePath(path)].filter(Boolean).join("/");
  return `#/${parts}${query.size ? `?${query}` : ""}`;
}

// A device of another Tango host, tango://host:port/a/b/c, is one part of the path.
const encodePath = (path) =>
  path.startsWith("tango://") ? encodeURIComponent(path) : path.split("/").map(encodeURIComponent).join("/");

/** Return the hash of the view of a device. params: as `attr`, which selects attributes. */
export const deviceLink = (device, params) => link("device", { path: device, params });

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a link that was cut off
  }
}

/** Return the route of the URL: its view, what is behind that, and the parameters as URLSearchParams. */
function currentRoute() {
  const [, view, path, query] = /^#?\/?([^/?]*)\/?([^?]*)\??(.*)$/s.exec(location.hash);
  return { view: decode(view), path: decode(path), params: new URLSearchParams(query) };
}

const notify = () => listeners.forEach((listener) => listener(currentRoute()));
addEventListener("hashchange", notify);

/** Open a view; hash: as from `link`. */
export function go(hash) {
  location.hash = hash;
}

/** Put other parameters into the URL, without a new entry in the browser's history. */
export function replaceParams(params) {
  const { view, path } = currentRoute();
  history.replaceState(history.state, "", link(view, { path, params }));
  notify();
}

/** Return the route, and render again when it changes. */
export function useRoute() {
  const [route, setRoute] = useState(currentRoute);
  useEffect(() => {
    listeners.add(setRoute);
    return () => listeners.delete(setRoute);
  }, []);
  return route;
}
