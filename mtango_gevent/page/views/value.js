/** A value of any Tango type: how it is shown, and the fields with which a user enters one. */

import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.module.js";
import { MOST_CHARACTERS, STATES, formatValue, shorten, stateClass } from "../format.js";
import { follow } from "../live.js";

const MOST_ITEMS = 20;

/** Hook: the last record of an attribute, followed while `active`. */
export function useFollow(device, attribute, active = true, options = {}) {
  const [record, setRecord] = useState();
  useEffect(() => {
    if (!active) return;
    const stop = follow(device, attribute, (news) => setRecord({ ...news }), options);
    return () => {
      stop();
      setRecord((last) => last && { ...last, stale: true });
    };
  }, [device, attribute, active]);
  return record;
}

/** Hook: whether an element is near the visible part of the page, and whether it has ever been. */
export function useVisible(ref) {
  const [[isVisible, wasVisible], setVisible] = useState([false, false]);
  useEffect(() => {
    const see = (entries) => setVisible(([, before]) => [entries.at(-1).isIntersecting, before || entries.at(-1).isIntersecting]);
    const observer = new IntersectionObserver(see, { rootMargin: "200px", scrollMargin: "200px" });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [isVisible, wasVisible];
}

// --- how it is shown ---

/** A text from a device. A long one is cut, and shown whole on demand. */
export function Text({ text }) {
  const [whole, setWhole] = useState(false);
  if (!text) return html`<span class="muted">empty</span>`;
  if (text.length <= MOST_CHARACTERS) return html`<bdi class="text">${text}</bdi>`;
  return html`${whole ? html`<pre class="full-text" dir="auto" tabindex="0">${text}</pre>` : html`<bdi class="text">${shorten(text)}</bdi>`}
    <button type="button" class="small" onClick=${() => setWhole(!whole)}>
      ${whole ? "Show less" : `Show all ${text.length.toLocaleString("en")} characters`}</button>`;
}

export const State = ({ state, isStale }) => html`<span class=${`state ${isStale ? "old" : stateClass(state)}`}>${state}</span>`;

/** A list as a table: its first items, and all of them as text on demand. */
function List({ items, configuration, name }) {
  const [whole, setWhole] = useState(false);
  const shown = (part) => Array.from(part, (item) => Array.isArray(item) ? item.join(", ") : formatValue(item, configuration));
  if (!items.length) return html`<span class="muted">empty</span>`;
  return html`<div class="list">
    ${whole ? html`<pre class="full-text" dir="auto" tabindex="0">${shown(items).join("\n")}</pre>`
    : html`<table><thead><tr><th>#</th><th>${name ?? "value"}</th></tr></thead><tbody>
      ${shown(items.slice(0, MOST_ITEMS)).map((text, index) => html`<tr><td>${index}</td><td><${Text} text=${text} /></td></tr>`)}
    </tbody></table>`}
    ${items.length > MOST_ITEMS && html`<button type="button" class="small" onClick=${() => setWhole(!whole)}>
      ${whole ? "Show less" : `Show all ${items.length.toLocaleString("en")} items`}</button>`}
  </div>`;
}

/** A value of a scalar in its display format, or of an array as a table. type: Tango's. */
export function Value({ value, configuration, type = configuration?.data_type }) {
  if (/State$/.test(type) && typeof value === "string") return html`<${State} state=${value} />`;
  if (value?.svalue) {
    const numbers = value.lvalue ?? value.dvalue;
    return html`<div class="pair"><${List} items=${numbers} name="numbers" /><${List} items=${value.svalue} name="texts" /></div>`;
  }
  if (value?.width !== undefined) return html`<${List} items=${rowsOf(value)} configuration=${configuration} name="row" />`;
  if (value?.slice && typeof value !== "string") return html`<${List} items=${value} configuration=${configuration} />`;
  return html`<${Text} text=${formatValue(value, configuration)} />`;
}

/** The rows of an image. */
export function rowsOf({ data, width, height }) {
  return Array.from({ length: height }, (_, row) => Array.from(data.slice(row * width, (row + 1) * width)));
}

// --- fields ---

const KINDS = [[/Void/, "none"], [/(Long|Double)StringArray/, "pair"], [/Encoded/, "encoded"], [/Boolean/, "boolean"],
  [/State/, "state"], [/Enum/, "enum"], [/String/, "text"]];

/** What to enter for a Tango type: the kind of its items, 0, 1 or 2 dimensions, and limits of a configuration. */
export function fieldOf(type, configuration = {}) {
  const kind = KINDS.find(([pattern]) => pattern.test(type))?.[1] ?? "number";
  const dimensions = { SPECTRUM: 1, IMAGE: 2 }[configuration.data_format] ?? (/^DevVar|Array$/.test(type) ? 1 : 0);
  return { type, kind, dimensions, labels: configuration.enum_label ?? [], ...limits(type, configuration) };
}

function limits(type, { min_value, max_value, format }) {
  const precision = /\.(\d+)[ef]/.exec(format)?.[1] ?? 2;
  const number = (text) => (text === undefined || isNaN(text) ? undefined : text);
  return { min: number(min_value), max: number(max_value), step: /Float|Double/.test(type) ? 10 ** -precision : 1 };
}

const HINTS = { 1: "one value per line", 2: "one row per line, its values with commas or as JSON" };

/** Fields of a form. id: of the first one; value: to begin with; what: names it for screen readers. */
export function Field({ field, id, value, what }) {
  const { kind, dimensions, labels, min, max, step } = field;
  const labelled = { id, name: "value", "aria-label": what };
  if (kind === "none") return null;
  if (kind === "pair") {
    return html`<label>numbers <textarea id=${id} name="numbers" rows="2" placeholder=${HINTS[1]} /></label>
      <label>texts <textarea name="texts" rows="2" placeholder=${HINTS[1]} /></label>`;
  }
  if (kind === "encoded") {
    return html`<label>format <input id=${id} name="format" defaultValue=${value?.encoded_format} /></label>
      <label>data in base64 <textarea name="data" rows="2" defaultValue=${value?.encoded_data} /></label>`;
  }
  if (dimensions) {
    return html`<textarea ...${labelled} rows="2" defaultValue=${Array.from(value ?? []).join("\n")} placeholder=${HINTS[dimensions]}
      title=${HINTS[dimensions]} />`;
  }
  if (kind === "boolean") return html`<label class="switch"><input type="checkbox" role="switch" ...${labelled} defaultChecked=${value === true} /> true</label>`;
  if (kind === "state") return html`<${Choice} labelled=${labelled} options=${STATES} value=${value} />`;
  if (kind === "enum" && labels.length) return html`<${Choice} labelled=${labelled} options=${labels} value=${value} />`;
  if (kind === "text") return html`<textarea ...${labelled} rows="1" defaultValue=${value} title="Shift+Enter begins a new line" />`;
  return html`<input type="number" required ...${labelled} min=${min} max=${max} step=${step} defaultValue=${isFinite(value) ? value : ""} />`;
}

const Choice = ({ labelled, options, value }) =>
  html`<select ...${labelled}>${options.map((option) => html`<option value=${option} selected=${option === value}>${option}</option>`)}</select>`;

const lines = (text) => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));
const rowOf = (text) => (text.startsWith("[") ? JSON.parse(text) : text.split(",").map((each) => exact(each.trim())));
const words = (text) => text.split(/[\s,]+/).filter(Boolean);

/** Return a number for JSON: a text where JavaScript has no such number, as for large integers of 64 bits and NaN. */
const exact = (text) => (text.trim() && isFinite(text) && (Number.isSafeInteger(Number(text)) || !/^[-+]?\d+$/.test(text)) ? Number(text) : text);

/** Return what was entered, for JSON. */
export function readField(form, { type, kind, dimensions, labels }) {
  const { value, numbers, texts, format, data } = form.elements;
  if (kind === "none") return undefined;
  if (kind === "encoded") return { encoded_format: format.value, encoded_data: data.value.replace(/\s/g, "") };
  if (kind === "pair") return { [/Double/.test(type) ? "dvalue" : "lvalue"]: words(numbers.value).map(exact), svalue: lines(texts.value) };
  if (dimensions === 2) return lines(value.value).map(rowOf);
  if (dimensions) return kind === "text" || kind === "enum" ? lines(value.value) : words(value.value).map(exact);
  if (kind === "boolean") return value.checked;
  return kind === "number" || (kind === "enum" && !labels.length) ? exact(value.value) : value.value;
}

/** Return whether something can be read; otherwise the browser tells the user what is missing. */
export const isComplete = (form) =>
  [...form.elements].every(({ validity }) => !validity?.badInput && !validity?.valueMissing) || form.reportValidity();

/** Submit by Enter in a text of one line, by Ctrl+Enter in lists. */
export function submitOnEnter(event) {
  if (event.key !== "Enter" || event.target.tagName !== "TEXTAREA" || event.isComposing) return;
  if (event.ctrlKey || (event.target.rows === 1 && !event.shiftKey)) {
    event.preventDefault();
    event.currentTarget.requestSubmit();
  }
}
