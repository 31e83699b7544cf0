/** Named panels in the browser's storage, and as files. A panel is a list of {show, attribute}. */

import { lasting, readStored } from "../api.js";
import { isSource } from "./series.js";

const KEY = "mtango.panels", VERSION = 1, MOST_ITEMS = 500, MOST_NAME = 100, MOST_BYTES = 1 << 20;

/** How an attribute is shown -> the word for it. */
export const KINDS = { value: "Value", plot: "Time plot", spectrum: "Spectrum", image: "Image" };

// Formats of attributes -> how they are shown first.
const FIRST = { SCALAR: "value", SPECTRUM: "spectrum", IMAGE: "image" };

/** Return how an attribute is shown that is new in a panel. */
export const kindOf = ({ data_format, data_type }) => (data_type === "DevEncoded" ? "image" : FIRST[data_format] ?? "value");

const expected = (wanted, given) => new Error(`expected ${wanted}, got ${JSON.stringify(given)?.slice(0, 80)}`);

/** Return the name of a panel without spaces around it. Throws Error for one that cannot be. */
export function checkName(name) {
  const text = typeof name === "string" ? name.trim() : "";
  if (!text || text.length > MOST_NAME || !text.isWellFormed()) throw expected(`a name of 1 to ${MOST_NAME} characters`, name);
  return text;
}

function checkItem(item, index) {
  const { show, attribute } = item ?? {};
  if (!Object.hasOwn(KINDS, show)) throw expected(`one of ${Object.keys(KINDS).join(", ")} as "show" of item ${index + 1}`, show);
  if (typeof attribute !== "string" || attribute.length > 1000 || !attribute.isWellFormed() || !isSource(attribute)) throw expected(`device/attribute as "attribute" of item ${index + 1}`, attribute);
  return { show, attribute };
}

function checkItems(items) {
  if (!Array.isArray(items)) throw expected('a list as "items"', items);
  if (items.length > MOST_ITEMS) throw new Error(`expected at most ${MOST_ITEMS} items, got ${items.length}`);
  return items.map(checkItem);
}

// --- the browser's storage ---

/** Return all panels by name; what cannot be used is left out. */
export function loadPanels() {
  const entries = Object.entries(readStored(lasting, KEY) ?? {});
  return new Map(entries.filter(([name, items]) => name.isWellFormed() && isUsable(items)));
}

function isUsable(items) {
  try {
    return Boolean(checkItems(items));
  } catch {
    return false;
  }
}

/** Keep a panel; items: null deletes it. */
export function keepPanel(name, items) {
  const panels = loadPanels();
  if (items) panels.set(name, checkItems(items));
  else panels.delete(name);
  lasting.setItem(KEY, JSON.stringify(Object.fromEntries(panels)));
}

/** Return a name that no panel has, beginning with `name`. */
export function freeName(name) {
  const panels = loadPanels();
  let free = name;
  for (let number = 2; panels.has(free); number++) free = `${name} ${number}`;
  return free;
}

// --- links and files ---

/** range: parameters of a time range. */
export const toParams = (items, range = {}) =>
  new URLSearchParams([...items.map(({ show, attribute }) => [show, attribute]), ...Object.entries(range)]);

/** Return the items of a link; what cannot be used is left out. */
export const fromParams = (params) =>
  [...params].map(([show, attribute]) => ({ show, attribute })).filter((item) => isUsable([item])).slice(0, MOST_ITEMS);

export const toFile = (name, items) => JSON.stringify({ mtango_panel: VERSION, name, items }, null, 2);

/** Return the name and the items of a file. Throws Error for a file that is no panel. */
export async function fromFile(file) {
  if (file.size > MOST_BYTES) throw new Error(`expected a file of at most ${MOST_BYTES} bytes, got ${file.size}`);
  const text = await file.text();
  let given = null;
  try {
    given = JSON.parse(text);
  } catch {
    throw expected("a panel in JSON", text);
  }
  if (given?.mtango_panel !== VERSION) throw expected(`a panel with "mtango_panel": ${VERSION}`, given?.mtango_panel ?? given);
  return { name: checkName(given.name), items: checkItems(given.items) };
}
