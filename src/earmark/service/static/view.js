/** The stretch of time that all lanes show, and how it is moved. */

const SHORTEST_SECONDS = 0.2;
const LIVE_SECONDS = 20;

/** Fires `change` when the stretch is another. */
export class View extends EventTarget {
  constructor() {
    super();
    /** Where the sound begins and ends; the view stays inside. */
    this.first = 0;
    this.last = 1;
    this.start = 0;
    this.end = 1;
    /** Whether the view moves on with live sound. */
    this.follows = false;
  }

  get span() {
    return this.end - this.start;
  }

  get isWhole() {
    return this.start <= this.first && this.end >= this.last;
  }

  /** Show all of a sound, which ends at `seconds`. */
  open(seconds, first = 0) {
    this.follows = false;
    [this.first, this.last] = [first, Math.max(seconds, first + SHORTEST_SECONDS)];
    this.fit();
  }

  /** Show the newest of a sound that grows; what is left of `first` is forgotten. */
  follow(first, last) {
    if (!this.follows) this.end = this.start + LIVE_SECONDS;
    this.follows = true;
    this.first = first;
    this.last = Math.max(last, first + this.span);
    this.show(this.last - this.span, this.last);
  }

  fit() {
    this.show(this.first, this.last);
  }

  /** Make the stretch `factor` times as long; what is at the time `at` stays where it is. */
  zoom(factor, at = (this.start + this.end) / 2) {
    const span = Math.min(Math.max(this.span * factor, SHORTEST_SECONDS), this.last - this.first);
    const part = (at - this.start) / this.span;
    this.show(at - part * span, at + (1 - part) * span);
  }

  /** Move by seconds. */
  pan(seconds) {
    this.show(this.start + seconds, this.end + seconds);
  }

  /** Move so that a stretch can be seen; change nothing if it can. */
  reveal(onset, offset = onset) {
    if (onset >= this.start && offset <= this.end) return;
    const span = Math.max(this.span, 1.5 * (offset - onset));
    const before = Math.min(0.1 * span, (span - (offset - onset)) / 2);
    this.show(onset - before, onset - before + span);
  }

  show(start, end) {
    const span = Math.min(end - start, this.last - this.first);
    this.start = Math.min(Math.max(start, this.first), this.last - span);
    this.end = this.start + span;
    this.dispatchEvent(new Event("change"));
  }
}
