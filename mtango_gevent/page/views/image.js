/** A live image in a colour map, with its histogram and contrast. */

import { formatValue, unitOf } from "../format.js";
import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.module.js";
import { Table, colour, oncePerFrame } from "./chart.js";
import { histogram, percentiles, statistics } from "./numbers.js";
import { NAMES, colourTable, drawSource, paint, pictureOf } from "./pictures.js";
import { statusText, useRecord } from "./spectrum.js";

const BARS = 128, TEXTS = 16, STEPS = 1000, OUTER = [0.01, 0.99], REACH = 20;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Return what of a picture is rendered: a text, or whether there are controls for its numbers. */
const kindOf = (picture) => picture && (picture.text ?? Boolean(picture.numbers));

/** What is shown of an image, and how; kept outside of the components, as it changes with each frame. */
export class Shown {
  /** changed: called when a picture of another kind is to be shown. */
  constructor(draw, changed) {
    Object.assign(this, { map: "viridis", mode: "auto", contrast: [0, 1], extent: [0, 1], picture: null, position: null, changed });
    this.table = colourTable(this.map);
    this.redraw = oncePerFrame(draw);
  }

  /** Take a value. One is decoded at a time; of those that come meanwhile, the last one is the next. */
  async take(value, labels) {
    this.next = { value, labels };
    if (this.isDecoding) return;
    this.isDecoding = true;
    while (this.next) await this.decodeNext();
    this.isDecoding = false;
  }

  async decodeNext() {
    const { value, labels } = this.next, previous = this.picture;
    this.next = null;
    const picture = (this.picture = await pictureOf(value, labels).catch((error) => ({ text: error.message })));
    previous?.source?.close?.();
    this.redraw();
    if (picture.texts || kindOf(previous) !== kindOf(picture)) this.changed();
  }

  /** Work out the extent of the histogram, and the contrast, from the present numbers. */
  measure() {
    const { numbers } = this.picture, found = statistics(numbers);
    if (found) this.fit(found, percentiles(numbers, OUTER));
    this.counts = histogram(numbers, ...this.extent, BARS);
  }

  /** The extent leaves out what is far beyond the contrast. It only grows, so that its handles stay, until the numbers have shrunk. */
  fit({ low, high }, [dark, bright]) {
    const isFull = this.mode === "full" || !(dark < bright), contrast = isFull ? [low, high] : [dark, bright];
    const reach = REACH * (contrast[1] - contrast[0]), [lowest, highest] = this.extent;
    const extent = [Math.max(low, contrast[0] - reach), Math.min(high, contrast[1] + reach)];
    const hasShrunk = extent[1] - extent[0] < (highest - lowest) / 4;
    const begins = !this.isMeasured || this.mode === "full" || (this.mode === "auto" && hasShrunk);
    this.extent = begins ? extent : [Math.min(extent[0], lowest), Math.max(extent[1], highest)];
    if (this.mode !== "manual") this.contrast = contrast;
    this.isMeasured = true;
  }

  paintOn(canvas) {
    const { picture } = this, { width, height, numbers } = picture;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!numbers) return drawSource(context, picture);
    if (this.pixels?.width !== width || this.pixels.height !== height) this.pixels = new ImageData(width, height);
    paint(new Uint32Array(this.pixels.data.buffer), numbers, ...this.contrast, this.table);
    context.putImageData(this.pixels, 0, 0);
  }

  /** Return the value at the position as text. */
  valueText(canvas, configuration) {
    const { position, picture } = this;
    if (!position || !picture?.width) return "";
    const [x, y] = (this.position = [Math.min(position[0], picture.width - 1), Math.min(position[1], picture.height - 1)]);
    const value = picture.numbers
      ? `${formatValue(picture.numbers[y * picture.width + x], configuration)} ${unitOf(configuration)}`
      : [...canvas.getContext("2d", { willReadFrequently: true }).getImageData(x, y, 1, 1).data.subarray(0, 3)].join(" ");
    return `x ${x}, y ${y}: ${value}`;
  }
}

function drawHistogram(canvas, { counts, extent: [low, high], contrast }) {
  const context = canvas.getContext("2d", { willReadFrequently: true }), { width, height } = canvas;
  const most = Math.log1p(Math.max(1, ...counts)), x = (value) => ((value - low) / (high - low || 1)) * width;
  context.clearRect(0, 0, width, height);
  context.fillStyle = colour("--line");
  context.fillRect(x(contrast[0]), 0, Math.max(1, x(contrast[1]) - x(contrast[0])), height);
  context.fillStyle = colour("--accent");
  counts.forEach((count, bar) => {
    const size = (Math.log1p(count) / most) * height; // logarithmic, so that a few bright pixels can be seen
    context.fillRect((bar * width) / BARS, height - size, width / BARS, size);
  });
}

export function ImageValue({ device, attribute }) {
  const canvas = useRef(null), bars = useRef(null), marker = useRef(null), output = useRef(null), sliders = [useRef(null), useRef(null)];
  const [, render] = useState(0), [isWhole, setWhole] = useState(true), kept = useRef(null), spoken = useRef(null), limits = useRef(null);
  const shown = (kept.current ??= new Shown(() => draw.current(), () => render(Math.random())));
  const draw = useRef(null), last = useRecord(device, attribute, { binary: true }, (record) => {
    if (record.value !== undefined && record.value !== last.current.value) {
      shown.take(record.value, record.configuration?.enum_label?.length ? record.configuration.enum_label : null);
    }
  });
  const { configuration, stale } = last.current, { picture } = shown;
  draw.current = () => {
    if (!canvas.current || !shown.picture?.width || shown.picture.texts) return;
    if (shown.picture.numbers) shown.measure();
    shown.paintOn(canvas.current);
    canvas.current.parentNode.style.setProperty("--ratio", shown.picture.width / shown.picture.height);
    describe();
    if (!bars.current) return;
    drawHistogram(bars.current, shown);
    const texts = sliders.map(({ current }, index) => placeHandle(current, shown, index, configuration));
    limits.current.textContent = `Contrast from ${texts.join(" to ")} ${unitOf(configuration)}`;
  };
  const describe = () => {
    output.current.textContent = shown.valueText(canvas.current, configuration);
    const { width, height } = shown.picture, [x, y] = shown.position ?? [];
    marker.current.hidden = !shown.position;
    if (shown.position) Object.assign(marker.current.style, { left: `${((x + 0.5) / width) * 100}%`, top: `${((y + 0.5) / height) * 100}%` });
    const range = shown.picture.numbers ? `, from ${formatValue(shown.extent[0], configuration)} to ${formatValue(shown.extent[1], configuration)}` : "";
    canvas.current.setAttribute("aria-label", `Image ${device}/${attribute}, ${width} × ${height}${range}. Arrows: value of a pixel.`);
  };
  const point = ({ offsetX, offsetY, target }) => {
    const at = (offset, length, count) => Math.max(0, Math.min(count - 1, Math.floor((offset / length) * count)));
    shown.position = [at(offsetX, target.clientWidth, target.width), at(offsetY, target.clientHeight, target.height)];
    describe();
  };
  const move = (event) => {
    const { width, height } = shown.picture ?? {}, step = ARROWS[event.key], by = event.shiftKey ? 10 : 1;
    if (!step || !width) return;
    event.preventDefault();
    const [x, y] = shown.position ?? [width >> 1, height >> 1];
    shown.position = [(x + step[0] * by + width) % width, (y + step[1] * by + height) % height];
    describe();
    spoken.current.textContent = output.current.textContent;
  };
  const set = (changes) => (Object.assign(shown, changes), shown.redraw(), render(Math.random()));
  useEffect(() => shown.redraw(), [Boolean(picture?.width), Boolean(picture?.numbers)]);
  useEffect(() => () => shown.redraw.cancel(), []);
  return html`<div class="image">
    <div class="row">
      ${picture?.numbers && html`<label>Colours <select value=${shown.map} onChange=${({ target }) => set({ map: target.value, table: colourTable(target.value) })}>
        ${NAMES.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>
        <${Choice} isOn=${shown.mode === "auto"} choose=${() => set({ mode: "auto" })}>Auto-contrast<//>
        <${Choice} isOn=${shown.mode === "full"} choose=${() => set({ mode: "full" })}>Full range<//>`}
      ${picture?.width && !picture.texts && html`<${Choice} isOn=${isWhole} choose=${() => setWhole(true)}>Fit<//>
        <${Choice} isOn=${!isWhole} choose=${() => setWhole(false)}>1:1<//>`}
      <span class="quality-invalid" role="status" dir="auto">${statusText(last.current)} ${picture?.text}</span>
    </div>
    ${picture?.texts && html`<${TextImage} image=${picture} />`}
    <div class="image-box ${isWhole ? "fit" : ""} ${stale ? "stale" : ""}" hidden=${!picture?.width || picture.texts}><div class="image-frame">
      <canvas ref=${canvas} tabindex="0" role="img" onPointerMove=${point} onPointerDown=${point} onKeyDown=${move}></canvas>
      <span class="marker" hidden ref=${marker}></span></div></div>
    <p class="number value-at" ref=${output} dir="auto"></p><span class="hidden" role="status" ref=${spoken}></span>
    ${picture?.numbers && html`<div class="histogram" role="group" aria-label="Contrast">
      <canvas ref=${bars} width="512" height="48" aria-hidden="true"></canvas>
      ${["Darkest value", "Brightest value"].map((label, index) => html`<input type="range" min="0" max=${STEPS} aria-label=${label} ref=${sliders[index]}
        onInput=${({ target }) => set({ mode: "manual", contrast: contrastOf(shown, index, target.value) })} />`)}
      </div><p class="number muted" ref=${limits} dir="auto"></p>`}
  </div>`;
}

/** Return the contrast after one of its handles was moved; one handle pushes the other. */
function contrastOf({ extent: [low, high], contrast }, index, step) {
  const value = low + (step / STEPS) * (high - low);
  return index ? [Math.min(contrast[0], value), value] : [value, Math.max(contrast[1], value)];
}

function placeHandle(slider, { extent: [low, high], contrast }, index, configuration) {
  slider.value = ((contrast[index] - low) / (high - low || 1)) * STEPS;
  const text = formatValue(contrast[index], configuration);
  slider.setAttribute("aria-valuetext", text);
  return text;
}

function Choice({ isOn, choose, children }) {
  return html`<button aria-pressed=${isOn} class=${isOn ? "primary" : ""} onClick=${choose}>${children}</button>`;
}

function TextImage({ image: { texts, width, height } }) {
  const rows = Array.from({ length: Math.min(height, TEXTS) }, (_, y) => Array.from(texts.slice(y * width, y * width + Math.min(width, TEXTS))));
  return html`<${Table} label="Elements" rows=${rows} />
    <p class="muted">${width} × ${height} texts${width > TEXTS || height > TEXTS ? `, the first ${TEXTS} × ${TEXTS}` : ""}.</p>`;
}
