/** Pan and zoom of a time plot by pointer, wheel and keys. */

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
