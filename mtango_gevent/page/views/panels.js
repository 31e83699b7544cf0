/** Panels: selections of attributes, kept under a name in the browser or contained in a link. */

import { confirm } from "../dialogs.js";
import { age, formatValue, qualityClass, qualityText, stateClass, unitOf } from "../format.js";
import { follow } from "../live.js";
import { deviceLink, go, link, replaceParams } from "../router.js";
import { html, useEffect, useReducer, useRef, useState } from "../vendor/htm-preact-3.1.1.module.js";
import { AttributeSearch } from "./attribute_search.js";
import { ImageValue } from "./image.js";
import { KINDS, checkName, freeName, fromFile, fromParams, keepPanel, kindOf, loadPanels, toFile, toParams } from "./panel_store.js";
import { RangeButtons, useTimeRange } from "./plot.js";
import { splitSource } from "./series.js";
import { SpectrumValue } from "./spectrum.js";
import { TimePlot, setText } from "./time_plot.js";

const CARDS = { spectrum: SpectrumValue, image: ImageValue };

export function View({ route: { path, params } }) {
  const [, render] = useReducer((count) => count + 1, 0), [problem, setProblem] = useState("");
  useEffect(() => { // another tab has changed a panel
    addEventListener("storage", render);
    return () => removeEventListener("storage", render);
  }, []);
  if (!path && !params.size) return html`<${List} changed=${render} />`;
  const kept = path ? loadPanels().get(path) : fromParams(params);
  if (!kept) return html`<p class="notice error" role="alert">This browser has no panel ${path}.</p><${List} changed=${render} />`;
  const change = (items, range) => {
    try {
      if (path) keepPanel(path, items), render();
      else replaceParams(toParams(items, range));
      setProblem("");
    } catch (error) {
      setProblem(error.message);
    }
  };
  return html`${problem && html`<p class="notice error" role="alert">${problem}</p>`}<${Panel} key=${path} name=${path} items=${kept} params=${params} change=${change} />`;
}

// --- all panels ---

function List({ changed }) {
  const [problem, setProblem] = useState("");
  const read = async ({ target }) => {
    const [file] = target.files;
    if (!file) return;
    try {
      const { name, items } = await fromFile(file).finally(() => (target.value = ""));
      keepPanel(freeName(name), items);
      setProblem("");
      changed();
    } catch (error) {
      setProblem(error.message);
    }
  };
  return html`<section class="card"><h1>Panels</h1>
    <ul class="panels">${[...loadPanels()].map(([name, { length }]) => html`<li key=${name}>
      <a href=${link("panel", { path: name })} dir="auto">${name}</a> <span class="muted">${length} attributes</span></li>`)}</ul>
    <${NameForm} action="New panel" onName=${(name) => keepAs(freeName(name), [])} />
    <p><label>Import a file <input type="file" accept=".json,application/json" onChange=${read} /></label></p>
    ${problem && html`<p class="notice error" role="alert" dir="auto">${problem}</p>`}
  </section>`;
}

// --- one panel ---

function Panel({ name, items, params, change }) {
  const [isEdited, setEdited] = useState(!items.length);
  const [range, changed] = useTimeRange(params, (limits) => replaceParams(toParams(name ? [] : items, limits)));
  const sources = (kind) => [...new Set(items.filter(({ show }) => show === kind).map(({ attribute }) => attribute))];
  const values = sources("value"), plotted = sources("plot"), limits = plotted.length ? range.params : {};
  return html`<section class="card panel"><h1 dir="auto">${name || "Unnamed panel"}</h1>
    <div class="row tools">
      <button aria-pressed=${isEdited} class=${isEdited ? "primary" : ""} onClick=${() => setEdited(!isEdited)}>Edit</button>
      <button onClick=${() => download(`${name || "panel"}.json`, toFile(name || "Panel", items))}>Export</button>
      <a href=${link("panel", { params: toParams(items, limits) })}>Link to this panel</a>
      ${!name && html`<${NameForm} action="Keep" onName=${(given) => keepAs(freeName(given), items)} />`}
    </div>
    ${isEdited && html`<${Editor} name=${name} items=${items} change=${(list) => change(list, limits)} />`}
    ${!items.length && html`<p class="notice">The panel is empty: add attributes.</p>`}
    ${values.length > 0 && html`<${ValueTable} sources=${values} />`}
  </section>
  ${plotted.length > 0 && html`<section class="card"><h2>Time plot</h2><${RangeButtons} range=${range} changed=${changed} />
    <${TimePlot} sources=${plotted} range=${range} onRange=${changed} /></section>`}
  <div class="cards">${items.filter(({ show }) => CARDS[show]).map(({ show, attribute: source }) => {
    const [device, attribute] = splitSource(source);
    return html`<section class="card" key=${show + source}><h2 dir="auto">${source}</h2><${CARDS[show]} device=${device} attribute=${attribute} /></section>`;
  })}</div>`;
}

function keepAs(name, items) {
  keepPanel(name, items);
  go(link("panel", { path: name }));
}

function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function NameForm({ name = "", action, onName }) {
  const [problem, setProblem] = useState("");
  const submit = (event) => {
    event.preventDefault();
    try {
      onName(checkName(event.target.elements.name.value));
    } catch (error) {
      setProblem(error.message);
    }
  };
  return html`<form class="row" onSubmit=${submit}><label>Name <input name="name" required maxlength="100" defaultValue=${name} autocomplete="off" /></label>
    <button>${action}</button>${problem && html`<span role="alert" class="quality-invalid">${problem}</span>`}</form>`;
}

function Editor({ name, items, change }) {
  const add = (attribute, info) => change([...items, { show: kindOf(info), attribute }]);
  const rename = (given) => {
    if (given === name) return;
    if (loadPanels().has(given)) throw new Error(`there is a panel ${given} already`);
    keepPanel(name, null);
    keepAs(given, items);
  };
  const remove = async () => {
    if (!(await confirm({ title: `Delete the panel ${name}?`, text: "It is kept in this browser only.", action: "Delete" }))) return;
    keepPanel(name, null);
    go(link("panel"));
  };
  return html`<div class="panel-editor"><${AttributeSearch} onPick=${add} />
    <ol>${items.map((item, index) => html`<${EditedItem} item=${item} index=${index} items=${items} change=${change} />`)}</ol>
    ${name && html`<div class="row"><${NameForm} name=${name} action="Rename" onName=${rename} /><button class="danger" onClick=${remove}>Delete</button></div>`}
  </div>`;
}

function EditedItem({ item: { show, attribute }, index, items, change }) {
  const swap = (other) => change(items.with(index, items[other]).with(other, items[index]));
  return html`<li><div class="row"><span dir="auto">${attribute}</span>
    <select aria-label="Show ${attribute} as" value=${show} onChange=${({ target }) => change(items.with(index, { show: target.value, attribute }))}>
      ${Object.entries(KINDS).map(([kind, text]) => html`<option value=${kind}>${text}</option>`)}</select>
    <button aria-label="Move ${attribute} up" disabled=${index === 0} onClick=${() => swap(index - 1)}>↑</button>
    <button aria-label="Move ${attribute} down" disabled=${index === items.length - 1} onClick=${() => swap(index + 1)}>↓</button>
    <button aria-label="Remove ${attribute}" onClick=${() => change(items.toSpliced(index, 1))}>✕</button>
  </div></li>`;
}

// --- values ---

function showRecord({ cells: [, value, quality, time] }, { configuration, errors, stale, ...record }) {
  const isState = configuration?.data_type === "DevState", [text] = value.children;
  setText(text, `${formatValue(record.value, configuration)} ${unitOf(configuration)}`.trim());
  const look = isState ? `state ${stateClass(record.value)}` : stale ? "" : qualityClass(record.quality);
  setClass(text, stale ? `${look} stale` : look);
  setText(quality, errors ? errors[0]?.description ?? "failed" : stale ? "stale" : qualityText(record.quality));
  showAge(time, record.time);
}

const showAge = (cell, time) => time && setText(cell, age(time));

function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

/** Live values of many attributes. A record sets the texts of its row; the table is rendered only when its rows change. */
function ValueTable({ sources }) {
  const body = useRef(null);
  useEffect(() => {
    const rows = [...body.current.rows], times = rows.map(() => 0);
    const stops = sources.map((source, index) => follow(...splitSource(source), (record) => {
      times[index] = record.time;
      showRecord(rows[index], record);
    }));
    const timer = setInterval(() => document.hidden || rows.forEach((row, index) => showAge(row.cells[3], times[index])), 1000);
    return () => {
      clearInterval(timer);
      for (const stop of stops) stop();
    };
  }, [sources.join("\n")]);
  return html`<div class="scroll"><table class="values">
    <thead><tr><th scope="col">Attribute</th><th scope="col" class="number">Value</th><th scope="col">Quality</th><th scope="col">Age</th></tr></thead>
    <tbody ref=${body}>${sources.map((source) => html`<${ValueRow} key=${source} source=${source} />`)}</tbody>
  </table></div>`;
}

function ValueRow({ source }) {
  const [device, attribute] = splitSource(source);
  return html`<tr><th scope="row"><a href=${deviceLink(device, { attr: attribute })} dir="auto">${source}</a></th>
    <td class="number"><span dir="auto">…</span></td><td dir="auto"></td><td></td></tr>`;
}
