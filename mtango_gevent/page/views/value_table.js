/** Live values of many attributes. A record sets the texts of its row; the table is rendered only when its rows change. */

import { age, formatValue, qualityClass, qualityText, stateClass, unitOf } from "../format.js";
import { follow } from "../live.js";
import { deviceLink } from "../router.js";
import { html, useEffect, useRef } from "../vendor/htm-preact-3.1.1.module.js";
import { splitSource } from "./series.js";
import { setText } from "./time_plot.js";

function showRecord({ cells: [, value, quality, time] }, { configuration, errors, stale, ...record }) {
  const isState = configuration?.data_type === "DevState", [text] = value.children;
  setText(text, `${formatValue(record.value, configuration)} ${unitOf(configuration)}`.trim());
  const look = isState ? `state ${stateClass(record.value)}` : stale ? "" : qualityClass(record.quality);
  setClass(text, stale ? `${look} stale` : look);
  setText(quality, errors ? errors[0]?.description ?? "failed" : stale ? "stale" : qualityText(record.quality));
  showAge(time, record.time);
}

const showAge = (cell, time) => time && setText(cell, age(time));

function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

export function ValueTable({ sources }) {
  const body = useRef(null);
  useEffect(() => {
    const rows = [...body.current.rows], times = rows.map(() => 0);
    const stops = sources.map((source, index) => follow(...splitSource(source), (record) => {
      times[index] = record.time;
      showRecord(rows[index], record);
    }));
    const timer = setInterval(() => document.hidden || rows.forEach((row, index) => showAge(row.cells[3], times[index])), 1000);
    return () => {
      clearInterval(timer);
      for (const stop of stops) stop();
    };
  }, [sources.join("\n")]);
  return html`<div class="scroll"><table class="values">
    <thead><tr><th scope="col">Attribute</th><th scope="col" class="number">Value</th><th scope="col">Quality</th><th scope="col">Age</th></tr></thead>
    <tbody ref=${body}>${sources.map((source) => html`<${Row} key=${source} source=${source} />`)}</tbody>
  </table></div>`;
}

function Row({ source }) {
  const [device, attribute] = splitSource(source);
  return html`<tr><th scope="row"><a href=${deviceLink(device, { attr: attribute })} dir="auto">${source}</a></th>
    <td class="number"><span dir="auto">…</span></td><td dir="auto"></td><td></td></tr>`;
}
