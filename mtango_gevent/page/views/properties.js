/** The properties of a device in the Tango database. */

import { del, deviceUrl, get, put } from "../api.js";
import { ShowFailure, confirm } from "../dialogs.js";
import { session, useMay } from "../session.js";
import { html, useRef, useState } from "../vendor/htm-preact-3.1.1.module.js";
import { Text } from "./value.js";

/** The properties, asked for when they are unfolded. */
export function Properties({ device }) {
  const [listed, setListed] = useState(), [failure, setFailure] = useState();
  const url = `${deviceUrl(device)}/properties`;
  const load = () => get(url).then((found) => { setListed(found); setFailure(); }, setFailure);
  const change = (made) => made.then(load, (failed) => { setFailure(failed); throw failed; });
  return html`<section class="card" aria-labelledby="properties-title">
    <details onToggle=${(event) => event.target.open && load()}><summary><h2 id="properties-title">Properties</h2></summary>
      ${listed && html`<ul class="properties">${listed.map((each) => html`<${Property} key=${each.name} ...${{ device, url, change }} property=${each} />`)}</ul>
        ${!listed.length && html`<p class="muted">No properties.</p>`}
        <${NewProperty} ...${{ device, url, change }} />`}
      ${failure && html`<${ShowFailure} failure=${failure} />`}
    </details>
  </section>`;
}

const urlOf = (url, name) => `${url}/${encodeURIComponent(name)}`;
const linesOf = (text) => text.replace(/\n$/, "").split("\n");

/** What an editor begins with: one value per line, or JSON where lines do not keep the values as they are. */
function textOf(values) {
  const text = values.join("\n"), isJson = /\r/.test(text) || JSON.stringify(linesOf(text)) !== JSON.stringify(values);
  return isJson ? { text: JSON.stringify(values), read: JSON.parse, how: "in JSON" } : { text, read: linesOf, how: "one per line" };
}

function useMayConfigure(device, name) {
  const { readOnly } = session(), may = useMay("configure", device, name, "property");
  return (!readOnly && may) || {};
}

function Property({ device, url, change, property: { name, values, errors } }) {
  const [isEdited, setEdited] = useState(false), item = useRef(), { allowed, reason } = useMayConfigure(device, name);
  const edit = (on) => {
    setEdited(on);
    setTimeout(() => item.current?.querySelector(on ? "textarea" : "button")?.focus());
  };
  const { text, read, how } = textOf(values ?? []);
  const save = (event) => {
    event.preventDefault();
    const write = async () => put(urlOf(url, name), read(event.target.elements.values.value));
    change(write()).then(() => edit(false), () => {});
  };
  const remove = async () => {
    const isMeant = await confirm({ title: `Delete the property ${name} of ${device}?`, text: `Its value is lost: ${values?.join(", ").slice(0, 200)}`, action: "Delete" });
    if (isMeant) change(del(urlOf(url, name))).catch(() => {});
  };
  return html`<li ref=${item}>
    <b><bdi>${name}</bdi></b>
    ${isEdited ? html`<form class="entry" onSubmit=${save} onKeyDown=${(event) => event.key === "Escape" && edit(false)}>
      <textarea name="values" rows=${Math.min(10, values.length + 1)} defaultValue=${text} aria-label="Values of ${name}, ${how}" />
      <button class="primary">Save</button><button type="button" onClick=${() => edit(false)}>Cancel</button></form>`
    : html`<div class="property-values">${errors ? html`<${ShowFailure} failure=${{ errors }} />` : values.map((text) => html`<div><${Text} text=${text} /></div>`)}</div>
      ${allowed && html`<div class="buttons"><button onClick=${() => edit(true)}>Edit<span class="hidden"> ${name}</span></button>
        <button onClick=${remove}>Delete<span class="hidden"> ${name}</span></button></div>`}
      ${reason && !allowed && html`<small class="muted">may not change: <bdi>${reason}</bdi></small>`}`}
  </li>`;
}

function NewProperty({ device, url, change }) {
  const { allowed } = useMayConfigure(device, "");
  const add = (event) => {
    event.preventDefault();
    const { name, values } = event.target.elements;
    change(put(urlOf(url, name.value), linesOf(values.value))).then(() => event.target.reset(), () => {});
  };
  return allowed && html`<form class="entry" onSubmit=${add}>
    <label>name <input name="name" required /></label>
    <label>values <textarea name="values" rows="1" title="one per line" placeholder="one per line" /></label>
    <button>Add</button></form>`;
}
