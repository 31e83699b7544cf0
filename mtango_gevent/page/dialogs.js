/** Questions to the user, and failures in Tango's words. */

import { html } from "./vendor/htm-preact-3.1.1.module.js";

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Ask the user; resolves to true if the user chooses `action`. The focus is on Cancel, so that Enter alone does nothing. */
export function confirm({ title, text, action }) {
  const dialog = element("dialog", { className: "confirm" },
    element("form", { method: "dialog" },
      element("h2", { id: "confirm-title", textContent: title, dir: "auto" }),
      element("p", { textContent: text, dir: "auto" }),
      element("p", { className: "buttons" },
        element("button", { value: "", textContent: "Cancel", autofocus: true }),
        element("button", { value: "yes", className: "primary", textContent: action }))));
  dialog.setAttribute("aria-labelledby", "confirm-title");
  document.body.append(dialog);
  const close = () => dialog.close();
  addEventListener("hashchange", close); // the view has changed
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    removeEventListener("hashchange", close);
    dialog.remove();
    resolve(dialog.returnValue === "yes");
  }));
}

const NOT_IN_TIME = "The device did not answer in time: it is busy, or its server hangs.";
const LIMIT = "Too many calls are in progress; the gateway did not make this one. Try again in a moment.";

// The first reason of this table that a failure has explains it.
const EXPLANATIONS = {
  MTANGO_CircuitOpen: "The device or its server has been silent, so the gateway makes no calls to it for some seconds. It tries again by itself.",
  DB_DeviceNotDefined: "The Tango database has no device of this name.",
  API_DeviceNotExported: "The device is in the database, but its server does not run, or has not exported it.",
  API_CantConnectToDatabase: "The Tango database cannot be reached.",
  API_DeviceTimedOut: NOT_IN_TIME,
  API_CommandTimedOut: NOT_IN_TIME,
  MTANGO_CallTimedOut: NOT_IN_TIME,
  MTANGO_DeviceBusy: LIMIT,
  MTANGO_PoolExhausted: LIMIT,
  API_CantConnectToDevice: "The server of the device cannot be reached: it has ended, hangs, or its host is down.",
  API_EventTimeout: "No events come any more: the server of the device has ended, hangs, or its host is down.",
  API_CorbaException: "The connection to the device was lost.",
};

/** Return in plain words why a device did not answer, "" if it did answer. errors: as in a Failure. */
export function explain(errors) {
  const reasons = new Set(errors?.map((error) => error.reason));
  return Object.entries(EXPLANATIONS).find(([reason]) => reasons.has(reason))?.[1] ?? "";
}

/** A failure: the first description, the stack folded, the id of the request with a link to its log line. */
export function ShowFailure({ failure }) {
  const { errors = [], requestId, message } = failure;
  const plain = explain(errors), first = errors[0];
  return html`<div class="failure" role="alert">
    ${plain && html`<p>${plain}</p>`}
    <p dir="auto">${first?.description || message}</p>
    ${first && html`<details>
      <summary>${first.reason}${errors.length > 1 && `, ${errors.length} errors`}</summary>
      <ol>${errors.map((error) => html`<li dir="auto"><b>${error.reason}</b> ${error.description}${" "}
        <small>${error.origin}</small></li>`)}</ol>
    </details>`}
    ${requestId && html`<small>Request <a href=${`#/ill?request=${encodeURIComponent(requestId)}`}>${requestId}</a></small>`}
  </div>`;
}
