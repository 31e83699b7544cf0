/** The first view: what the gateway is, and where to go. */

import { version } from "../api.js";
import { html } from "../vendor/htm-preact-3.1.1.module.js";

export function View() {
  return html`<h1>mtango-gevent ${version}</h1><p>HTTP gateway to Tango Controls.</p>`;
}
