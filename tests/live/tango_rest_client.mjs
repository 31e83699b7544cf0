// The requests of tango-rest-client 1.5.1, and its reading of the answers, for test_tango_rest_client.py.
//
//     node tango_rest_client.mjs GATEWAY PAGE FOLDER
//
// PAGE is the origin of the client's page; FOLDER has the package eventsource in its node_modules. Each line of the input
// is a call, {"call", ...arguments}; the line of the output answers it: {"result"} or {"failure"}.
import {createRequire} from "node:module";
import {createInterface} from "node:readline";
import {join} from "node:path";
import {setTimeout as sleep} from "node:timers/promises";

const [gateway, page, folder] = process.argv.slice(2);
const RECONNECT_MS = 3000;
const CALL_MS = 20_000;

// --- requests ---

async function ask(method, path, data, headers = {}) {
    const options = {method, mode: "cors", headers: {Accept: "application/json", Origin: page, ...headers}};
    if (method === "put" || (method === "POST" && data)) {
        options.headers["Content-type"] = "application/json";
        options.body = typeof (data ??= {}) === "object" ? JSON.stringify(data) : data;
    }
    const response = await fetch(gateway + path, options);
    if (response.status === 200) return options.headers.Accept === "text/plain" ? textOf(response) : response.json();
    if (response.status === 204) return undefined;
    if (response.status === 400 || response.status === 404) throw await response.json();
    const reason = `Error: ${response.status}: ${response.statusText}`;
    throw {errors: [{reason, severity: "ERR", origin: path}], quality: "FAILURE", timestamp: Date.now()};
}

async function textOf(response) {
    const text = await response.text();
    try {
        return JSON.parse(text);
    } catch {
        return text;
    }
}

// --- event streams ---

const keyOf = target => JSON.stringify(target);
const sameAs = target => event => ["host", "device", "attribute", "type"].every(key => event.target[key] === target[key]);

class Subscription {
    events = [];
    records = new Map();  // of each target, by the text of the server's object
    ids = [];  // of the subscriptions on the server, one after another

    async open() {
        const {EventSource} = createRequire(join(folder, "x"))("eventsource");
        const targets = this.events.map(event => event.target);
        const {id, events} = await ask("POST", "/tango/subscriptions", targets);
        if (targets.some(target => !events.some(sameAs(target)))) throw new Error("a target is missing in the answer");
        this.ids.push(id);
        this.events = events;
        this.source = new EventSource(`${gateway}/tango/subscriptions/${id}/event-stream`, {withCredentials: true});
        this.source.onerror = () => this.reconnect();
        await new Promise(resolve => this.source.onopen = resolve);
        this.events.forEach(event => this.listen(event));
    }

    reconnect() {
        this.source?.close();
        setTimeout(() => this.open().catch(() => this.reconnect()), RECONNECT_MS);
    }

    async observe(target) {
        if (!this.source) await this.open();
        if (this.events.some(sameAs(target))) return;
        const added = await ask("put", `/tango/subscriptions/${this.ids.at(-1)}`, [target]);
        const event = added.find(sameAs(target));
        if (!event) throw new Error("Failed to put new target");
        this.events.push(event);
        this.listen(event);
    }

    listen(event) {
        const records = this.records.get(keyOf(event.target)) ?? [];
        this.records.set(keyOf(event.target), records);
        this.source.addEventListener(String(event.id), message => {
            const timestamp = parseInt(message.lastEventId);
            if (message.data.startsWith("error")) records.push({timestamp, error: message.data.substring(7)});
            else records.push({timestamp, data: JSON.parse(message.data)});
        });
    }
}

const subscription = new Subscription();

// --- calls ---

const calls = {
    ask: ({method, path, data, headers}) => ask(method, path, data, headers),
    observe: ({target}) => subscription.observe(target),
    records: ({target}) => subscription.records.get(keyOf(target)) ?? [],
    ids: () => subscription.ids,
};

for await (const line of createInterface({input: process.stdin})) {
    const {call, ...given} = JSON.parse(line);
    try {
        const late = sleep(CALL_MS, undefined, {ref: false}).then(() => Promise.reject(new Error(`${call}: no answer`)));
        console.log(JSON.stringify({result: await Promise.race([calls[call](given), late])}));
    } catch (failure) {
        console.log(JSON.stringify({failure: failure instanceof Error ? {message: failure.stack} : failure}));
    }
}
process.exit(0);
