/** uPlot in the page: loaded with the first plot, drawn once per animation frame at most, in the colours of the style. */

import { shorten } from "../format.js";
import { html, useCallback, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.module.js";

let loading = null;

function load() {
  loading ??= new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src: new URL("../vendor/uplot-1.6.32.iife.min.js", import.meta.url) });
    script.onload = () => resolve(window.uPlot);
    script.onerror = reject;
    document.head.append(script);
  }).catch((error) => {
    loading = null; // the next plot tries again
    throw error;
  });
  return loading;
}

/** Return a colour of the style. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Call back when the colours change. Return a function that ends it. */
export function onColours(listener) {
  const dark = matchMedia("(prefers-color-scheme: dark)"), observer = new MutationObserver(listener);
  dark.addEventListener("change", listener);
  observer.observe(document.documentElement, { attributes: true });
  return () => (observer.disconnect(), dark.removeEventListener("change", listener));
}

/** Return a function that calls `draw` in the next animation frame; a hidden page has none. */
export function oncePerFrame(draw) {
  let frame = 0;
  const request = () => (frame ||= requestAnimationFrame(() => ((frame = 0), draw())));
  request.cancel = () => cancelAnimationFrame(frame);
  return request;
}

const FONT = "12px system-ui, sans-serif";

/** Options of an axis in the colours and the font of the style. */
export const axis = (options) => ({
  stroke: () => colour("--text"),
  font: FONT,
  labelFont: FONT,
  grid: { stroke: () => colour("--line"), width: 1 },
  ticks: { stroke: () => colour("--line"), width: 1, size: 5 },
  ...options,
});

/** Show a plot in an element: return its ref, and a function that redraws.
 *
 * options: function of uPlot and the element's width, called again when one of `inputs` changes; null for no plot;
 * data: returns uPlot's data for each redraw; attach: called with a new plot, may return a function that is called at its end. */
export function useChart({ options, data, attach, inputs }) {
  const element = useRef(null), current = useRef({});
  Object.assign(current.current, { data, options });
  useEffect(() => {
    const chart = current.current, ends = [];
    let gone = false;
    load().then((uPlot) => {
      if (gone) return;
      const size = () => ({ width: element.current.clientWidth, height: element.current.clientHeight });
      const options = chart.options(uPlot, element.current.clientWidth);
      if (!options) return;
      const plot = new uPlot({ legend: { show: false }, ...size(), ...options }, chart.data(), element.current);
      const draw = oncePerFrame(() => plot.setData(chart.data()));
      const resized = new ResizeObserver(() => requestAnimationFrame(() => gone || plot.setSize(size())));
      resized.observe(element.current);
      chart.draw = draw;
      ends.push(() => resized.disconnect(), onColours(draw), draw.cancel, attach?.(plot), () => plot.destroy());
    }, console.error);
    return () => {
      gone = true;
      chart.draw = null;
      for (const end of ends) end?.();
    };
  }, inputs);
  return [element, useCallback(() => current.current.draw?.(), [])];
}

/** The data of a plot as a table, made when it is opened. rows: function that returns lists of texts. */
export function DataTable({ head, rows }) {
  const [shown, setShown] = useState(null);
  return html`<details class="data-table" onToggle=${(event) => setShown(event.target.open ? rows() : null)}>
    <summary>Data as a table</summary>
    ${shown && html`<${Table} label="Data" head=${head} rows=${shown} />`}
  </details>`;
}

/** Rows of texts. A part of the page that scrolls needs a name, and the focus. */
export function Table({ label, head = [], rows }) {
  return html`<div class="scroll texts" tabindex="0" role="region" aria-label=${label}><table>
    <thead><tr>${head.map((text) => html`<th scope="col">${text}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${row.map((text) => html`<td dir="auto">${shorten(String(text))}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}
