/** A live spectrum: a plot of numbers over their index, a table of texts. */

import { formatValue, labelOf, qualityText, unitOf } from "../format.js";
import { follow } from "../live.js";
import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.module.js";
import { DataTable, Table, axis, colour, useChart } from "./chart.js";
import { numbersOf, statistics } from "./numbers.js";

const TEXTS = 256, ROWS = 4096;

let indices = new Float64Array(0);

/** Return 0, 1, 2 ... */
function indicesTo(length) {
  if (indices.length < length) indices = Float64Array.from({ length: length * 2 }, (_, index) => index);
  return indices.subarray(0, length);
}

/** Return numbers with null for those that cannot be drawn. */
function drawable(numbers, isLog) {
  const canBe = isLog ? (y) => y > 0 && y < Infinity : Number.isFinite;
  return numbers.every(canBe) ? numbers : Array.from(numbers, (y) => (canBe(y) ? y : null));
}

export function statusText({ errors, stale, quality, value }) {
  if (errors) return errors[0]?.description ?? "failed";
  if (stale) return value === undefined ? "Waiting for a value" : "Connection lost: the last value is shown";
  return quality === "ATTR_VALID" ? "" : qualityText(quality);
}

/** Follow an attribute: return its last record, in a ref. changed(record): called for each record.
 *
 * The component renders again when the status or the configuration changes. */
export function useRecord(device, attribute, options, changed) {
  const last = useRef({ value: undefined, errors: null, stale: true }), call = useRef(changed), [, setStatus] = useState("");
  call.current = changed;
  useEffect(() => {
    let configuration = null, count = 0;
    return follow(device, attribute, (record) => {
      call.current(record);
      last.current = record;
      if (record.configuration !== configuration) count++;
      configuration = record.configuration;
      setStatus(`${count} ${Boolean(record.value)} ${statusText(record)}`);
    }, options);
  }, [device, attribute]);
  return last;
}

export function SpectrumValue({ device, attribute }) {
  const [isLog, setLog] = useState(false), [isFrozen, setFrozen] = useState(false), [fixed, setFixed] = useState(null);
  const [texts, setTexts] = useState(null), shown = useRef({ numbers: [] }), figures = useRef(null), pointed = useRef(null), redraw = useRef(() => {});
  const take = (record) => {
    if (isFrozen || record.value === shown.current.value) return;
    const labels = record.configuration?.enum_label ?? [], numbers = labels.length ? null : numbersOf(record.value ?? []);
    shown.current = { value: record.value, numbers: numbers ?? [] };
    setTexts(numbers || !record.value ? null : Array.from(record.value, (value) => labelOf(value, labels)));
    redraw.current();
  };
  const last = useRecord(device, attribute, { binary: true }, take);
  useEffect(() => take(last.current), [isFrozen]);
  const { configuration, stale } = last.current, unit = unitOf(configuration);
  const text = (number) => formatValue(number, configuration);
  const summarize = () => {
    const { numbers } = shown.current, found = statistics(numbers);
    const range = found && `minimum ${text(found.low)}, maximum ${text(found.high)}, mean ${Number(found.mean.toPrecision(6))} ${unit}`;
    figures.current.textContent = `${numbers.length} elements${range ? `: ${range}` : ""}`;
    element.current.setAttribute("aria-label", `Spectrum ${device}/${attribute}: ${figures.current.textContent}`);
  };
  const [element, draw] = useChart({
    inputs: [isLog, String(fixed), unit, configuration?.data_type],
    data: () => (summarize(), [indicesTo(shown.current.numbers.length), drawable(shown.current.numbers, isLog)]),
    options: (uPlot) => ({
      scales: { x: { time: false, range: (plot, low, high) => [0, high || 1] }, y: { distr: isLog ? 3 : 1, ...(fixed && { range: isLog ? positive(fixed) : fixed }) } },
      series: [{}, {
        stroke: () => colour("--plot-1"), width: 1.5, points: { show: false },
        paths: configuration?.data_type === "DevBoolean" ? uPlot.paths.stepped({ align: 1 }) : uPlot.paths.linear(),
      }],
      axes: [axis({}), axis({ size: 64, label: unit || undefined, labelSize: 18 })],
      cursor: { drag: { setScale: false, x: false } },
      hooks: { setCursor: [({ cursor: { idx } }) => (pointed.current.textContent = (idx ?? null) === null ? "" : `[${idx}] ${text(shown.current.numbers[idx])}`)] },
    }),
  });
  redraw.current = draw;
  const status = statusText(last.current);
  const fix = (event) => setFixed(event.target.checked ? rangeOf(shown.current.numbers) : null);
  return html`<div class="spectrum">
    <div class="row">
      <button aria-pressed=${isFrozen} class=${isFrozen ? "primary" : ""} onClick=${() => setFrozen(!isFrozen)}>Freeze</button>
      ${!texts && html`<label><input type="checkbox" checked=${isLog} onChange=${(event) => setLog(event.target.checked)} />Logarithmic</label>
        <label><input type="checkbox" checked=${fixed !== null} onChange=${fix} />Fixed range</label>
        ${fixed && html`<${Limits} limits=${fixed} onChange=${setFixed} />`}`}
      ${isFrozen && html`<span class="muted">frozen</span>`}
      <span class="quality-invalid" role="status" dir="auto">${status}</span>
    </div>
    ${texts && html`<${Table} label="Elements" rows=${texts.slice(0, TEXTS).map((text, index) => [index, text])} />
      ${texts.length > TEXTS && html`<p class="muted">The first ${TEXTS} of ${texts.length} elements.</p>`}`}
    <div class="plot small ${stale ? "stale" : ""}" hidden=${Boolean(texts)} ref=${element} role="img"></div>
    <p class="row number" hidden=${Boolean(texts)}><span ref=${figures} dir="auto"></span><span class="muted" ref=${pointed} dir="auto"></span></p>
    ${!texts && html`<${DataTable} head=${["Index", "Value"]} rows=${() => Array.from(shown.current.numbers.slice(0, ROWS), (y, index) => [index, text(y)])} />`}
  </div>`;
}

function rangeOf(numbers) {
  const { low, high } = statistics(numbers) ?? { low: 0, high: 1 };
  return low < high ? [low, high] : [low - 1, high + 1];
}

/** Return limits for a logarithmic axis, which has no zero. */
const positive = ([low, high]) => (high > 0 ? [low > 0 ? low : high / 1000, high] : [0.1, 1]);

function Limits({ limits, onChange }) {
  const change = (index) => ({ target }) => {
    const next = limits.with(index, target.valueAsNumber);
    if (next[0] < next[1]) onChange(next);
  };
  return ["from", "to"].map((name, index) => html`<label>${name}
    <input type="number" step="any" size="8" value=${limits[index]} onChange=${change(index)} /></label>`);
}
