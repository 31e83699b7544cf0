/** The time axis of a plot, fixed or following the present, with pan and zoom by pointer, wheel and keys. Milliseconds. */

const SHORTEST = 1000, LONGEST = 366 * 86400e3, DEFAULT = 600e3;

const bounded = (span) => Math.min(LONGEST, Math.max(SHORTEST, span || DEFAULT));

export class TimeRange {
  /** params: of a link, `last` (seconds), or `from` and `to`. */
  constructor(params) {
    const from = Number(params.get("from")), to = Number(params.get("to"));
    this.live = !(from > 0 && to > from);
    this.span = bounded(this.live ? Number(params.get("last")) * 1000 : to - from);
    this.to = to;
    this.now = Date.now();
  }

  /** The parameters of a link to this range. */
  get params() {
    const [from, to] = this.limits;
    return this.live ? { last: Math.round(this.span / 1000) } : { from: Math.round(from), to: Math.round(to) };
  }

  get limits() {
    const to = this.live ? this.now : this.to;
    return [to - this.span, to];
  }

  /** Follow the present again; span: milliseconds, the present ones if left out. */
  follow(span = this.span) {
    this.live = true;
    this.span = bounded(span);
  }

  show(from, to) {
    this.live = false;
    this.span = bounded(to - from);
    this.to = to;
  }

  /** Shift by a part of what is shown, and stop. */
  pan(part) {
    const [from, to] = this.limits;
    this.show(from + part * this.span, to + part * this.span);
  }

  /** Show `factor` times as long a time. at: the part of the axis that stays in place; the present stays if it is followed. */
  zoom(factor, at = 0.5) {
    const [from] = this.limits, span = bounded(this.span * factor), fixed = from + at * this.span;
    if (this.live) this.span = span;
    else this.show(fixed - at * span, fixed + (1 - at) * span);
  }
}

// --- gestures ---

const KEYS = {
  ArrowLeft: (range) => range.pan(-0.1),
  ArrowRight: (range) => range.pan(0.1),
  "+": (range) => range.zoom(0.8),
  "=": (range) => range.zoom(0.8),
  "-": (range) => range.zoom(1.25),
  End: (range) => range.follow(),
};

/** Handle a key; changed: called when it has changed the range. */
export function onKey(event, range, changed) {
  const act = KEYS[event.key];
  if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  act(range);
  changed();
}

/** Options of uPlot's cursor: its selection, with Shift, zooms; the other gestures are those of `attachGestures`. */
export const cursor = {
  points: { show: false },
  dataIdx: () => null,
  drag: { x: true, y: false, setScale: false },
  bind: { mousedown: (plot, target, handle) => (event) => event.shiftKey && handle(event), dblclick: () => null },
};

export function zoomToSelection(plot, range, changed) {
  const { left, width } = plot.select;
  plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  if (width < 5) return;
  range.show(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
  changed();
}

export function attachGestures({ over }, range, changed) {
  let start = null;
  over.addEventListener("wheel", (event) => {
    if (!event.deltaY) return; // it scrolls sideways
    event.preventDefault();
    range.zoom(event.deltaY > 0 ? 1.25 : 0.8, (event.clientX - over.getBoundingClientRect().left) / over.clientWidth);
    changed();
  }, { passive: false });
  over.addEventListener("pointerdown", (event) => {
    if (event.button || event.shiftKey) return;
    start = { x: event.clientX, limits: range.limits, span: range.span };
    over.setPointerCapture(event.pointerId);
  });
  over.addEventListener("pointermove", ({ clientX }) => {
    if (!start || Math.abs(clientX - start.x) < 3) return;
    const shift = ((start.x - clientX) / over.clientWidth) * start.span;
    range.show(...start.limits.map((time) => time + shift));
    changed();
  });
  for (const end of ["pointerup", "pointercancel"]) over.addEventListener(end, () => (start = null));
}
