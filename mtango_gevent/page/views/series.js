/** The points of one attribute over time: its history, then each event. */

import { deviceUrl, get } from "../api.js";
import { STATES, formatValue, unitOf } from "../format.js";
import { follow } from "../live.js";

/** Points kept of a series; the oldest tenth is dropped beyond it. */
export const LIMIT = 50000;

const SOURCE = /^(tango:\/\/[^/\s]+\/)?[^/]+\/[^/]+\/[^/]+\/[^/]+$/;

/** Return whether a text is `device/attribute`. */
export const isSource = (text) => SOURCE.test(text);

/** Return the device and the attribute of `device/attribute`. */
export function splitSource(source) {
  const end = source.lastIndexOf("/");
  return [source.slice(0, end), source.slice(end + 1)];
}

export const isInvalid = (record) => Boolean(record.errors) || record.quality === "ATTR_INVALID";

function labelsOf({ data_type, enum_label }) {
  if (data_type === "DevState") return STATES;
  if (data_type === "DevBoolean") return ["false", "true"];
  return enum_label?.length ? enum_label : null;
}

/** Return the index of the first time that is later than `time`. */
function after(times, time) {
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

const noHistory = (why) => `No history (${why}): begins with the page.`;

export class Series {
  /** changed(kind): called for new points, with true when the attribute's configuration has changed. */
  constructor(source, changed) {
    Object.assign(this, { source, changed, times: [], values: [], labels: null, unit: "", record: null, note: "", dropped: false });
    [this.device, this.attribute] = splitSource(source);
    this.stop = follow(this.device, this.attribute, (record) => this.take(record), { keep: "all", maxHz: null });
  }

  /** The key of the y axis: series with the same unit, or the same labels, share one. */
  get scale() {
    return this.labels ? this.labels.join() : this.unit;
  }

  get newest() {
    return this.times.at(-1) ?? 0;
  }

  /** Whether the last value is that of now. */
  get holds() {
    return this.record && !this.record.stale && !isInvalid(this.record);
  }

  take(record) {
    const configured = record.configuration && record.configuration !== this.configuration;
    if (configured) this.configure(record.configuration);
    const repeated = this.record?.time === record.time && !this.record.errors === !record.errors;
    if (record.stale) this.add(Date.now(), null);
    else if (!repeated || this.record.stale) this.add(record.time, isInvalid(record) ? null : this.number(record.value));
    this.record = record;
    this.changed(configured);
  }

  configure(configuration) {
    const first = !this.configuration;
    this.configuration = configuration;
    this.labels = labelsOf(configuration);
    this.unit = unitOf(configuration);
    if (configuration.data_format !== "SCALAR" || (!this.labels && /String|Encoded/.test(configuration.data_type))) {
      this.unplottable = true;
      this.note = "Only numbers, booleans, enumerations and states of scalar attributes have a time plot.";
    } else if (first) this.loadHistory();
  }

  /** Return the y of a value; null, which is a gap, for one that has none. */
  number(value) {
    if (typeof value === "boolean") return Number(value);
    const index = this.labels?.indexOf(value);
    if (index >= 0) return index;
    const number = typeof value === "string" && !this.labels ? Number(value) : value; // an integer beyond 2^53 is a text
    return Number.isFinite(number) ? number : null;
  }

  /** Add a point. Clocks differ: a time before the last point's becomes the last point's, and a gap ends before the point. */
  add(time, y) {
    const last = this.times.length - 1;
    if (y === null && (this.values[last] ?? null) === null) return;
    if (this.values[last] === null && time < this.newest) this.times[last] = Math.max(time, this.times[last - 1] ?? 0);
    this.times.push(Math.max(time, this.newest));
    this.values.push(y);
    if (this.times.length <= LIMIT) return;
    this.times.splice(0, LIMIT / 10);
    this.values.splice(0, LIMIT / 10);
    this.dropped = true;
  }

  async loadHistory() {
    try {
      const url = `${deviceUrl(this.device)}/attributes/${encodeURIComponent(this.attribute)}/history?unpolled=empty`;
      const found = await get(url), first = Math.floor(this.times[0] ?? Infinity); // a history has whole milliseconds
      const older = found.filter((item) => item.timestamp < first);
      if (!found.length) this.note = noHistory("the attribute is not polled");
      this.times = [...older.map((item) => item.timestamp), ...this.times];
      this.values = [...older.map((item) => (isInvalid(item) ? null : this.number(item.value))), ...this.values];
    } catch (failure) {
      this.note = noHistory(failure.message);
    }
    this.changed(true);
  }

  /** Return times and values from `from` to `to`, with a point outside on each side. now: until then the last value holds. */
  slice(from, to, now = 0) {
    const low = Math.max(0, after(this.times, from) - 1), high = after(this.times, to) + 1;
    const times = this.times.slice(low, high), values = this.values.slice(low, high);
    if (now > this.newest && high > this.times.length && this.holds && times.length) {
      times.push(now);
      values.push(values.at(-1));
    }
    return [times, values];
  }

  /** Return the value at a time, null where there is none. */
  at(time) {
    return this.values[after(this.times, time) - 1] ?? null;
  }

  /** Return a y as text. */
  text(y) {
    return this.labels && y !== null ? this.labels[Math.round(y)] ?? "" : formatValue(y, this.configuration);
  }
}
