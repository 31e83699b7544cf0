/** The data of a plot as a table, made when it is opened. */

import { html, useState } from "../vendor/htm-preact-3.1.1.module.js";

/** rows: function that returns lists of texts. */
export function DataTable({ head, rows }) {
  const [shown, setShown] = useState(null);
  return html`<details class="data-table" onToggle=${(event) => setShown(event.target.open ? rows() : null)}>
    <summary>Data as a table</summary>
    ${shown && html`<div class="scroll" tabindex="0" role="region" aria-label="Data"><table>
      <thead><tr>${head.map((text) => html`<th scope="col">${text}</th>`)}</tr></thead>
      <tbody>${shown.map((row) => html`<tr>${row.map((text) => html`<td dir="auto">${text}</td>`)}</tr>`)}</tbody>
    </table></div>`}
  </details>`;
}
