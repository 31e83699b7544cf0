/** A search field for an attribute: first the devices that match, then the attributes of the one that is chosen. */

import { deviceOf, deviceUrl, get, hostUrl, hosts } from "../api.js";
import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.module.js";

const DELAY = 200, MOST = 50;
const SOURCE = /^((?:tango:\/\/[^/]+\/)?[^/]+\/[^/]+\/[^/]+)\/([^/]*)$/;

async function findDevices(text) {
  const query = `wildcard=${encodeURIComponent(`*${text.replace(/^tango:\/\/[^/]*\//, "")}*`)}&filter=name`;
  const found = (await hosts()).map(async (host) =>
    (await get(`${hostUrl(host)}/devices?${query}`)).map(({ name }) => `${deviceOf(host, name)}/`));
  return (await Promise.all(found)).flat().slice(0, MOST);
}

let last = { device: null, attributes: null };

/** Return the attributes of a device with their formats and types; those of the last device are kept. */
function attributesOf(device) {
  if (last.device !== device) {
    const asked = get(`${deviceUrl(device)}/attributes?filter=name&filter=data_format&filter=data_type`);
    last = { device, attributes: asked };
    asked.catch(() => (last = {}));
  }
  return last.attributes;
}

async function suggest(text) {
  const [, device, start] = SOURCE.exec(text) ?? [];
  if (!device) return text.length > 1 ? findDevices(text) : [];
  const names = (await attributesOf(device)).map(({ name }) => name);
  return names.filter((name) => name.toLowerCase().includes(start.toLowerCase())).map((name) => `${device}/${name}`);
}

async function find(text) {
  const [, device, name] = SOURCE.exec(text.trim()) ?? [];
  if (!name) throw new Error(`expected device/attribute, as sys/tg_test/1/double_scalar, got ${text}`);
  const found = (await attributesOf(device)).find((each) => each.name.toLowerCase() === name.toLowerCase());
  if (!found) throw new Error(`${device} has no attribute ${name}`);
  return { source: `${device}/${found.name}`, info: found.info };
}

/** onPick(source, info): called with `device/attribute`; an error that it throws is shown. */
export function AttributeSearch({ onPick }) {
  const [text, setText] = useState(""), [options, setOptions] = useState([]), [problem, setProblem] = useState("");
  const pick = useRef(onPick);
  pick.current = onPick; // that of the latest rendering, as it is called later
  useEffect(() => {
    let current = true;
    const timer = setTimeout(() => suggest(text).then((found) => current && setOptions(found), () => {}), DELAY);
    return () => ((current = false), clearTimeout(timer));
  }, [text]);
  const submit = async (event) => {
    event.preventDefault();
    try {
      const { source, info } = await find(text);
      pick.current(source, info);
      setText((now) => (now === text ? "" : now));
      setProblem("");
    } catch (failure) {
      setProblem(failure.message);
    }
  };
  return html`<form class="attribute-search row" onSubmit=${submit}>
    <label>Attribute <input type="search" list="attribute-options" placeholder="device/attribute" value=${text}
      autocomplete="off" spellcheck=${false} onInput=${(event) => setText(event.target.value)} /></label>
    <datalist id="attribute-options">${options.map((option) => html`<option value=${option} key=${option} />`)}</datalist>
    <button>Add</button>
    ${problem && html`<span role="alert" class="quality-invalid" dir="auto">${problem}</span>`}
  </form>`;
}
