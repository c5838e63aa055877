/** The waveform lane: how far the sound swings, and inside it how loud it is on average. */

import { Surface } from "./surface.js";
import { colour } from "./theme.js";

const QUIETEST_PEAK = 0.01; // what is quieter is not blown up to the full height

export class Waveform {
  /**
   * @param {HTMLElement} track
   * @param {import("./view.js").View} view
   * @param {() => void} resized called when the width is another
   */
  constructor(track, view, resized) {
    this.view = view;
    this.sound = null;
    this.surface = new Surface(track, resized);
  }

  draw() {
    const { surface, view } = this;
    const context = surface.clear();
    if (!this.sound || !surface.width) return;
    const columns = Math.ceil(surface.width * window.devicePixelRatio);
    const step = view.span / columns;
    const [swing, average] = [new Path2D(), new Path2D()];
    const middle = surface.height / 2;
    const scale = (0.96 * middle) / Math.max(QUIETEST_PEAK, this.sound.peaks.highest);
    for (let column = 0; column < columns; column += 1) {
      const from = view.start + column * step;
      const found = this.sound.peaks.between(from, from + step);
      if (!found) continue;
      const [high, low, rms] = found;
      const [x, width] = [(column * surface.width) / columns, surface.width / columns];
      bar(swing, x, width, middle - high * scale, middle - low * scale);
      bar(average, x, width, middle - Math.min(rms, high) * scale, middle + Math.min(rms, -low) * scale);
    }
    context.fillStyle = colour("swing");
    context.fill(swing);
    context.fillStyle = colour("average");
    context.fill(average);
  }
}

function bar(path, x, width, top, bottom) {
  const height = Math.max(bottom - top, 1 / window.devicePixelRatio);
  path.rect(x, (top + bottom - height) / 2, width, height);
}
