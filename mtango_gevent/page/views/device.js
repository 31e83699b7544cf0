/** The view of a device: state, attributes, commands, properties. */

import { base, deviceUrl, docs, get, splitDevice, useAnswer } from "../api.js";
import { ShowFailure, explain } from "../dialogs.js";
import { session } from "../session.js";
import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.module.js";
import { Attributes } from "./attributes.js";
import { Commands } from "./commands.js";
import { Properties } from "./properties.js";
import { State, Text, useFollow } from "./value.js";

const STYLES = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("device.css", import.meta.url) });
const LONG_STATUS = 160;

// Only this view needs them, and it is not shown without.
document.head.append(STYLES);
await new Promise((done) => { STYLES.onload = STYLES.onerror = done; });

/** Hook: a number that grows each time that the device is back. */
function useReturns(record) {
  const [{ isLost, count }, setReturns] = useState({ isLost: false, count: 0 });
  const lost = Boolean(record && (record.errors || (record.stale && record.value)));
  useEffect(() => {
    if (lost !== isLost) setReturns({ isLost: lost, count: count + isLost });
  }, [lost]);
  return count;
}

export function View({ route }) {
  return html`<${Device} key=${route.path} device=${route.path} params=${route.params} />`;
}

function Device({ device, params }) {
  const url = deviceUrl(device);
  const state = useFollow(device, "State"), returns = useReturns(state);
  const [info, attributes, commands] = ["", "/attributes", "/commands"].map((part) =>
    useAnswer(() => get(`${url}${part}${part && "?filter=info&filter=name&filter=errors"}`), [returns]));
  const failure = (state?.errors && { errors: state.errors }) ?? attributes.failure ?? commands.failure;
  return html`<article class="device">
    <${Head} device=${device} info=${info.answer} state=${state} />
    ${failure && html`<${WhyNot} failure=${failure} />`}
    <div class="device-parts">
      ${attributes.answer && html`<${Attributes} device=${device} listed=${attributes.answer} params=${params} />`}
      <div>
        ${commands.answer && html`<${Commands} device=${device} listed=${commands.answer} />`}
        <${Properties} device=${device} />
      </div>
    </div>
  </article>`;
}

/** Why the device does not answer, with the failure behind it. */
function WhyNot({ failure }) {
  const title = failure.errors[0]?.reason === "MTANGO_Forbidden" ? "Not all may be shown to you"
    : explain(failure.errors) ? "The device does not answer" : "The device reports a failure";
  return html`<section class="card why-not"><h2>${title}</h2>
    <${ShowFailure} failure=${failure} /></section>`;
}

function Head({ device, info, state }) {
  const { host, name } = splitDevice(device);
  const { readOnly } = session();
  return html`<header class="card device-head">
    <div class="row">
      <h1><bdi>${info?.name ?? name}</bdi></h1>
      ${info?.alias && html`<span class="muted">alias <bdi>${info.alias}</bdi></span>`}
      <span role="status">${(state?.value || state?.errors) && html`<${State} state=${state.value ?? "UNKNOWN"} isStale=${state.stale} />`}
        ${state?.stale && html` <span class="stale-mark">stale</span>`}</span>
      <nav class="row" aria-label="Links of the device"><a href=${base + deviceUrl(device)}>API</a><a href=${docs}>API docs</a></nav>
    </div>
    <${Status} device=${device} />
    <dl class="facts"><${Facts} info=${info?.info} host=${host} /></dl>
    ${readOnly && html`<p class="notice">This gateway is read-only: values are shown, nothing can be changed.</p>`}
  </header>`;
}

function Status({ device }) {
  const record = useFollow(device, "Status"), text = String(record?.value ?? "");
  if (!record || record.errors) return null;
  const mark = `device-status ${record.stale ? "old" : ""}`;
  if (text.length <= LONG_STATUS && !text.trim().includes("\n")) return html`<p class=${mark} dir="auto">${text}</p>`;
  return html`<details class=${mark}><summary dir="auto">${text.trim().split("\n")[0].slice(0, LONG_STATUS)}…</summary><${Text} text=${text} /></details>`;
}

function Facts({ info, host }) {
  const facts = { class: info?.classname, server: info?.server, host: info?.hostname, "Tango host": host,
    exported: info && (info.exported ? info.last_exported : `no, since ${info.last_unexported}`) };
  return Object.entries(facts).map(([name, text]) => text && html`<div><dt>${name}</dt><dd><bdi>${text}</bdi></dd></div>`);
}
