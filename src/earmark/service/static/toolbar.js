/** The buttons above the lanes, and the keys that do the same. */

import { byId } from "./element.js";
import { clock } from "./time.js";

const ZOOM = 1.6;
const STEPS = 1000;

export class Toolbar {
  /**
   * @param {import("./stage.js").Stage} stage
   * @param {import("./player.js").Player} player
   */
  constructor(stage, player) {
    this.stage = stage;
    this.player = player;
    this.view = stage.view;
    this.play = byId("play");
    this.position = byId("position");
    this.buttons = { in: byId("zoom-in"), out: byId("zoom-out"), whole: byId("whole") };
    this.play.addEventListener("click", () => player.toggle());
    this.buttons.in.addEventListener("click", () => this.#zoom(1 / ZOOM));
    this.buttons.out.addEventListener("click", () => this.#zoom(ZOOM));
    this.buttons.whole.addEventListener("click", () => this.view.fit());
    this.position.addEventListener("input", () => this.#move());
    this.view.addEventListener("change", () => this.#update());
    player.addEventListener("state", () => this.#told());
    player.addEventListener("move", () => this.#tick());
    document.addEventListener("keydown", (key) => this.#key(key));
    new ResizeObserver(([entry]) => this.#measure(entry.target)).observe(this.play.parentElement);
  }

  /** Show whether there is something to play. */
  refresh() {
    this.play.disabled = !this.player.isLoaded;
    this.#told();
    this.#tick();
    this.#update();
  }

  /** Let the time scale stick below the buttons, which have a second row when a telephone is zoomed in. */
  #measure({ offsetHeight }) {
    document.documentElement.style.setProperty("--player", `${offsetHeight}px`);
  }

  #zoom(factor) {
    const { view, player } = this;
    const isSeen = player.isLoaded && player.seconds > view.start && player.seconds < view.end;
    view.zoom(factor, isSeen ? player.seconds : undefined);
  }

  #move() {
    const { view } = this;
    const start = view.first + (this.position.value / STEPS) * (view.last - view.first - view.span);
    view.show(start, start + view.span);
  }

  #update() {
    const { view, position } = this;
    const rest = view.last - view.first - view.span;
    position.disabled = view.isWhole || view.follows;
    position.value = rest > 0 ? (STEPS * (view.start - view.first)) / rest : 0;
    position.style.setProperty("--part", Math.max(0.04, Math.min(1, view.span / (view.last - view.first))));
    position.setAttribute("aria-valuetext", `${clock(view.start)} to ${clock(view.end)} of ${clock(view.last)}`);
    byId("length").textContent = clock(view.last);
    this.buttons.out.disabled = this.buttons.whole.disabled = view.isWhole;
  }

  #told() {
    const { isPlaying } = this.player;
    this.play.classList.toggle("playing", isPlaying);
    this.play.querySelector("span").textContent = isPlaying ? "Pause" : "Play";
  }

  #tick() {
    byId("now").textContent = clock(this.player.seconds);
  }

  #key(key) {
    const { target } = key;
    if (key.ctrlKey || key.metaKey || key.altKey || target.closest("input:not([type=range]), select, textarea, dialog"))
      return;
    // Single keys are for who looks at the timeline or at nothing else, as readers of other parts may have their own.
    if (!this.player.isLoaded || !(target === document.body || target.closest(".time"))) return;
    const isOnStage = this.stage.root.contains(target);
    const isPressed = target.closest("button, a, input, .scroll") !== null; // they have a use for these keys themselves
    const acts = {
      " ": () => !isPressed && this.player.toggle(),
      "+": () => this.#zoom(1 / ZOOM),
      "=": () => this.#zoom(1 / ZOOM),
      "-": () => this.#zoom(ZOOM),
      0: () => this.view.fit(),
      ArrowLeft: () => !isPressed && this.#step(-1, key.shiftKey),
      ArrowRight: () => !isPressed && this.#step(1, key.shiftKey),
      Home: () => !isPressed && isOnStage && this.player.seek(0),
      End: () => !isPressed && isOnStage && this.player.seek(this.view.last),
    };
    if (acts[key.key] && acts[key.key]() !== false) key.preventDefault();
  }

  /** Move the cursor by a fiftieth of what is shown, with Shift by a fifth. */
  #step(direction, isLarge) {
    this.player.seek(this.player.seconds + (direction * this.view.span) / (isLarge ? 5 : 50));
    this.view.reveal(this.player.seconds);
  }
}
