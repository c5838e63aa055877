/** The time scale above the lanes. */

import { element } from "./element.js";
import { clock } from "./time.js";

const APART_PIXELS = 84;
const STEPS = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

/**
 * Write the ticks of a view.
 * @param {HTMLElement} track
 * @param {import("./view.js").View} view
 * @param {number} width of the track in pixels
 */
export function drawTicks(track, view, width) {
  const least = (view.span * APART_PIXELS) / Math.max(1, width);
  const step = STEPS.find((candidate) => candidate >= least) ?? STEPS.at(-1);
  const places = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  const ticks = [];
  for (let number = Math.ceil(view.start / step - 1e-6); number * step <= view.end - least / 3; number += 1) {
    const seconds = number * step;
    const tick = element("span", {}, seconds < 60 ? `${seconds.toFixed(places)} s` : clock(seconds, places));
    tick.style.left = `${(100 * (seconds - view.start)) / view.span}%`;
    ticks.push(tick);
  }
  track.replaceChildren(...ticks);
}
