/** The strongest labels over time: a lane for each, as high as its score. */

import { onThreshold } from "./classify.js";
import { byId, element } from "./element.js";

const MOST_LANES = 6;
const LEAST_PEAK = 0.2; // a lane of less says nothing, but one there must be
const TICK_PIXELS = 80;
const STEPS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

export class Timeline {
  /** @param {object} card */
  constructor(card) {
    this.card = card;
    this.list = byId("lanes");
    this.ticks = byId("ticks");
    this.clear();
    byId("legend").textContent =
      "Strong colour: at or above the label's threshold, the dashed line." +
      ((card.novelty_threshold ?? null) === null ? "" : " Grey: unlike anything the model has learnt.");
    new ResizeObserver(() => this.#draw()).observe(this.list);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  clear() {
    [this.edges, this.rows, this.lanes] = [[], [], []];
    [this.from, this.until] = [0, 1];
  }

  /** Take the next frames. @param {import("./classify.js").Frames} frames */
  append({ edges, scores, novelty }) {
    const classes = this.card.labels.length;
    const threshold = Math.fround(this.card.novelty_threshold ?? Infinity);
    this.edges.push(...(this.edges.length ? edges.slice(1) : edges));
    for (let frame = 0; frame * classes < scores.length; frame += 1) {
      const isRefused = novelty !== null && novelty[frame] >= threshold;
      this.rows.push({ scores: scores.subarray(frame * classes, (frame + 1) * classes), isRefused });
    }
  }

  /** Forget what ended before a time. */
  dropBefore(seconds) {
    const keep = this.edges.findIndex((edge) => edge > seconds) - 1;
    if (keep < 1) return;
    this.edges.splice(0, keep);
    this.rows.splice(0, keep);
  }

  /** Show a stretch of time. */
  show(from, until) {
    [this.from, this.until] = [from, Math.max(until, from + 0.1)];
    const strongest = this.#strongest();
    const kept = this.lanes.filter((lane) => strongest.includes(lane.index)); // live, they stay where they are
    const added = strongest.filter((index) => !kept.some((lane) => lane.index === index));
    this.lanes = [...kept, ...added.map((index) => this.#lane(index))];
    this.list.replaceChildren(...this.lanes.map((lane) => lane.item));
    this.#draw();
  }

  #strongest() {
    const peaks = new Float32Array(this.card.labels.length);
    for (const { scores } of this.rows) {
      scores.forEach((score, index) => (peaks[index] = Math.max(peaks[index], score)));
    }
    return [...peaks.keys()]
      .sort((one, other) => peaks[other] - peaks[one])
      .slice(0, MOST_LANES)
      .filter((index, place) => place === 0 || peaks[index] >= LEAST_PEAK);
  }

  #lane(index) {
    const { id, name } = this.card.labels[index];
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true");
    const words = element("span", "unseen");
    const item = element("li", "", element("span", "", name), words, canvas);
    return { index, item, canvas, words, threshold: onThreshold(this.card, id) };
  }

  #draw() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const colours = { sure: colour("accent"), unsure: colour("soft"), refused: colour("grey"), line: colour("quiet") };
    for (const lane of this.lanes) {
      lane.words.textContent = this.#describe(lane);
      this.#paint(lane, colours);
    }
    this.#mark();
  }

  /** Paint a lane; where frames are narrower than a pixel, the highest of them is seen. */
  #paint({ canvas, index, threshold }, colours) {
    const scale = window.devicePixelRatio;
    const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
    if (!width) return;
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    for (const [x, { score, isRefused }] of this.#columns(width, index).entries()) {
      const kind = score >= Math.fround(threshold) ? "sure" : "unsure";
      context.fillStyle = colours[isRefused ? "refused" : kind];
      const high = score * height;
      context.fillRect(x, height - high, 1, high);
    }
    context.strokeStyle = colours.line;
    context.lineWidth = scale;
    context.setLineDash([3 * scale, 4 * scale]);
    context.globalAlpha = 0.6;
    context.beginPath();
    context.moveTo(0, height * (1 - threshold));
    context.lineTo(width, height * (1 - threshold));
    context.stroke();
  }

  #columns(width, index) {
    const columns = Array.from({ length: width }, () => ({ score: 0, isRefused: false }));
    const at = (seconds) => ((seconds - this.from) / (this.until - this.from)) * width;
    for (const [frame, { scores, isRefused }] of this.rows.entries()) {
      const first = Math.max(0, Math.floor(at(this.edges[frame])));
      const end = Math.min(width, Math.max(first + 1, Math.floor(at(this.edges[frame + 1]))));
      for (let x = first; x < end; x += 1) {
        if (scores[index] >= columns[x].score) columns[x] = { score: scores[index], isRefused };
      }
    }
    return columns;
  }

  #describe({ index, threshold }) {
    let peak = 0;
    const sure = [];
    for (const [frame, { scores, isRefused }] of this.rows.entries()) {
      if (scores[index] > this.rows[peak].scores[index]) peak = frame;
      if (isRefused || scores[index] < Math.fround(threshold)) continue;
      const [from, until] = [this.edges[frame], this.edges[frame + 1]];
      if (sure.at(-1)?.until === from) sure.at(-1).until = until;
      else sure.push({ from, until });
    }
    const spans = sure.slice(0, 5).map(({ from, until }) => `${from.toFixed(1)} to ${until.toFixed(1)}`);
    const highest = `: highest ${this.rows[peak]?.scores[index].toFixed(2)} at ${this.edges[peak]?.toFixed(1)} seconds`;
    if (!spans.length) return highest;
    return `${highest}; above its threshold from ${spans.join(", ")}${sure.length > 5 ? " and later" : ""} seconds`;
  }

  #mark() {
    const track = element("div", "");
    this.ticks.replaceChildren(track);
    const span = this.until - this.from;
    const room = Math.max(1, track.clientWidth / TICK_PIXELS);
    const step = STEPS.find((each) => span / each <= room) ?? 3600;
    for (let at = Math.ceil(this.from / step) * step; at <= this.until; at += step) {
      const part = (at - this.from) / span;
      const isCut = (distance) => distance * track.clientWidth < TICK_PIXELS / 4;
      const tick = element("span", isCut(part) ? "first" : isCut(1 - part) ? "last" : "", clock(at));
      tick.style.left = `${100 * part}%`;
      track.append(tick);
    }
  }
}

/** Return seconds as `4.5`, from a minute on as `1:04`. */
export function clock(seconds) {
  if (seconds < 60) return Number.isInteger(seconds) ? `${seconds} s` : `${seconds.toFixed(1)} s`;
  const [minutes, rest] = [Math.floor(seconds / 60), String(Math.floor(seconds % 60)).padStart(2, "0")];
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}
