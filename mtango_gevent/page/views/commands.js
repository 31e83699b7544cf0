/** The commands of a device: forms made from the types of their arguments, and outputs. */

import { deviceUrl, put } from "../api.js";
import { ShowFailure, confirm } from "../dialogs.js";
import { session, useMay } from "../session.js";
import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.module.js";
import { Field, Value, fieldOf, isComplete, readField, submitOnEnter, useVisible } from "./value.js";

// State and Status are live in the head of the view.
const IN_HEAD = /^(state|status)$/i;

// Commands that interrupt operation or lose settings ask first, as commands for experts do. Those that halt something
// (Stop, Abort) never ask: in an emergency a question is in the way.
const ASKS = /^(dev_?)?(init|off|reset|restart|reboot|shutdown|kill|exit|delete|erase|clear)(?![a-z])/i;

/** Whether the first words of a name are those of a command that asks: ResetAlarm, but not Offset. */
export const asks = (name) => ASKS.test(name.replace(/([a-z])(?=[A-Z])/g, "$1_"));

const UNDESCRIBED = /^(|-|n\/a|none|uninitialised)$/i;

/** listed: commands as v11 lists them. */
export function Commands({ device, listed }) {
  const shown = listed.filter(({ name, info }) => info && !IN_HEAD.test(name));
  const rows = (items) => html`<ul class="commands">${items.map((each) => html`<${Command} key=${each.name} device=${device} name=${each.name} info=${each.info} />`)}</ul>`;
  const expert = shown.filter(({ info }) => info.level === "EXPERT"), usual = shown.filter(({ info }) => info.level !== "EXPERT");
  return html`<section class="card" aria-labelledby="commands-title"><h2 id="commands-title">Commands</h2>
    ${rows(usual)}
    ${expert.length > 0 && html`<details><summary>Expert commands (${expert.length})</summary>${rows(expert)}</details>`}
    ${!shown.length && html`<p class="muted">No commands.</p>`}
  </section>`;
}

function Command({ device, name, info }) {
  const [{ isRunning, output, failure, seconds }, setRun] = useState({}), form = useRef(), [, wasVisible] = useVisible(form), { open } = session();
  const field = fieldOf(info.in_type), id = `command-${name}`;
  const run = async (event) => {
    event.preventDefault();
    if (isRunning || !isComplete(form.current)) return;
    const began = performance.now(), took = () => (performance.now() - began) / 1000;
    try {
      const input = readField(form.current, field);
      if (!(await isMeant(device, name, info))) return;
      setRun({ isRunning: true });
      const answer = await put(`${deviceUrl(device)}/commands/${encodeURIComponent(name)}`, input === undefined ? undefined : { input });
      setRun({ output: answer?.output, seconds: took() });
    } catch (failed) {
      setRun({ failure: failed, seconds: took() });
    }
  };
  return html`<li><form class=${`command ${field.kind === "none" ? "" : "with-argument"}`} ref=${form} noValidate onSubmit=${run} onKeyDown=${submitOnEnter}>
    <b><bdi>${name}</bdi></b>
    ${(wasVisible || open) && html`<${Offer} device=${device} name=${name}>
      <${Field} field=${field} id=${id} what="Argument of ${name}" />
      <button class=${field.kind === "none" ? "" : "primary"} disabled=${isRunning}>${isRunning ? html`<${Running} />` : "Run"}<span class="hidden"> ${name}</span></button>
    <//>`}
    <${Types} info=${info} />
    <div role="status" class="output">
      ${seconds !== undefined && !failure && html`<small class="muted">done in ${seconds.toFixed(3)} s</small>
        ${(output ?? null) !== null && html`<${Value} value=${output} type=${info.out_type} />`}`}
    </div>
    ${failure && html`<${ShowFailure} failure=${failure} />`}
  </form></li>`;
}

/** What the user may do, or why not. */
function Offer({ device, name, children }) {
  const { readOnly } = session(), may = useMay("execute", device, name);
  if (readOnly || !may) return null;
  return may.allowed ? children : html`<small class="muted">not allowed: <bdi>${may.reason}</bdi></small>`;
}

function Types({ info }) {
  const described = [["in", info.in_type, info.in_type_desc], ["out", info.out_type, info.out_type_desc]].filter(([, type]) => type !== "DevVoid");
  return described.map(([way, type, text]) => html`<small class="muted">${way}: ${type}${UNDESCRIBED.test(text) ? "" : html`, <bdi>${text}</bdi>`}</small>`);
}

/** How long a command has been running. */
function Running() {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setSeconds((before) => before + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  return html`Running… ${seconds} s`;
}

function isMeant(device, name, { level }) {
  const text = level === "EXPERT" ? "The command is for experts." : asks(name) && "The command may interrupt operation, or lose settings.";
  return !text || confirm({ title: `Run ${name} of ${device}?`, text, action: "Run" });
}
