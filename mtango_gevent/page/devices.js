/** The devices of all Tango hosts with their aliases, in one request for each host. */

import { deviceOf, get, hostUrl, lasting, readStored, store } from "./api.js";
import { onConnection } from "./live.js";
import { useEffect, useState } from "./vendor/htm-preact-3.1.1.module.js";

/** Return the devices of a Tango host, sorted with the numbers in their names in the order of numbers. */
async function load(host, branch) {
  const found = await get(`${hostUrl(host)}/devices?filter=name&filter=alias`);
  return found.map(({ name, alias }) => describe(host, name, alias, branch)).sort((a, b) => (a.order < b.order ? -1 : 1));
}

/** branch: what is above the domains, the Tango host where there are several. */
function describe(host, name, alias, branch) {
  const parts = name.split("/"), low = name.toLowerCase(), member = parts.pop(), branches = branch ? [branch] : [];
  let key = host;
  for (const text of parts) branches.push({ key: (key += `/${text.toLowerCase()}`), text });
  return {
    device: deviceOf(host, name), alias, member, branches,
    text: alias ? `${low} ${alias.toLowerCase()}` : low,
    order: low.replace(/\d+/g, (digits) => digits.padStart(9, "0")),
  };
}

/** Return the devices and failures of the hosts. They are loaded again when the gateway is back, and by `reload`; the last ones of a host stay if that fails. */
export function useDevices(hosts) {
  const [state, setState] = useState({ lists: [], devices: null, failures: [] }), [round, setRound] = useState(0);
  useEffect(() => {
    if (!hosts) return undefined;
    let isCurrent = true;
    const loads = hosts.map((host) => load(host, hosts.length > 1 ? { key: host, text: host } : null));
    Promise.allSettled(loads).then((results) => isCurrent && setState((before) => {
      const lists = results.map(({ value }, n) => value ?? before.lists[n] ?? []);
      return { lists, devices: lists.flat(), failures: results.flatMap(({ reason }, n) => (reason ? [`${hosts[n]}: ${reason.message}`] : [])) };
    }));
    return () => { isCurrent = false; };
  }, [hosts, round]);
  const reload = () => setRound((last) => last + 1);
  useEffect(() => {
    let wasLost = false;
    return onConnection(({ state: now }) => {
      if (now === "lost") wasLost = true;
      else if (wasLost) wasLost = reload();
    });
  }, []);
  return { ...state, reload };
}

// --- the devices that were looked at last ---

const RECENT = "mtango.recent", MOST = 8;

/** Return their names, the last one first. */
export function recent() {
  const found = readStored(lasting, RECENT);
  return Array.isArray(found) ? found.filter((each) => typeof each === "string") : [];
}

/** Note that a device is looked at. */
export function remember(device) {
  const others = recent().filter((each) => each !== device);
  store(lasting, RECENT, JSON.stringify([device, ...others].slice(0, MOST)));
}
