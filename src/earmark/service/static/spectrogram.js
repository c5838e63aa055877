/** The spectrogram lane: tiles of several sharpnesses, like a map's, made by a worker as they are needed. */

import { scale } from "./colours.js";
import { frequencyAt, heightOf, LEVEL_DB } from "./spectrum.js";
import { Surface } from "./surface.js";
import { isDark, onTheme } from "./theme.js";

const ROWS = 160;
const COLUMNS = 128;
const RANGE_DB = 72;
const MOST_TILES = 400;
const MOST_ASKED = 2;
const LABELLED_HZ = [100, 250, 500, 1000, 2000, 4000];

export class Spectrogram {
  /**
   * @param {HTMLElement} track
   * @param {import("./view.js").View} view
   */
  constructor(track, view) {
    this.view = view;
    this.surface = new Surface(track, () => this.draw());
    this.worker = new Worker(new URL("spectrogram-worker.js", import.meta.url), { type: "module" });
    this.worker.addEventListener("message", ({ data }) => this.#receive(data));
    onTheme(() => this.#recolour());
    this.soundNumber = 0;
    this.#forget();
  }

  /** Show another sound. @param {import("./sound.js").Sound} sound */
  open(sound) {
    this.#forget();
    this.sound = sound;
    this.soundNumber += 1;
    this.worker.postMessage({ task: "open", rate: sound.rate, rows: ROWS });
    const mine =
      (handle) =>
      ({ detail }) =>
        this.sound === sound && handle(detail);
    sound.addEventListener(
      "grow",
      mine((block) => this.worker.postMessage({ task: "append", block })),
    );
    sound.addEventListener(
      "drop",
      mine((sample) => this.worker.postMessage({ task: "drop", sample })),
    );
  }

  /** Return the frequencies to write beside the picture, each with its height in [0, 1]. */
  get frequencies() {
    if (!this.sound) return [];
    const shown = LABELLED_HZ.filter((hertz) => hertz < frequencyAt(1, this.sound.rate));
    return shown.map((hertz) => ({ hertz, height: heightOf(hertz, this.sound.rate) }));
  }

  draw() {
    const context = this.surface.clear();
    const { width, height } = this.surface;
    if (!this.sound || !width) return;
    const { start, end, span } = this.view;
    context.imageSmoothingQuality = "high";
    const level = Math.ceil(Math.log2(width / span));
    const seconds = COLUMNS / 2 ** level;
    const last = Math.min(end, this.sound.seconds);
    for (let index = Math.max(0, Math.floor(start / seconds)); index * seconds < last; index += 1) {
      const place = { x: ((index * seconds - start) / span) * width, width: (seconds / span) * width, height };
      this.#drawTile(context, level, index, place);
    }
    this.#ask();
  }

  /** Draw a tile, or until it is there what coarser ones show of the same time. */
  #drawTile(context, level, index, { x, width, height }) {
    const key = `${level}/${index}`;
    const tile = this.tiles.get(key);
    if (!tile || (tile.until < (index + 1) * (COLUMNS / 2 ** level) && tile.until < this.sound.seconds))
      this.wanted.add(key);
    if (tile) {
      context.drawImage(this.#picture(tile), x, 0, width, height);
      return;
    }
    for (let up = 1; up < 12; up += 1) {
      const coarser = this.tiles.get(`${level - up}/${index >> up}`);
      if (!coarser) continue;
      const part = COLUMNS >> up;
      const from = (index & ((1 << up) - 1)) * (COLUMNS / 2 ** up);
      context.drawImage(this.#picture(coarser), from, 0, Math.max(1, part), ROWS, x, 0, width, height);
      return;
    }
  }

  /** Return the canvas of a tile, in the colours of now. */
  #picture(tile) {
    if (tile.colours === this.colours) return tile.canvas;
    tile.canvas ??= new OffscreenCanvas(COLUMNS, ROWS);
    tile.colours = this.colours;
    const context = tile.canvas.getContext("2d");
    const image = context.createImageData(COLUMNS, ROWS);
    const pixels = new Uint32Array(image.data.buffer);
    tile.levels.forEach((level, position) => {
      pixels[(position % ROWS) * COLUMNS + Math.floor(position / ROWS)] = this.colours[level];
    });
    context.putImageData(image, 0, 0);
    return tile.canvas;
  }

  #ask() {
    const [key] = [...this.wanted].filter((wanted) => !this.asked.has(wanted));
    this.wanted.delete(key);
    if (key === undefined || this.asked.size >= MOST_ASKED) return;
    const [level, index] = key.split("/").map(Number);
    const seconds = 2 ** -level;
    this.asked.add(key);
    const place = { from: index * COLUMNS * seconds, seconds, columns: COLUMNS };
    this.worker.postMessage({ task: "tile", key, sound: this.soundNumber, ...place });
    this.#ask();
  }

  #receive({ key, sound, levels, until }) {
    if (sound !== this.soundNumber) return;
    this.asked.delete(key);
    this.tiles.delete(key);
    this.tiles.set(key, { levels, until });
    if (this.tiles.size > MOST_TILES) this.tiles.delete(this.tiles.keys().next().value);
    const highest = levels.reduce((most, value) => Math.max(most, value), 0);
    if (highest > this.highest) {
      this.highest = highest + 4; // two decibels of room, so that not every tile makes the colours anew
      this.#recolour();
    }
    this.wanted.clear();
    requestAnimationFrame(() => this.draw());
  }

  #recolour() {
    const rgb = scale(isDark() ? "dark" : "light");
    const range = RANGE_DB / LEVEL_DB;
    this.colours = Uint32Array.from({ length: 256 }, (_, level) => {
      if (level === 0) return 0; // no sound: transparent
      const part = Math.min(1, Math.max(0, (level - this.highest + range) / range));
      const [red, green, blue] = rgb.subarray(3 * Math.round(255 * part));
      return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
    });
    this.draw();
  }

  #forget() {
    this.sound = null;
    this.tiles = new Map();
    this.wanted = new Set();
    this.asked = new Set();
    this.highest = 0;
    this.#recolour();
  }
}
