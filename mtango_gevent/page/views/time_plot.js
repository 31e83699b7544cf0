/** Several scalars in one plot over time, with their legend. */

import { formatValue, qualityClass, qualityText, shorten } from "../format.js";
import { deviceLink } from "../router.js";
import { html, useEffect, useReducer, useRef, useState } from "../vendor/htm-preact-3.1.1.module.js";
import { DataTable, axis, colour, useChart } from "./chart.js";
import { LIMIT, Series, isInvalid } from "./series.js";
import { attachGestures, cursor, onKey, zoomToSelection } from "./time_range.js";

const COLOURS = 6, DASHES = [[], [8, 4], [2, 3], [8, 3, 2, 3]], NARROW = 500, TICK = 250, SUMMARY = 2000, ROWS = 500;

const lineOf = (index) => ({ colour: `--plot-${(index % COLOURS) + 1}`, dash: DASHES[index % DASHES.length] });
const timeText = (time) => new Date(time).toLocaleString("sv"); // as ISO 8601, in the local time

/** Return the series of `device/attribute`s; those that stay keep their points. */
function useSeries(sources, changed) {
  const [list, setList] = useState([]), all = useRef(new Map()).current;
  useEffect(() => {
    for (const [source, series] of all) if (!sources.includes(source)) all.delete(source) && series.stop();
    for (const source of sources) if (!all.has(source)) all.set(source, new Series(source, changed));
    setList(sources.map((source) => all.get(source)));
  }, [sources.join("\n")]);
  useEffect(() => () => all.forEach((series) => series.stop()), []);
  return list;
}

function timeLabels(plot, splits, index, space, step) {
  let day = "";
  return splits.map((time) => {
    const text = timeText(time), date = text.slice(0, 10), isNew = date !== day;
    const clock = text.slice(11, step < 60e3 ? 19 : 16) + (step < 1000 ? `.${String(time % 1000).padStart(3, "0")}` : "");
    day = date;
    return step >= 86400e3 ? date : isNew ? `${clock}\n${date}` : clock;
  });
}

const wholeNumbers = (plot, index, low, high) => Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, n) => Math.ceil(low) + n);
const widthOf = (plot, values) => 18 + 7 * Math.max(2, ...(values ?? []).map((text) => Math.min(18, String(text ?? "").length)));

/** The y axis of series with the same unit, or the same labels. */
function valueAxis({ labels, unit, scale }, index, isNarrow) {
  const labelled = labels && { splits: wholeNumbers, values: (plot, splits) => splits.map((y) => labels[y] ?? ""), space: 10 };
  const side = index % 2 ? 1 : 3, grid = { show: index === 0, stroke: () => colour("--line"), width: 1 };
  return axis({ scale: `y:${scale}`, side, grid, size: widthOf, label: labels ? undefined : unit || " ", labelSize: 18, show: index < 2 || !isNarrow, ...labelled });
}

function chartOptions(uPlot, width, list, range, changed, onPointer) {
  const first = [...new Map(list.map((series) => [series.scale, series])).values()];
  const scales = first.map(({ scale, labels }) => [`y:${scale}`, labels ? { range: (plot, low, high) => [(low ?? 0) - 0.4, (high ?? 1) + 0.4] } : {}]);
  const lines = list.map((series, index) => ({
    facets: [{ scale: "x", auto: true, sorted: 1 }, { scale: `y:${series.scale}`, auto: true }],
    stroke: () => colour(lineOf(index).colour),
    dash: lineOf(index).dash,
    width: 1.5,
    paths: series.labels ? uPlot.paths.stepped({ align: 1 }) : uPlot.paths.linear(),
    points: { show: false, filter: (plot, i) => isolated(plot.data[i][1], width / 8), size: 5, fill: () => colour(lineOf(index).colour) },
  }));
  return {
    mode: 2, ms: 1, cursor,
    scales: { x: { time: true, range: () => range.limits }, ...Object.fromEntries(scales) },
    series: [null, ...lines],
    axes: [axis({ values: timeLabels, space: 90 }), ...first.map((series, index) => valueAxis(series, index, width < NARROW))],
    hooks: {
      setSelect: [(plot) => zoomToSelection(plot, range, changed)],
      setCursor: [(plot) => onPointer(plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") : null)],
    },
  };
}

/** Return the indices of the points to mark: all while there are few, otherwise those without a line to a neighbour. */
function isolated(values, most) {
  const alone = (index) => (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null;
  return values.map((_, index) => index).filter((index) => values.length < most || alone(index));
}

/** Return the data of uPlot for what the range shows. */
function slices(list, range) {
  const now = Date.now();
  range.now = Math.max(now, ...list.map(({ newest }) => newest));
  const [from, to] = range.limits;
  return [null, ...list.map((series) => series.slice(from, to, now))];
}

function summary(list, range) {
  const [from, to] = range.limits;
  const texts = list.map((series) => {
    const numbers = series.slice(from, to)[1].filter((y) => y !== null);
    const low = numbers.reduce((a, b) => Math.min(a, b), Infinity), high = numbers.reduce((a, b) => Math.max(a, b), -Infinity);
    const now = `${series.source} ${series.text(series.values.at(-1) ?? null)} ${series.unit}`;
    return numbers.length ? `${now}, from ${series.text(low)} to ${series.text(high)}` : now;
  });
  return `Time plot from ${timeText(from)} to ${timeText(to)}: ${texts.join("; ")}`;
}

function rows(list, range) {
  const [from, to] = range.limits;
  const points = list.flatMap((series) => {
    const [times, values] = series.slice(from, to);
    return times.map((time, index) => [time, series, values[index]]).filter(([time]) => time >= from && time <= to).slice(-ROWS);
  });
  return points.sort(([a], [b]) => b - a).slice(0, ROWS).map(([time, series, y]) => [`${timeText(time)}.${String(Math.floor(time % 1000)).padStart(3, "0")}`, series.source, y === null ? "no value" : `${series.text(y)} ${series.unit}`]);
}

/** Write the values of now, and those at the pointer, into the cells of the legend. */
function fillLegend(body, list, pointer) {
  list.forEach((series, index) => {
    const cells = body?.rows[index]?.cells, { record } = series;
    if (!cells || !record) return;
    const isLost = record.stale || isInvalid(record);
    const text = series.labels ? series.text(series.number(record.value)) : formatValue(record.value, series.configuration);
    setText(cells[1], `${text} ${series.unit}`);
    setText(cells[2], record.errors ? "failed" : record.stale ? "stale" : qualityText(record.quality));
    cells[1].className = `number ${isLost ? "stale" : qualityClass(record.quality)}`;
    cells[2].title = record.errors?.[0]?.description ?? "";
    setText(cells[3], pointer === null ? "" : series.text(series.at(pointer)));
  });
}

/** Set the text of an element if it is another one; a long one is cut. */
export function setText(element, text) {
  if (element.shown !== text) element.textContent = shorten(element.shown = text);
}

/** range: a TimeRange; onRange: called when the user has changed it; onRemove(source): if series can be removed. */
export function TimePlot({ sources, range, onRange, onRemove }) {
  const [, render] = useReducer((count) => count + 1, 0), body = useRef(null), pointer = useRef(null), redraw = useRef(() => {}), latest = useRef([]);
  const list = useSeries(sources, (configured) => (configured && render(), redraw.current()));
  const plotted = list.filter(({ labels, configuration, unplottable }) => configuration && !unplottable);
  const changed = () => (redraw.current(), onRange());
  const onPointer = (time) => ((pointer.current = time), fillLegend(body.current, latest.current, time));
  const [element, draw] = useChart({
    options: (uPlot, width) => plotted.length ? chartOptions(uPlot, width, plotted, range, changed, onPointer) : null,
    data: () => (fillLegend(body.current, list, pointer.current), slices(plotted, range)),
    attach: (plot) => attachGestures(plot, range, changed),
    inputs: [range, plotted.map(({ source, scale }) => source + scale).join("\n")],
  });
  redraw.current = draw;
  latest.current = list;
  useEffect(() => {
    const timer = setInterval(() => range.live && draw(), TICK);
    const describe = () => document.hidden || element.current?.setAttribute("aria-label", summary(plotted, range));
    const describing = setInterval(describe, SUMMARY);
    describe();
    return () => (clearInterval(timer), clearInterval(describing));
  });
  return html`<div class="time-plot">
    <div class="plot" ref=${element} tabindex="0" role="application" aria-roledescription="time plot"
      onKeyDown=${(event) => onKey(event, range, changed)}></div>
    <p class="muted hint">Drag or ← →: pan; wheel, + or −: zoom; Shift and drag: zoom to a range; End: live.</p>
    <div class="scroll"><table class="legend">
      <thead><tr><th scope="col">Attribute</th><th scope="col" class="number">Value</th><th scope="col">Quality</th>
        <th scope="col" class="number">At the pointer</th>${onRemove && html`<td></td>`}</tr></thead>
      <tbody ref=${body}>${list.map((series) => html`<${LegendRow} key=${series.source} series=${series} index=${plotted.indexOf(series)} onRemove=${onRemove} />`)}</tbody>
    </table></div>
    <${DataTable} head=${["Time", "Attribute", "Value"]} rows=${() => rows(plotted, range)} />
  </div>`;
}

function LegendRow({ series, index, onRemove }) {
  const { source, note, device, attribute, configuration, dropped } = series;
  const line = lineOf(Math.max(0, index));
  return html`<tr>
    <th scope="row">${index >= 0 && html`<svg class="line" width="28" height="10" aria-hidden="true">
        <line x1="0" x2="28" y1="5" y2="5" stroke="var(${line.colour})" stroke-dasharray=${line.dash.join(" ")} /></svg>`}
      <a href=${deviceLink(device, { attr: attribute })} dir="auto">${source}</a>
      ${configuration && configuration.label !== configuration.name && html` <span class="muted" dir="auto">${configuration.label}</span>`}
      ${note && html` <small class="muted" dir="auto">${note}</small>`}
      ${dropped && html` <small class="muted">The last ${LIMIT.toLocaleString("en")} points are kept.</small>`}</th>
    <td class="number" dir="auto"></td><td></td><td class="number" dir="auto"></td>
    ${onRemove && html`<td><button class="plain" aria-label="Remove ${source}" onClick=${() => onRemove(source)}>✕</button></td>`}
  </tr>`;
}
