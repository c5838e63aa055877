/** The timeline of classes: which labels have a lane, in which order, and the way through their events. */

import { NONE_OF_THESE, whyNoEvent } from "./events.js";
import { Lane } from "./lane.js";

const MOST_LANES = 16;
const MORE_LANES = 20;
/** Labels without an event have a lane too, if there is room, so that one sees what a lower threshold would find. */
const FEWEST_LANES = 6;
const AUDIBLE = 0.05;

/** Fires `threshold` with `{id, on}` and `event` with the event that was pressed. */
export class Lanes extends EventTarget {
  /**
   * @param {HTMLElement} root
   * @param {HTMLButtonElement} moreButton
   * @param {import("./view.js").View} view
   */
  constructor(root, moreButton, view) {
    super();
    this.root = root;
    this.moreButton = moreButton;
    this.view = view;
    this.lanes = new Map();
    this.most = MOST_LANES;
    this.touched = new Set();
    this.eventful = new Set();
    root.addEventListener("click", ({ target }) => this.#press(target.closest(".event")));
    root.addEventListener("keydown", (key) => this.#walk(key));
    moreButton.addEventListener("click", () => {
      this.most += MORE_LANES;
      this.#show();
    });
  }

  /** Forget what was shown; another recording comes. */
  clear() {
    for (const lane of this.lanes.values()) lane.remove();
    this.lanes.clear();
    this.touched.clear();
    this.eventful.clear();
    this.most = MOST_LANES;
    this.moreButton.hidden = true;
  }

  /**
   * @param {import("./timeline.js").Timeline} timeline
   * @param {import("./rule.js").Rule} rule
   * @param {import("./events.js").Event[]} events
   * @param {{columns: Set<number>, unknown: boolean}} chosen
   */
  show(timeline, rule, events, chosen) {
    this.shown = { timeline, rule, events, chosen };
    this.#show();
  }

  draw() {
    for (const lane of this.lanes.values()) lane.draw();
  }

  /** Say what a lane shows at a time; nothing for a track that is none of theirs. @param {Element} track */
  readout(track, seconds) {
    return [...this.lanes.values()].find((lane) => lane.track === track)?.readout(seconds) ?? "";
  }

  mark(playing) {
    for (const lane of this.lanes.values()) lane.mark(playing);
  }

  #show() {
    const { timeline, rule, events } = this.shown;
    const byId = Map.groupBy(events, (event) => event.id);
    const effective = rule.effective(timeline.labels);
    // A lane whose slider is moved stays where it is.
    for (const id of byId.keys()) if (!this.touched.has(id)) this.eventful.add(id);
    const wanted = this.#wanted(byId);
    for (const [id, lane] of this.lanes) {
      if (wanted.some((label) => label.id === id)) continue;
      lane.remove();
      this.lanes.delete(id);
    }
    wanted.forEach((label, position) => {
      const lane = this.lanes.get(label.id) ?? this.#make(label);
      if (this.root.children[position] !== lane.root)
        this.root.insertBefore(lane.root, this.root.children[position] ?? null);
      const unknown = { on: rule.noveltyThreshold, off: rule.noveltyThreshold };
      const why = (frame) => whyNoEvent(timeline, effective, label.column, frame, events);
      lane.show(timeline, label.column < 0 ? unknown : rule.of(label.id), byId.get(label.id) ?? [], why);
    });
    this.#letTabIn();
  }

  /** Return the labels that get a lane: first those that had an event at any time, then by when they are heard best. */
  #wanted(byId) {
    const { timeline, rule, chosen } = this.shown;
    const labels = [...chosen.columns].map((column) => ({ ...timeline.labels[column], column }));
    const known = labels.map((label) => ({
      ...label,
      peak: timeline.peaks[label.column],
      at: timeline.peakSeconds[label.column],
    }));
    const unknown = { ...NONE_OF_THESE, column: -1, peak: 0, at: Infinity };
    const all = chosen.unknown && rule.refuses && timeline.hasNovelty ? [...known, unknown] : known;
    const hasLane = ({ id }) => byId.has(id) || this.touched.has(id);
    const strength = (label) =>
      hasLane(label) ? 1 + Math.max(...(byId.get(label.id) ?? [{ score: 0 }]).map(({ score }) => score)) : label.peak;
    const ranked = all
      .filter((label) => hasLane(label) || label.peak >= AUDIBLE)
      .sort((a, b) => strength(b) - strength(a));
    const withEvents = ranked.filter(hasLane).length;
    const room = Math.min(this.most, Math.max(withEvents, FEWEST_LANES, this.most - MOST_LANES));
    this.#offerMore(ranked.length - room, withEvents - room);
    const isQuiet = ({ id }) => Number(!this.eventful.has(id));
    return ranked.slice(0, room).sort((a, b) => isQuiet(a) - isQuiet(b) || a.at - b.at || a.column - b.column);
  }

  #offerMore(hidden, hiddenWithEvents) {
    this.moreButton.hidden = hidden <= 0;
    const events = hiddenWithEvents > 0 ? `, ${hiddenWithEvents} of them with events` : "";
    this.moreButton.textContent = `Show more labels (${hidden}${events})`;
  }

  #make(label) {
    const threshold = (id, on) => {
      this.touched.add(id);
      this.dispatchEvent(new CustomEvent("threshold", { detail: { id, on } }));
    };
    const lane = new Lane(label, this.view, { threshold });
    this.lanes.set(label.id, lane);
    return lane;
  }

  #press(button) {
    if (!button) return;
    this.#focus(button);
    this.dispatchEvent(new CustomEvent("event", { detail: button.earmarkEvent }));
  }

  /** The tabulator key comes to one event; from there the arrows lead to the others. */
  #letTabIn() {
    if (this.root.querySelector(".event[tabindex='0']")) return;
    const first = this.root.querySelector(".event");
    if (first) first.tabIndex = 0;
  }

  #focus(button) {
    for (const other of this.root.querySelectorAll(".event[tabindex='0']")) other.tabIndex = -1;
    button.tabIndex = 0;
    button.focus({ preventScroll: true });
    button.scrollIntoView({ block: "nearest" });
    this.view.reveal(button.earmarkEvent.onset, button.earmarkEvent.offset);
  }

  #walk(key) {
    const button = key.target.closest?.(".event");
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const step = steps[key.key];
    if (!button || !step || key.altKey || key.ctrlKey || key.metaKey) return;
    key.preventDefault();
    key.stopPropagation();
    const next = step[0] ? this.#above(button, step[0]) : this.#beside(button, step[1]);
    if (next) this.#focus(next);
  }

  #beside(button, step) {
    const own = [...button.parentElement.children].sort((a, b) => a.earmarkEvent.onset - b.earmarkEvent.onset);
    return own[own.indexOf(button) + step];
  }

  /** Return the event of the next lane that has one which is nearest in time. */
  #above(button, step) {
    const rows = [...this.root.querySelectorAll(".inner")];
    const at = button.earmarkEvent.onset;
    for (let row = rows.indexOf(button.parentElement) + step; rows[row]; row += step) {
      const distance = (other) => Math.abs(other.earmarkEvent.onset - at);
      const [best] = [...rows[row].children].sort((a, b) => distance(a) - distance(b));
      if (best) return best;
    }
    return undefined;
  }
}
