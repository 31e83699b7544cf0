/** What is ill: from the figures under /sys, asked every two seconds while the page is visible. */

import { authorization, get, version } from "../api.js";
import { age } from "../format.js";
import { deviceLink, go, link } from "../router.js";
import { session } from "../session.js";
import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.module.js";

const PERIOD = 2_000, SAMPLES = 150, MOST_ROWS = 50;
const ROOT = location.origin + location.pathname;
const PARTS = {
  readiness: `${ROOT}readyz`, statistics: "/sys/stats", devices: "/sys/devices", streams: "/sys/streams", "failed requests": "/sys/failures",
};

const ago = (seconds) => age(seconds * 1000);
const long = (since) => ago(since).replace(" ago", "");
const ms = (seconds) => (seconds === null ? "" : `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`);
const rate = (number) => number.toFixed(number < 10 ? 1 : 0);

// --- asking ---

/** The answers by part: {data} or {failure}. A part that is refused is not asked again with the same credentials, and one in `without` is not now. */
async function askAll(before, without) {
  const ask = async ([part, url]) => {
    const known = before[part], user = authorization(), isRefused = [401, 403].includes(known?.failure?.status) && known.user === user;
    if (isRefused || (known && part === without)) return [part, known];
    try {
      return [part, { data: await get(url) }];
    } catch (failure) {
      return [part, part === "readiness" && failure.status === 503 ? { data: failure.answer } : { failure, user, data: known?.data }];
    }
  };
  return Object.fromEntries(await Promise.all(Object.entries(PARTS).map(ask)));
}

/** What was counted between two answers of /sys/stats, and per second. */
function difference(before, now) {
  const seconds = now.time - before.time, of = (count) => Math.max(0, count(now) - count(before));
  const requests = of((stats) => stats.responses), failures = of((stats) => stats.failures);
  return {
    requests: requests / seconds, failures: failures / seconds,
    lost: of((stats) => stats.events.missed + stats.events.dropped + stats.streams.dropped),
    refused: of((stats) => stats.pool.refused), jobs: of((stats) => stats.async.failed),
  };
}

function useHealth() {
  const [state, setState] = useState({ answers: {}, history: [] });
  useEffect(() => {
    let { answers, history } = state, timer, ended;
    const look = async () => {
      if (!document.hidden) {
        const before = answers.statistics?.data;
        // The rows of other workers may be two seconds old: they are asked twice after a failure.
        answers = await askAll(answers, history.slice(-2).some((sample) => sample.failures) ? "" : "failed requests");
        const now = answers.statistics.data;
        if (before && now?.time > before.time) history = [...history, difference(before, now)].slice(-SAMPLES);
        if (!ended) setState({ answers, history });
      }
      if (!ended) timer = setTimeout(look, PERIOD);
    };
    look();
    return () => { ended = true; clearTimeout(timer); };
  }, []);
  return state;
}

// --- judging ---

const problem = (text, device) => ({ text, device, isProblem: true }), warning = (text, device) => ({ text, device });
const COUNTED = { lost: "events were lost", refused: "calls were refused: no thread or place was free", jobs: "writes with async failed" };

function* judgeDevices(devices) {
  const open = devices.filter(({ state }) => state !== "closed");
  const silent = {}; // the devices of each silent server, which is pinged in place of them
  for (const row of open) if (row.server && row.state === "open" && row.next_try === null) (silent[row.server] ??= []).push(row);
  for (const [server, rows] of Object.entries(silent)) {
    yield problem(`The server ${server} has been silent for ${long(rows[0].open_since)}; devices: ${rows.length}; ${rows[0].last_error ?? ""}`, rows[0].name);
  }
  for (const row of open) {
    const next = row.next_try === null ? "it is tried now" : `the next try is in ${row.next_try.toFixed(1)} s`;
    if (!silent[row.server]?.includes(row)) yield problem(`The circuit has been open for ${long(row.open_since)}, ${next}: ${row.last_error ?? ""}`, row.name);
  }
  for (const row of devices) {
    if (row.state !== "closed") continue;
    if (row.last_error_time > Date.now() / 1000 - 60) yield warning(`A call failed ${ago(row.last_error_time)}: ${row.last_error}`, row.name);
    if (row.mean_time > 1) yield warning(`A call takes ${ms(row.mean_time)} on average`, row.name);
    if (row.waiting > 10) yield warning(`${row.waiting} calls wait`, row.name);
  }
}

function* judgeStatistics({ pool, hub, streams }, history) {
  if (pool.in_flight >= 0.9 * pool.maxsize) yield problem(`${pool.in_flight} of ${pool.maxsize} threads are busy`);
  if (pool.abandoned) yield warning(`Threads held by calls that timed out: ${pool.abandoned}`);
  if (hub.lag > 0.5) yield (hub.lag > 2 ? problem : warning)(`The loop of a worker was late by ${ms(hub.lag)}: every request of it waited`);
  if (streams.lag > 1) yield warning(`A record of a stream waits for ${ms(streams.lag)}: its client is too slow`);
  for (const [key, text] of Object.entries(COUNTED)) {
    const number = history.reduce((total, sample) => total + sample[key], 0);
    if (number) yield warning(`${number} ${text} in the last 5 minutes of this view`);
  }
}

function judge({ answers, history }) {
  const { readiness, statistics, devices } = answers, data = readiness?.data ?? {};
  const away = Object.values(answers).find(({ failure }) => failure?.status === 0)?.failure;
  const found = away ? [problem(`No new figures: ${away.message}`)] : [];
  found.push(...(data.problems ?? (data.status === "not ready" ? ["the gateway is not ready"] : [])).map((text) => problem(text)));
  found.push(...(data.warnings ?? []).map((text) => warning(text)));
  if (devices?.data) found.push(...judgeDevices(devices.data));
  if (statistics?.data) found.push(...judgeStatistics(statistics.data, history));
  return found.sort((one, other) => !!other.isProblem - !!one.isProblem);
}

// --- showing ---

const Device = ({ name }) => html`<a href=${deviceLink(name)}><bdi>${name}</bdi></a>`;

function Troubles({ found, hidden }) {
  const problems = found.filter((each) => each.isProblem).length;
  const text = found.length ? `Problems: ${problems}, warnings: ${found.length - problems}` : `All is well${hidden ? " in what you may see" : ""}.`;
  return html`<section class="card" aria-label="What is ill">
    <p role="status" class=${found.length ? "" : "well"}><strong>${text}</strong></p>
    <ul class="troubles">${found.map(({ text, device, isProblem, kind = isProblem ? "problem" : "warning" }) => html`<li class=${kind}>
      <strong>${kind}</strong> ${device && html`<${Device} name=${device} /> `}<span dir="auto">${text}</span></li>`)}</ul>
  </section>`;
}

/** columns: keys of the rows, or a title with a function of the row. */
function Table({ title, columns, rows, empty }) {
  if (!rows) return null;
  const cells = columns.map((column) => (typeof column === "string" ? [column, (row) => row[column]] : column));
  return html`<section class="card"><h2>${title}</h2>
    ${!rows.length ? html`<p class="muted">${empty}</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label=${title}><table>
      <thead><tr>${cells.map(([name]) => html`<th scope="col">${name}</th>`)}</tr></thead>
      <tbody>${rows.slice(0, MOST_ROWS).map((row) => html`<tr>${cells.map(([, cell]) => html`<td dir="auto">${cell(row)}</td>`)}</tr>`)}</tbody>
    </table></div>`}
    ${rows.length > MOST_ROWS && html`<p class="muted">and ${rows.length - MOST_ROWS} more</p>`}
  </section>`;
}

function Line({ title, values }) {
  const top = Math.max(1, ...values), last = values.at(-1);
  const points = values.map((value, n) => `${SAMPLES - values.length + n},${(30 - (28 * value) / top).toFixed(1)}`).join(" ");
  return html`<figure><figcaption>${title} <b class="number">${last === undefined ? "…" : rate(last)}</b></figcaption>
    <svg viewBox="0 0 ${SAMPLES} 31" preserveAspectRatio="none" role="img" aria-label="${title} in the last minutes, at most ${rate(top)}"><polyline points=${points} /></svg></figure>`;
}

function Figures({ statistics: { pool, events, streams, hub, running_since, async: jobs }, history }) {
  const facts = {
    "running for": long(running_since), "loop lag": ms(hub.lag), "busy threads": `${pool.in_flight} of ${pool.maxsize}`, "waiting calls": pool.waiting,
    events: events.received, missed: events.missed, dropped: events.dropped + streams.dropped,
    subscriptions: `${events.subscriptions}, ${events.polled} polled`, "waiting writes": jobs.waiting, version,
  };
  return html`<section class="card"><div class="lines">
      <${Line} title="Requests per second" values=${history.map((sample) => sample.requests)} />
      <${Line} title="Failures per second" values=${history.map((sample) => sample.failures)} />
    </div><dl class="facts">${Object.entries(facts).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl></section>`;
}

const severity = (row) => (row.state === "closed" ? 0 : 1e9) + row.failures * 1e3 + (row.mean_time ?? 0);
const DEVICES = [
  ["device", (row) => html`<${Device} name=${row.name} />`], ["circuit", ({ state }) => html`<span class=${state}>${state}</span>`], "calls", "failures",
  ["mean", (row) => ms(row.mean_time)], "waiting", ["last failure", (row) => row.last_error && `${ago(row.last_error_time)}: ${row.last_error}`],
];
const WORKERS = [
  ["process", (row) => row.pid], ["age", (row) => long(Date.now() / 1000 - row.age)], "requests", "failures",
  ["memory", (row) => `${Math.round(row.resource.max_resident_mem / 1024)} MB`], ["loop lag", (row) => ms(row.hub.lag)], ["calls", (row) => row.pool.in_flight],
];
const STREAMS = [["client", (row) => row.user ?? row.address], "transport", "attributes", "sent", "dropped", ["lag", (row) => ms(row.lag)], "worker"];
const REQUESTS = [
  ["when", (row) => ago(row.time)], ["id", ({ id }) => html`<a href=${link("ill", { params: { request: id } })}>${id}</a>`], "status",
  ["request", (row) => `${row.method} ${row.url}`], "reason", ["time", (row) => `${row.duration} ms`],
];

// --- the line of a request ---

const FIELDS = ["description", "reason", "status", "method", "url", "device", "user", "address", "worker"];

function Request({ id }) {
  const [{ rows, failure }, setState] = useState({}), [round, setRound] = useState(0);
  useEffect(() => {
    let timer, ended;
    // The requests of other workers may be two seconds old: they are asked twice.
    const look = async (isFirst) => {
      const found = await get(`/sys/failures?request=${encodeURIComponent(id)}`).then((rows) => ({ rows }), (failure) => ({ failure }));
      if (!ended && isFirst && found.rows?.length === 0) timer = setTimeout(look, PERIOD);
      else if (!ended) setState(found);
    };
    setState({});
    if (id) look(true);
    return () => { ended = true; clearTimeout(timer); };
  }, [id, round]);
  const submit = (event) => {
    event.preventDefault();
    const request = event.target.elements.request.value.trim();
    if (request === id) setRound(round + 1);
    else go(link("ill", { params: { request } }));
  };
  return html`<section class="card request"><h2>Find a request</h2>
    <form class="row" onSubmit=${submit}><label>Request id <input name="request" value=${id} required /></label><button>Find</button></form>
    ${failure && html`<p role="alert">${failure.message}</p>`}
    ${rows?.map((row) => html`<dl class="facts">
      <div><dt>time</dt><dd>${new Date(row.time * 1000).toLocaleString()}, ${row.duration} ms, ${row.tango} ms of it in Tango</dd></div>
      ${FIELDS.map((key) => row[key] && html`<div><dt>${key}</dt><dd dir="auto">${row[key]}</dd></div>`)}</dl>`)}
    ${rows?.length === 0 && html`<p>No worker has a failed request of this id, or you may not see it. Each worker keeps its last 200 failed requests.</p>`}
    ${id && html`<p>Its line in the log of the gateway: <code>grep -F '${id.replaceAll("'", "'\\''")}'</code></p>`}
  </section>`;
}

export function View({ route }) {
  const health = useHealth(), { answers, history } = health, { user } = session();
  const data = Object.fromEntries(Object.entries(answers).map(([part, answer]) => [part, answer.data]));
  const refused = Object.entries(answers).filter(([, { failure }]) => failure?.status > 0);
  if (!answers.readiness) return html`<h1>Health</h1><p role="status">Loading…</p>`;
  return html`<div class="ill">
    <h1>Health</h1>
    ${route.params.has("request") && html`<${Request} id=${route.params.get("request")} />`}
    <${Troubles} found=${judge(health)} hidden=${refused.length} />
    ${refused.map(([part, { failure }]) => html`<p class="notice">${failure.status < 500 ? `You${user ? ` (${user})` : ""} may not see` : "There is no answer about"} the ${part}: ${failure.message}</p>`)}
    ${data.statistics && html`<${Figures} statistics=${data.statistics} history=${history} />`}
    <${Table} title="Devices" columns=${DEVICES} rows=${data.devices?.toSorted((one, other) => severity(other) - severity(one))} empty="No device has been called." />
    <${Table} title="Workers" columns=${WORKERS} rows=${data.statistics?.workers} />
    <${Table} title="Streams" columns=${STREAMS} rows=${data.streams?.toSorted((one, other) => other.lag + other.dropped - one.lag - one.dropped)} empty="No stream is open." />
    <${Table} title="Failed requests" columns=${REQUESTS} rows=${data["failed requests"]} empty="No request has failed." />
    ${!route.params.has("request") && html`<${Request} id="" />`}
  </div>`;
}
