/** Where sound comes from: chosen, dropped, or heard live; how far it is, and what is wrong with it. */

import { listenForDrops } from "./drops.js";
import { byId } from "./element.js";
import { clock } from "./timeline.js";

const PATIENCE_MILLISECONDS = 300; // what is done sooner needs no word

/** Fires `file` with a file, `listen`, and `stop` of what is going on. */
export class Source extends EventTarget {
  constructor() {
    super();
    [this.isReady, this.isListening, this.patience] = [false, false, null];
    this.input = byId("file");
    byId("choose").addEventListener("click", () => this.input.click());
    this.input.addEventListener("change", () => this.#take(this.input.files));
    byId("listen").addEventListener("click", () => this.#fire(this.isListening ? "stop" : "listen"));
    byId("stop").addEventListener("click", () => this.#fire("stop"));
    listenForDrops(
      byId("drop"),
      () => this.isReady && !this.isListening,
      (files) => this.#take(files),
    );
  }

  /** Say what is wrong, beside what caused it. @param {"load" | "choose" | "listen"} place */
  complain(place, text) {
    for (const name of ["load", "choose", "listen"]) byId(`${name}-error`).textContent = name === place ? text : "";
  }

  setReady(isReady) {
    this.isReady = isReady;
    this.#enable();
  }

  setListening(isListening) {
    this.isListening = isListening;
    const button = byId("listen");
    button.classList.toggle("on", isListening);
    button.querySelector("span").textContent = isListening ? "Stop listening" : "Listen";
    byId("meter").hidden = !isListening;
    this.#enable();
  }

  /** Show how long the microphone has been open and how loud it is. @param {number} level from 0 to 1 */
  setLevel(seconds, level) {
    byId("elapsed").textContent = clock(Math.floor(seconds));
    byId("level").style.width = `${100 * level}%`;
  }

  /** Show that something takes its time. @param {string} text @param {number} [part] how much is done, 0 to 1 */
  busy(text, part) {
    byId("busy-text").textContent = text;
    if (part === undefined) byId("progress").removeAttribute("value");
    else byId("progress").value = part;
    byId("stop").hidden = !this.isReady;
    this.patience ??= setTimeout(() => (byId("busy").hidden = false), PATIENCE_MILLISECONDS);
  }

  done() {
    clearTimeout(this.patience);
    this.patience = null;
    byId("busy").hidden = true;
  }

  #enable() {
    byId("choose").disabled = !this.isReady || this.isListening;
    byId("listen").disabled = !this.isReady;
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #take(files) {
    if (files.length && this.isReady && !this.isListening) this.#fire("file", files[0]);
    this.input.value = ""; // so that the same file can be chosen again
  }
}
