/** One lane of the timeline: a label, its threshold, its score over time, and its events. */

import { element } from "./element.js";
import { isSame } from "./events.js";
import { Surface } from "./surface.js";
import { colour } from "./theme.js";
import { clock } from "./time.js";

/** The width of the element that events lie in; any time would do that does not change. */
const INNER_SECONDS = 60;

export class Lane {
  /**
   * @param {{label: string, id: string, column: number}} label column -1 is unknown sound
   * @param {import("./view.js").View} view
   * @param {{threshold: (id: string, on: number) => void}} told
   */
  constructor(label, view, told) {
    this.label = label;
    this.view = view;
    this.buttons = new Map();
    this.why = element("span", { class: "why" });
    this.name = element("span", { class: "label", title: label.label }, label.label, this.why);
    this.slider = element("input", {
      type: "range",
      min: 0,
      max: 1,
      step: 0.01,
      "aria-label": `Threshold of ${label.label}`,
    });
    this.slider.addEventListener("input", () => told.threshold(label.id, Number(this.slider.value)));
    this.value = element("span", { class: "value", "aria-hidden": "true" });
    this.inner = element("div", { class: "inner" });
    this.track = element("div", { class: "track" }, this.inner);
    this.root = element("div", { class: "lane", role: "group", "aria-label": label.label, "data-id": label.id });
    this.root.append(element("div", { class: "name" }, this.name, this.slider, this.value), this.track);
    this.surface = new Surface(this.track, () => this.draw());
  }

  /**
   * Show scores, thresholds and events.
   * @param {import("./timeline.js").Timeline} timeline
   * @param {{on: number, off: number}} thresholds
   * @param {import("./events.js").Event[]} events of this label
   * @param {(frame: number) => string} whyNoEvent at a frame that reaches the threshold
   */
  show(timeline, thresholds, events, whyNoEvent) {
    this.timeline = timeline;
    this.whyNoEvent = whyNoEvent;
    this.thresholds = thresholds;
    this.slider.value = thresholds.on;
    this.value.textContent = thresholds.on.toFixed(2);
    this.slider.setAttribute("aria-valuetext", thresholds.on.toFixed(2));
    this.root.classList.toggle("empty", events.length === 0);
    this.#place(events);
    this.#explain();
    this.draw();
  }

  /** Say the score at a time, and why there is no event if it reaches the threshold. */
  readout(seconds) {
    const { timeline } = this;
    if (!timeline.frames || seconds > timeline.edges.at(-1)) return "";
    const frame = timeline.frameAt(seconds);
    const isIn = [...this.buttons.values()].some(({ event }) => event.onset <= seconds && seconds < event.offset);
    return [this.#score(frame).toFixed(2), isIn ? "" : this.whyNoEvent(frame)].filter(Boolean).join(", ");
  }

  /** Mark the event that plays. */
  mark(playing) {
    for (const { button, event } of this.buttons.values()) button.classList.toggle("playing", isSame(event, playing));
  }

  draw() {
    const { surface, timeline, view } = this;
    this.inner.style.left = `${(-100 * view.start) / view.span}%`;
    this.inner.style.width = `${(100 * INNER_SECONDS) / view.span}%`;
    const context = surface.clear();
    if (!timeline?.frames || !surface.width) return;
    const faint = this.buttons.size ? "" : "faint-";
    const [width, height] = [surface.width, surface.height];
    const x = (seconds) => ((seconds - view.start) / view.span) * width;
    const y = (score) => height + 1 - score * (height - 3); // a score of 0 lies below the edge, where no line is seen
    const line = this.#curve(x, y);
    const area = new Path2D(line);
    area.lineTo(width, height);
    area.lineTo(0, height);
    context.fillStyle = colour(`${faint}area`);
    context.fill(area);
    context.strokeStyle = colour(`${faint}curve`);
    context.lineWidth = 1;
    context.stroke(line);
    context.strokeStyle = colour("threshold");
    context.lineWidth = 1;
    context.setLineDash([3, 4]);
    const level = Math.round(y(this.thresholds.on)) + 0.5;
    context.stroke(new Path2D(`M0 ${level}H${width}`));
    context.setLineDash([]);
  }

  remove() {
    this.surface.remove();
    this.root.remove();
  }

  /** Return the score as steps; where frames are narrower than a pixel, the highest of each pixel. */
  #curve(x, y) {
    const { timeline, view } = this;
    const line = new Path2D();
    const first = timeline.frameAt(view.start);
    const last = timeline.frameAt(view.end);
    let [at, highest] = [-Infinity, 0];
    line.moveTo(x(timeline.edges[first]), y(0));
    for (let frame = first; frame <= last; frame += 1) {
      const [left, right] = [x(timeline.edges[frame]), x(timeline.edges[frame + 1])];
      highest = Math.max(left - at < 1 ? highest : 0, this.#score(frame));
      if (left - at >= 1) at = left;
      line.lineTo(at, y(highest));
      line.lineTo(right, y(highest));
    }
    line.lineTo(x(timeline.edges[last + 1]), y(0));
    return line;
  }

  /** Say beside the name why there is no event though the curve passes the threshold. */
  #explain() {
    const { label, timeline } = this;
    const isAsked = this.buttons.size === 0 && label.column >= 0 && timeline.frames > 0;
    const why = isAsked ? this.whyNoEvent(timeline.frameAt(timeline.peakSeconds[label.column])) : "";
    this.why.textContent = why;
    this.name.title = [label.label, why].filter(Boolean).join(": ");
  }

  #score(frame) {
    return this.label.column < 0 ? this.timeline.novelty[frame] : this.timeline.score(frame, this.label.column);
  }

  /** Put a button for each event on the track; those that are there already stay, and keep the focus. */
  #place(events) {
    const before = this.buttons;
    this.buttons = new Map();
    for (const event of events) {
      const known = before.get(event.onset);
      const button = known?.button ?? element("button", { type: "button", class: "event", tabIndex: -1 });
      const span = `${clock(event.onset, 2)} to ${clock(event.offset, 2)}`;
      const told = `${event.label}, ${span}, score ${event.score.toFixed(2)}`;
      if (button.title !== told) {
        button.title = told;
        button.setAttribute("aria-label", told);
        button.replaceChildren(element("span", {}, event.score.toFixed(2)));
      }
      button.style.left = `${(100 * event.onset) / INNER_SECONDS}%`;
      button.style.width = `${(100 * (event.offset - event.onset)) / INNER_SECONDS}%`;
      button.earmarkEvent = event;
      this.buttons.set(event.onset, { button, event });
      if (!known) this.inner.append(button);
      before.delete(event.onset);
    }
    for (const { button } of before.values()) button.remove();
  }
}
