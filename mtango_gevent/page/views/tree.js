/** The devices of all Tango hosts: a tree of which only the rows in sight are in the page, so that it may have thousands. */

import { deviceLink, go } from "../router.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/htm-preact-3.1.1.module.js";

// Rows beyond the visible ones that are in the page, and up to how many devices the tree begins unfolded.
const SPARE = 12, FEW = 40;

/** Return the rows of the tree: the branches, and the devices of those that are open or, with words to find, all that have them. */
function rowsOf(devices, words, open) {
  const rows = [], branches = [], root = { size: 0 };
  let found = 0;
  for (const device of devices) {
    if (!words.every((word) => device.text.includes(word))) continue;
    let above = { children: root, isOpen: true };
    device.branches.forEach(({ key, text }, depth) => {
      if (branches[depth]?.key !== key) {
        const isOpen = words.length > 0 || open.has(key), { children, isShown = true } = above;
        const row = { key, text, level: depth + 1, isOpen, isShown: isShown && above.isOpen, of: children, position: ++children.size, children: { size: 0 }, devices: 0 };
        branches.splice(depth, branches.length, row);
        if (row.isShown) rows.push(row);
      }
      above = branches[depth];
      above.devices += 1;
    });
    found += 1;
    const position = ++above.children.size;
    if (above.isOpen && above.isShown !== false) {
      const { device: key, member: text, alias } = device;
      rows.push({ key, text, alias, isDevice: true, level: branches.length + 1, of: above.children, position });
    }
  }
  return { rows, found };
}

// --- the tree ---

/** show: shows the "tree" of a narrow window, or with "" the view. */
export function Tree({ directory: { devices, failures, reload }, route, show }) {
  const [query, setQuery] = useState(""), [open, setOpen] = useState(new Set()), [active, setActive] = useState(null);
  const input = useRef(), list = useRef();
  const selected = route.view === "device" ? route.path : null;
  const words = useMemo(() => query.toLowerCase().split(/\s+/).filter(Boolean), [query]);
  const { rows, found } = useMemo(() => rowsOf(devices ?? [], words, open), [devices, words, open]);

  // Begin with the device of the URL in sight; a small control system is unfolded.
  useEffect(() => {
    if (!devices) return;
    const shown = devices.length <= FEW && !open.size ? devices : devices.filter(({ device }) => sameName(device, selected));
    setOpen(new Set([...open, ...shown.flatMap(({ branches }) => branches.map(({ key }) => key))]));
    const chosen = devices.find(({ device }) => sameName(device, selected));
    if (chosen) setActive(chosen.device);
  }, [devices, selected]);
  useEffect(() => {
    const onKey = (event) => {
      if (event.key !== "/" || event.target.closest?.("input, textarea, select, dialog")) return;
      event.preventDefault();
      if (input.current.offsetParent) return input.current.select();
      show("tree");
      setTimeout(() => input.current.select());
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);

  const toggle = ({ key }, isOpen = !open.has(key)) => {
    const next = new Set(open);
    if (isOpen) next.add(key);
    else next.delete(key);
    setOpen(next);
  };
  const choose = (row) => {
    setActive(row.key);
    if (!row.isDevice) return toggle(row);
    go(deviceLink(row.key));
    show("");
  };
  const search = (text) => {
    setQuery(text);
    setActive(null);
  };
  const enterTree = (first) => {
    if (!active && first) setActive(first.key);
    list.current.focus();
  };
  const onSearchKey = (event) => {
    const first = rows.find(({ isDevice }) => isDevice);
    if (event.key === "Enter" && first && words.length) choose(first);
    else if (event.key === "ArrowDown") enterTree(first);
    else if (event.key === "Escape" && query) search("");
    else return;
    event.preventDefault();
  };
  const keys = { rows, isSearch: words.length > 0, active, setActive, choose, toggle, page: () => list.current.clientHeight / rowHeight() | 0,
    type: (character) => { search(query + character); input.current.focus(); } };
  return html`
    <div class="tree-head">
      <input type="search" ref=${input} value=${query} aria-label="Find a device by name or alias" placeholder="Find a device ( / )"
        autocomplete="off" spellcheck=${false} onInput=${(event) => search(event.target.value)} onKeyDown=${onSearchKey} />
      <span class="muted" role="status">${devices ? `${found} of ${devices.length} devices` : "Loading…"}</span>
      ${failures.map((text) => html`<p class="notice error" role="alert">${text} <button onClick=${reload}>Try again</button></p>`)}
    </div>
    <${Rows} list=${list} rows=${rows} active=${active} selected=${selected} choose=${choose} onKeyDown=${(event) => onTreeKey(event, keys)} />`;
}

const sameName = (one, other) => one.toLowerCase() === other?.toLowerCase();

/** Handle a key of the tree, as the ARIA practices for trees have them; a character begins to search. */
function onTreeKey(event, { rows, isSearch, active, setActive, choose, toggle, page, type }) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.key === "/") return; // "/" begins a search anew
  const index = rows.findIndex(({ key }) => key === active), row = rows[index];
  const to = (target) => rows.length && setActive(rows[Math.max(0, Math.min(rows.length - 1, target))].key);
  const parent = () => {
    for (let above = index; above >= 0; above -= 1) if (rows[above].level < row.level) return above;
    return index;
  };
  const actions = {
    ArrowDown: () => to(index + 1),
    ArrowUp: () => to(index - 1),
    PageDown: () => to(index + page()),
    PageUp: () => to(index - page()),
    Home: () => to(0),
    End: () => to(rows.length - 1),
    ArrowRight: () => row && !row.isDevice && (row.isOpen ? to(index + 1) : toggle(row, true)),
    ArrowLeft: () => row && (row.isOpen && !isSearch ? toggle(row, false) : to(parent())),
    Enter: () => row && choose(row),
    " ": () => row && choose(row),
  };
  const action = actions[event.key] ?? (event.key.length === 1 && (() => type(event.key)));
  if (!action) return;
  event.preventDefault();
  action();
}

// --- rows ---

/** Return the height of a row in pixels, as in style.css. */
const rowHeight = () => Math.round(1.75 * parseFloat(getComputedStyle(document.documentElement).fontSize));

function Rows({ list, rows, active, selected, choose, onKeyDown }) {
  const [top, setTop] = useState(0), [size, setSize] = useState({ height: 800, row: rowHeight() });
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setSize({ height: list.current.clientHeight, row: rowHeight() }));
    observer.observe(list.current);
    return () => observer.disconnect();
  }, []);
  const index = rows.findIndex(({ key }) => key === active);
  useLayoutEffect(() => {
    const element = list.current, { height, row } = size;
    if (index < 0) return;
    if (index * row < element.scrollTop) element.scrollTop = index * row;
    else if ((index + 1) * row > element.scrollTop + height) element.scrollTop = (index + 1) * row - height;
  }, [index, active, rows.length > 0, size]);
  const first = Math.max(0, Math.floor(top / size.row) - SPARE), last = Math.ceil((top + size.height) / size.row) + SPARE;
  const isInSight = index >= first && index < last;
  return html`
    <div class="tree" role="tree" aria-label="Devices" tabindex="0" ref=${list} onKeyDown=${onKeyDown}
      aria-activedescendant=${isInSight ? `row-${index}` : undefined} onScroll=${(event) => setTop(event.target.scrollTop)}>
      <div role="none" style=${{ height: `${rows.length * size.row}px` }}>
        <div role="none" style=${{ transform: `translateY(${first * size.row}px)` }}>
          ${rows.slice(first, last).map((row, n) => html`<${Row} key=${row.key} row=${row} id="row-${first + n}" height=${size.row}
            isActive=${first + n === index} isSelected=${row.isDevice && sameName(row.key, selected)} choose=${choose} />`)}
        </div>
      </div>
    </div>`;
}

function Row({ row, id, height, isActive, isSelected, choose }) {
  const { text, alias, level, isOpen, isDevice, position, of, devices } = row;
  const attributes = {
    id, role: "treeitem", "aria-level": level, "aria-posinset": position, "aria-setsize": of.size, "aria-selected": Boolean(isSelected),
    class: `${isDevice ? "device" : "branch"}${isActive ? " active" : ""}`, style: { height: `${height}px`, paddingLeft: `${0.9 * level}rem` },
  };
  if (!isDevice) {
    return html`<div ...${attributes} aria-expanded=${isOpen} onClick=${() => choose(row)}><bdi>${text}</bdi><small>${devices}</small></div>`;
  }
  const onClick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab or window
    event.preventDefault();
    choose(row);
  };
  return html`<a ...${attributes} tabindex="-1" href=${deviceLink(row.key)} title=${row.key} onClick=${onClick}>
    <bdi>${text}</bdi>${alias && html`<small><bdi>${alias}</bdi></small>`}</a>`;
}
