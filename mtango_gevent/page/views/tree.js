/** The devices of all Tango hosts. */

import { deviceOf, get, hostUrl } from "../api.js";
import { deviceLink } from "../router.js";
import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.module.js";

export function Tree({ hosts }) {
  const [devices, setDevices] = useState([]);
  useEffect(() => {
    Promise.all(hosts.map(async (host) => {
      const found = await get(`${hostUrl(host)}/devices`);
      return found.map(({ name, alias }) => ({ device: deviceOf(host, name), alias }));
    })).then((lists) => setDevices(lists.flat()));
  }, [hosts]);
  return html`<ul>${devices.map(({ device, alias }) => html`<li><a href=${deviceLink(device)}>${device} ${alias}</a></li>`)}</ul>`;
}
