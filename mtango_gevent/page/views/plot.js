/** The page of a time plot. Its link has the series and the time range: `s` (several), and `last` or `from` and `to`. */

import { go, link, replaceParams } from "../router.js";
import { ofTab, store } from "../api.js";
import { html, useEffect, useReducer, useRef } from "../vendor/htm-preact-3.1.1.module.js";
import { AttributeSearch } from "./attribute_search.js";
import { isSource } from "./series.js";
import { TimePlot } from "./time_plot.js";
import { TimeRange } from "./time_range.js";

// The parameters of the last plot in this tab.
const KEY = "mtango.plot";

// Milliseconds after which a range that has changed gets into the link.
const DELAY = 300;

const SPANS = { 60: "1 min", 600: "10 min", 3600: "1 h", 21600: "6 h", 86400: "24 h" };

/** Open the last plot with a further series, and up to now. */
export function addToPlot(device, attribute) {
  const params = new URLSearchParams(ofTab.getItem(KEY) ?? "");
  const source = `${device}/${attribute}`;
  if (!params.getAll("s").includes(source)) params.append("s", source);
  for (const key of ["from", "to"]) params.delete(key);
  go(link("plot", { params }));
}

const rangeText = (params) => ["last", "from", "to"].map((key) => params.get(key) ?? "").join();

/** Return the range of the link, and the function to call when it was changed in the page. */
export function useTimeRange(params, publish) {
  const [, render] = useReducer((count) => count + 1, 0), timer = useRef(0), state = useRef(null);
  useEffect(() => () => clearTimeout(timer.current), []);
  const text = rangeText(params);
  if (state.current?.text !== text) state.current = { text, range: new TimeRange(params) };
  state.current.publish = publish;
  const { range } = state.current;
  const changed = () => {
    render();
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      state.current.text = rangeText(new URLSearchParams(range.params));
      state.current.publish(range.params);
    }, DELAY);
  };
  return [range, changed];
}

export function RangeButtons({ range, changed }) {
  const act = (action) => () => (action(), changed());
  const span = Math.round(range.span / 1000);
  const choose = ({ target }) => (range.follow(target.value * 1000), changed());
  return html`<div class="row" role="group" aria-label="Time range">
    <button aria-pressed=${range.live} class=${range.live ? "primary" : ""} onClick=${act(() => range.follow())}>Live</button>
    <label>Last <select onChange=${choose} value=${range.live ? span : ""}>
      ${!(range.live && span in SPANS) && html`<option value=${range.live ? span : ""}>${range.live ? `${span} s` : "–"}</option>`}
      ${Object.entries(SPANS).map(([seconds, text]) => html`<option value=${seconds}>${text}</option>`)}
    </select></label>
    <button aria-label="Zoom out" onClick=${act(() => range.zoom(1.5))}>−</button>
    <button aria-label="Zoom in" onClick=${act(() => range.zoom(1 / 1.5))}>+</button>
  </div>`;
}

export function View({ route }) {
  const { params } = route, sources = [...new Set(params.getAll("s"))].filter(isSource); // what cannot be used is left out
  const [range, changed] = useTimeRange(params, (limits) => replaceParams({ s: sources, ...limits }));
  const show = (list) => replaceParams({ s: list, ...range.params });
  const add = (source, info) => {
    if (info.data_format !== "SCALAR") throw new Error(`expected a scalar, ${source} is ${info.data_format}`);
    if (!sources.includes(source)) show([...sources, source]);
  };
  useEffect(() => {
    const last = ofTab.getItem(KEY);
    if (params.size) store(ofTab, KEY, params);
    else if (last) replaceParams(new URLSearchParams(last));
  }, [String(params)]);
  return html`<section class="card"><h1>Plot</h1>
    <div class="row tools"><${RangeButtons} range=${range} changed=${changed} /><${AttributeSearch} onPick=${add} />
      ${sources.length > 0 && html`<a href=${link("panel", { params: { plot: sources } })}>Make a panel</a>`}</div>
    ${sources.length
      ? html`<${TimePlot} sources=${sources} range=${range} onRange=${changed} onRemove=${(source) => show(sources.filter((each) => each !== source))} />`
      : html`<p class="notice">Choose an attribute: a number, a boolean, an enumeration or a state.</p>`}
  </section>`;
}
