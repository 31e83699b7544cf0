/** The attributes of a device in groups: live values, details, and writes. */

import { deviceUrl, put } from "../api.js";
import { ShowFailure, confirm, explain } from "../dialogs.js";
import { age, formatValue, qualityClass, qualityText, setting, unitOf } from "../format.js";
import { go, link, replaceParams } from "../router.js";
import { session, useMay } from "../session.js";
import { html, useEffect, useMemo, useRef, useState } from "../vendor/htm-preact-3.1.1.module.js";
import { Field, Text, Value, fieldOf, isComplete, readField, submitOnEnter, useFollow, useVisible } from "./value.js";

// Milliseconds after which the age of a value is shown, and of one that is stale: values are sent when they change.
const OLD = 60_000, STALE = 3_000;
const GROUPS = [["Scalars", "SCALAR"], ["Spectra", "SPECTRUM"], ["Images", "IMAGE"]];
const IN_HEAD = /^(state|status)$/i;
const PLOTTED = /Long|Short|Char|Float|Double|Boolean|Enum|State/;

const isPlotted = ({ info }) => info?.data_format === "SCALAR" && PLOTTED.test(info.data_type);

/** listed: attributes as v11 lists them. params: `attr` selects some of them. */
export function Attributes({ device, listed, params }) {
  const [text, setText] = useState(""), [marked, setMarked] = useState([]);
  const chosen = params.getAll("attr").map((name) => name.toLowerCase());
  const all = listed.filter(({ name }) => !IN_HEAD.test(name));
  const shown = all.filter(({ name, info }) => (!chosen.length || chosen.includes(name.toLowerCase()))
    && `${name} ${info?.label}`.toLowerCase().includes(text.toLowerCase()));
  const isExpert = ({ info }) => info?.level === "EXPERT";
  const mark = (name, on) => setMarked((before) => [...before.filter((each) => each !== name), ...(on ? [name] : [])]);
  const rows = (items) => html`<ul class="attributes">${items.map((each) => html`<${Row} key=${each.name} device=${device}
    attribute=${each} isMarked=${marked.includes(each.name)} onMark=${(on) => mark(each.name, on)} />`)}</ul>`;
  const expert = shown.filter(isExpert);
  return html`<section class="card" aria-labelledby="attributes-title">
    <div class="row"><h2 id="attributes-title">Attributes</h2>
      <label><span class="hidden">Filter attributes</span><input type="search" placeholder="Filter ${all.length} attributes" onInput=${(event) => setText(event.target.value)} /></label>
      ${marked.length > 0 && html`<${Marked} device=${device} items=${all.filter(({ name }) => marked.includes(name))} onClear=${() => setMarked([])} />`}
      ${chosen.length > 0 && html`<button onClick=${() => replaceParams({})}>Show all attributes</button>`}
    </div>
    ${GROUPS.map(([title, format]) => {
      const items = shown.filter((each) => !isExpert(each) && (each.info?.data_format ?? "SCALAR") === format);
      return items.length > 0 && html`<h3>${title}</h3>${rows(items)}`;
    })}
    ${expert.length > 0 && html`<details open=${chosen.length > 0}><summary>Expert attributes (${expert.length})</summary>${rows(expert)}</details>`}
    ${!shown.length && html`<p class="muted">No attribute${all.length ? " matches" : "s"}.</p>`}
  </section>`;
}

/** What can be done with the attributes that are marked. */
function Marked({ device, items, onClear }) {
  const plotted = items.filter(isPlotted), source = ({ name }) => `${device}/${name}`;
  const panel = () => import("./panel_store.js").then(({ kindOf, toParams }) =>
    go(link("panel", { params: toParams(items.map((each) => ({ show: kindOf(each.info), attribute: source(each) }))) })));
  const only = () => { replaceParams({ attr: items.map(({ name }) => name) }); onClear(); };
  return html`${plotted.length > 0 && html`<button onClick=${() => go(link("plot", { params: { s: plotted.map(source) } }))}>Plot ${plotted.length} selected</button>`}
    <button onClick=${panel}>Panel of ${items.length} selected</button><button onClick=${only}>Show only these</button>`;
}

function Row({ device, attribute: { name, info, errors }, isMarked, onMark }) {
  const ref = useRef(), latest = useRef(), [isVisible, wasVisible] = useVisible(ref), { open } = session();
  const [isOpen, setOpen] = useState(false), [isShown, setShown] = useState(false), [isEdited, setEdited] = useState(false);
  const [written, setWritten] = useState();
  const label = setting(info?.label) || name;
  if (!info) return html`<li class="attribute" ref=${ref}><bdi>${name}</bdi> <${ShowFailure} failure=${{ errors }} /></li>`;
  const isScalar = info.data_format === "SCALAR" && info.data_type !== "DevEncoded", isWritable = info.writable !== "READ";
  const close = () => {
    setEdited(false);
    setTimeout(() => ref.current?.querySelector(".set")?.focus());
  };
  return html`<li class="attribute" ref=${ref}>
    <div class="attribute-name">
      <label><input type="checkbox" checked=${isMarked} onChange=${(event) => onMark(event.target.checked)} aria-label="Select ${label}" />
        <bdi title=${info.description}>${label}</bdi></label>
      ${label !== name && html` <small class="muted"><bdi>${name}</bdi></small>`}
    </div>
    <${Reading} ...${{ device, name, info, isVisible, latest, written }} />
    <div class="buttons">
      ${isWritable && (wasVisible || open) && html`<${SetButton} ...${{ device, name, label, isEdited }} onClick=${() => setEdited(true)} />`}
      ${isPlotted({ info }) ? html`<button onClick=${() => plot(device, name)}>Plot<span class="hidden"> ${label}</span></button>`
    : !isScalar && html`<button aria-expanded=${isShown} onClick=${() => setShown(!isShown)}>${isShown ? "Hide" : "Show"}<span class="hidden"> ${label}</span></button>`}
      <button class="plain" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>Details<span class="hidden"> of ${label}</span></button>
    </div>
    ${isEdited && html`<${Editor} ...${{ device, name, info, label, latest, close }} onWritten=${setWritten} />`}
    ${isShown && html`<${Picture} device=${device} attribute=${name} info=${info} />`}
    ${isOpen && html`<${Details} info=${info} />`}
  </li>`;
}

const plot = (device, name) => import("./plot.js").then(({ addToPlot }) => addToPlot(device, name));

function SetButton({ device, name, label, isEdited, onClick }) {
  const { readOnly } = session();
  const may = useMay("write", device, name);
  if (readOnly || !may) return null;
  if (!may.allowed) return html`<small class="muted" title=${may.reason}>may not write: <bdi>${may.reason}</bdi></small>`;
  return html`<button class="set" hidden=${isEdited} onClick=${onClick}>Set<span class="hidden"> ${label}</span></button>`;
}

// --- the value ---

function Reading({ device, name, info, isVisible, latest, written }) {
  const isImage = info.data_format === "IMAGE", isScalar = info.data_format === "SCALAR";
  const record = useFollow(device, name, isVisible && !isImage, info.data_type === "DevEncoded" ? { maxHz: 1 } : isScalar ? {} : { maxHz: 2, binary: !/64|Boolean/.test(info.data_type) });
  latest.current = record;
  if (isImage) return html`<div class="reading muted">up to ${info.max_dim_x} × ${info.max_dim_y}</div>`;
  if (!record) return html`<div class="reading muted">…</div>`;
  const configuration = record.configuration ?? info, { value, errors } = record;
  const isStale = record.stale && (value !== undefined || !errors || explain(errors));
  const setValue = written && !(record.time > written.time) ? written.value : record.set_value;
  return html`<div class=${`reading ${isStale ? "old" : ""}`}>
    ${value !== undefined && html`<span class=${`value ${qualityClass(record.quality)}`}>
      ${isScalar ? html`<${Value} value=${value} configuration=${configuration} />` : html`<${Text} text=${formatValue(value, configuration)} />`}</span>
      ${unitOf(configuration) && html` <span class="unit"><bdi>${unitOf(configuration)}</bdi></span>`}`}
    ${value !== undefined && record.quality && record.quality !== "ATTR_VALID" && html` <span class=${`quality ${qualityClass(record.quality)}`}>${qualityText(record.quality)}</span>`}
    ${isStale && html` <span class="stale-mark">stale</span>`}
    ${errors && html` <${Trouble} errors=${errors} />`}
    <${Age} time=${record.time} least=${isStale ? STALE : OLD} />
    ${isScalar && info.writable !== "READ" && (setValue ?? null) !== null && html`<span class="set-value">set <bdi>${formatValue(setValue, configuration)}</bdi></span>`}
  </div>`;
}

/** Why there is no value: the reason alone where the device does not answer, as the head of the page tells more. */
function Trouble({ errors }) {
  const { reason, description } = errors[0];
  return html`<span class="trouble" title=${description}>${explain(errors) ? reason : html`<${Text} text=${description} />`}</span>`;
}

/** The age of a value, once it is old. */
function Age({ time, least }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), least);
    return () => clearInterval(timer);
  }, [time, least]);
  if (!time || now - time < least) return null;
  return html` <time class="age" datetime=${new Date(time).toISOString()} title="Time of the value: ${new Date(time).toLocaleString()}">${age(time, now)}</time>`;
}

/** A spectrum as a plot, or an image as a picture. */
function Picture({ device, attribute, info }) {
  const [Component, setComponent] = useState();
  useEffect(() => {
    const loaded = info.data_format === "SPECTRUM" ? import("./spectrum.js") : import("./image.js");
    loaded.then(({ SpectrumValue, ImageValue }) => setComponent(() => SpectrumValue ?? ImageValue));
  }, []);
  return html`<div class="opened">${Component && html`<${Component} device=${device} attribute=${attribute} />`}</div>`;
}

// --- details ---

function Details({ info }) {
  const { alarms = {} } = info;
  const range = (low, high) => [setting(low) && `from ${low}`, setting(high) && `to ${high}`].filter(Boolean).join(" ");
  const facts = {
    name: info.name,
    description: setting(info.description),
    type: `${info.data_type} ${info.data_format.toLowerCase()}, ${info.writable.toLowerCase().replace(/_/g, " ")}, ${info.level.toLowerCase()}`,
    limits: range(info.min_value, info.max_value),
    "no warning": range(alarms.min_warning, alarms.max_warning),
    "no alarm": range(alarms.min_alarm, alarms.max_alarm),
    format: setting(info.format),
    "display unit": setting(info.display_unit),
    "standard unit": setting(info.standard_unit),
    labels: info.enum_label?.join(", "),
    memorized: info.isMemorized ? "yes" : "",
  };
  return html`<dl class="facts">${Object.entries(facts).map(([name, text]) => text && html`<div><dt>${name}</dt><dd><${Text} text=${text} /></dd></div>`)}</dl>`;
}

// --- writes ---

/** Return which warning or alarm limit a value is beyond, "" if none, or if Tango refuses the value anyway. */
export function beyond(value, { min_value, max_value, alarms = {} }) {
  const numbers = [value].flat(2).map(Number);
  const isBelow = (limit) => setting(limit) && numbers.some((number) => number < Number(limit));
  const isAbove = (limit) => setting(limit) && numbers.some((number) => number > Number(limit));
  if (isBelow(min_value) || isAbove(max_value)) return "";
  for (const kind of ["alarm", "warning"]) {
    const low = alarms[`min_${kind}`], high = alarms[`max_${kind}`];
    if (isBelow(low)) return `below the ${kind} limit ${low}`;
    if (isAbove(high)) return `above the ${kind} limit ${high}`;
  }
  return "";
}

function Editor({ device, name, info, label, latest, close, onWritten }) {
  const [failure, setFailure] = useState(), [isBusy, setBusy] = useState(false), form = useRef();
  const { configuration, set_value, value } = latest.current ?? {};
  const described = { ...info, ...configuration }, id = `set-${name}`;
  const field = useMemo(() => fieldOf(info.data_type, described), []);
  const begin = useMemo(() => set_value ?? value, []);
  useEffect(() => form.current.elements[0].focus(), []);
  const write = async (event) => {
    event.preventDefault();
    if (isBusy || !isComplete(form.current)) return;
    setFailure();
    try {
      const entered = readField(form.current, field);
      if (!(await isMeant(device, label, entered, described))) return;
      setBusy(true);
      const answer = await put(`${deviceUrl(device)}/attributes/${encodeURIComponent(name)}/value`, entered);
      onWritten({ value: entered, time: answer?.timestamp ?? Date.now() });
      close();
    } catch (failed) {
      setFailure(failed);
      setBusy(false);
    }
  };
  return html`<form class="entry" ref=${form} noValidate onSubmit=${write} onKeyDown=${(event) => (event.key === "Escape" ? isBusy || close() : submitOnEnter(event))}>
    <${Field} field=${field} id=${id} value=${begin} what="New value of ${label}" />
    ${unitOf(described) && html`<bdi>${unitOf(described)}</bdi>`}
    <button class="primary" disabled=${isBusy}>${isBusy ? "Writing…" : "Write"}</button>
    <button type="button" disabled=${isBusy} onClick=${close}>Cancel</button>
    ${failure && html`<${ShowFailure} failure=${failure} />`}
  </form>`;
}

/** Ask the user where a value is beyond a warning or alarm limit, or the attribute is for experts. */
function isMeant(device, label, value, configuration) {
  const limit = beyond(value, configuration);
  const reasons = [limit && `The value is ${limit}.`, configuration.level === "EXPERT" && "The attribute is for experts."].filter(Boolean).join(" ");
  return !reasons || confirm({ title: `Write ${formatValue(value)} to ${label} of ${device}?`, text: reasons, action: "Write" });
}
