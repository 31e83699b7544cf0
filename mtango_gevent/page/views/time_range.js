/** The time axis of a plot: fixed, or following the present. Times in milliseconds. */

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
