/** All lanes on one axis of time, with the cursor over them: zooming, moving, and playing from a place. */

import { byId, element } from "./element.js";
import { Lanes } from "./lanes.js";
import { Spectrogram } from "./spectrogram.js";
import { onTheme } from "./theme.js";
import { drawTicks } from "./ticks.js";
import { clock } from "./time.js";
import { View } from "./view.js";
import { Waveform } from "./waveform.js";

const WHEEL_STEP = 0.0016;
const DRAG_PIXELS = 4;

export class Stage {
  /**
   * @param {HTMLElement} root
   * @param {import("./player.js").Player} player
   */
  constructor(root, player) {
    this.root = root;
    this.player = player;
    this.view = new View();
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.ticks = part("ticks");
    this.cursor = part("cursor");
    this.pointer = part("pointer");
    this.scale = part("scale");
    this.scrubber = part("waveform");
    this.waveform = new Waveform(part("waveform"), this.view, () => this.redraw());
    this.spectrogram = new Spectrogram(part("spectrogram"), this.view);
    this.lanes = new Lanes(part("lanes"), byId("more"), this.view);
    this.pending = false;
    this.pointers = new Map();
    this.view.addEventListener("change", () => this.redraw());
    onTheme(() => this.redraw());
    player.addEventListener("move", () => this.#follow());
    player.addEventListener("state", () => this.lanes.mark(player.stretch));
    root.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    root.addEventListener("pointermove", (event) => this.#point(event));
    root.addEventListener("pointerleave", () => (this.pointer.hidden = true));
    for (const track of root.querySelectorAll("[data-time]")) this.#listen(track);
  }

  /** Show another sound. @param {import("./sound.js").Sound} sound */
  open(sound) {
    this.waveform.sound = sound;
    this.spectrogram.open(sound);
    this.lanes.clear();
    this.#label();
    this.view.open(sound.seconds);
  }

  /** Draw all lanes anew, once before the screen is next shown. */
  redraw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      const { view } = this;
      drawTicks(this.ticks, view, this.waveform.surface.width);
      this.waveform.draw();
      this.spectrogram.draw();
      this.lanes.draw();
      this.#placeCursor();
    });
  }

  #follow() {
    if (this.player.isPlaying) this.view.reveal(this.player.seconds);
    this.#placeCursor();
  }

  #placeCursor() {
    const { view, player } = this;
    const part = (player.seconds - view.start) / view.span;
    this.cursor.hidden = !player.isLoaded || part < 0 || part > 1;
    this.cursor.style.left = `${100 * part}%`;
    this.scrubber.setAttribute("aria-valuemax", view.last.toFixed(1));
    this.scrubber.setAttribute("aria-valuenow", player.seconds.toFixed(1));
    this.scrubber.setAttribute("aria-valuetext", `${clock(player.seconds)} of ${clock(view.last)}`);
  }

  #label() {
    const labels = this.spectrogram.frequencies.map(({ hertz, height }) => {
      const label = element("span", {}, hertz < 1000 ? `${hertz}` : `${hertz / 1000}k`);
      label.style.bottom = `${100 * height}%`;
      return label;
    });
    this.scale.replaceChildren(...labels);
  }

  /** Show the time under the pointer, and what a lane shows there. */
  #point(event) {
    const track = event.target.closest(".track");
    this.pointer.hidden = !track || event.pointerType !== "mouse";
    if (this.pointer.hidden) return;
    const seconds = this.#timeAt(track, event.clientX);
    const part = (seconds - this.view.start) / this.view.span;
    this.pointer.style.left = `${100 * part}%`;
    this.pointer.classList.toggle("late", part > 0.5);
    const words = [clock(seconds, this.view.span < 10 ? 2 : 1), this.lanes.readout(track, seconds)];
    this.pointer.dataset.time = words.filter(Boolean).join(" · ");
  }

  /** Over the pictures the wheel zooms; over the lanes it scrolls the page, unless Ctrl is held. Sideways it moves. */
  #wheel(event) {
    const track = event.target.closest(".track");
    if (!track) return;
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    const pixels = (sideways && event.deltaX) || event.deltaY;
    const isZoom = !sideways && (event.ctrlKey || event.metaKey || track.hasAttribute("data-zooms"));
    if (sideways && !this.view.isWhole) this.view.pan((pixels / track.clientWidth) * this.view.span);
    else if (isZoom)
      this.view.zoom(
        Math.exp(Math.max(-200, Math.min(200, pixels)) * WHEEL_STEP * (event.ctrlKey ? 3 : 1)),
        this.#timeAt(track, event.clientX),
      );
    else return;
    event.preventDefault();
  }

  #timeAt(track, clientX) {
    const box = track.getBoundingClientRect();
    return this.view.start + ((clientX - box.left) / box.width) * this.view.span;
  }

  /** A press plays from there, a drag moves, two fingers zoom. */
  #listen(track) {
    track.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button") || event.button > 0) return;
      this.pointers.set(event.pointerId, { x: event.clientX, moved: false });
      track.setPointerCapture(event.pointerId);
    });
    track.addEventListener("pointermove", (event) => this.#drag(track, event));
    track.addEventListener("pointerup", (event) => {
      const pointer = this.pointers.get(event.pointerId);
      this.pointers.delete(event.pointerId);
      if (pointer && !pointer.moved && this.player.isLoaded) this.player.playFrom(this.#timeAt(track, event.clientX));
    });
    track.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
  }

  #drag(track, event) {
    const pointer = this.pointers.get(event.pointerId);
    if (!pointer) return;
    const others = [...this.pointers.values()].filter((other) => other !== pointer);
    const travelled = event.clientX - pointer.x;
    if (!pointer.moved && Math.abs(travelled) < DRAG_PIXELS) return;
    pointer.moved = true;
    if (others.length) {
      const [before, now] = [Math.abs(pointer.x - others[0].x), Math.abs(event.clientX - others[0].x)];
      others[0].moved = true;
      if (before > 1 && now > 1) this.view.zoom(before / now, this.#timeAt(track, (event.clientX + others[0].x) / 2));
    } else {
      this.view.pan((-travelled / track.clientWidth) * this.view.span);
    }
    pointer.x = event.clientX;
  }
}
