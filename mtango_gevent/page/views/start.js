/** The first view: what the gateway is, and where to go. */

import { base, docs, version } from "../api.js";
import { recent } from "../devices.js";
import { deviceLink, link } from "../router.js";
import { html } from "../vendor/htm-preact-3.1.1.module.js";

export function View({ directory: { devices }, hosts }) {
  const names = recent(), count = devices === null ? "…" : devices.length;
  return html`
    <div class="start">
      <h1>mtango-gevent ${version}</h1>
      <p>HTTP gateway to Tango Controls: ${count} devices of ${hosts.join(", ")}.</p>
      <div class="cards">
        <section class="card">
          <h2>Recent devices</h2>
          ${names.length ? html`<ul>${names.map((device) => html`<li><a href=${deviceLink(device)}><bdi>${device}</bdi></a></li>`)}</ul>`
            : html`<p class="muted">Choose a device in the tree: <kbd>/</kbd> begins to search, arrows move, <kbd>Enter</kbd> opens.</p>`}
        </section>
        <section class="card">
          <h2>Views</h2>
          <ul>
            <li><a href=${link("plot")}>Plot</a>: values of several attributes over time</li>
            <li><a href=${link("panel")}>Panels</a>: attributes that belong together, kept in this browser</li>
            <li><a href=${link("ill")}>Health</a>: what does not answer, and why</li>
          </ul>
        </section>
        <section class="card">
          <h2>For programs</h2>
          <ul>
            <li><a href=${docs}>The API</a>: all requests, to try out</li>
            <li><a href="${base}/rc3/hosts"><code>${base}/rc3</code></a>, <code>${base}/v11</code>: TANGO REST API</li>
            <li><a href="${base}/sys"><code>${base}/sys</code></a>: figures, caches and settings of the gateway</li>
          </ul>
        </section>
      </div>
    </div>`;
}
