/** Where a recording comes from: dropped, chosen, recorded, heard live; how far it is, and what is wrong with it. */

import { listenForDrops } from "./drops.js";
import { byId } from "./element.js";
import { clock } from "./time.js";

const PATIENCE_MILLISECONDS = 500; // what is done sooner needs no word
/** What the part of the page is called, by what the microphone does. */
const TITLES = { null: "Drop a recording here", record: "Recording", listen: "Listening live" };

/** Fires `file` with a file, `example`, `record`, `listen`, `finish` (of these two), and `stop` (of what is sent). */
export class Source extends EventTarget {
  constructor() {
    super();
    this.buttons = { record: byId("record"), listen: byId("listen") };
    this.input = byId("file");
    byId("choose").addEventListener("click", () => this.input.click());
    this.input.addEventListener("change", () => this.#take(this.input.files));
    byId("example").addEventListener("click", () => this.#fire("example"));
    byId("stop").addEventListener("click", () => this.#fire("stop"));
    for (const [name, button] of Object.entries(this.buttons)) {
      button.addEventListener("click", () => this.#fire(this.capturing === name ? "finish" : name));
    }
    this.capturing = null;
    listenForDrops(
      byId("drop"),
      () => !this.capturing,
      (files) => this.#take(files),
    );
  }

  /** Say what is wrong, beside what caused it. @param {"choose" | "record" | "listen"} place */
  complain(place, text) {
    for (const name of ["choose", "record", "listen"]) byId(`${name}-error`).textContent = name === place ? text : "";
  }

  /** Show that the microphone is open for `record` or `listen`, or for neither. */
  setCapturing(name) {
    this.capturing = name;
    document.body.classList.toggle("capturing", name !== null);
    for (const [own, button] of Object.entries(this.buttons)) {
      const words = own === "record" ? ["Record", "Stop recording"] : ["Listen live", "Stop listening"];
      button.querySelector("span").textContent = words[Number(own === name)];
      button.classList.toggle("on", own === name);
      button.disabled = name !== null && own !== name;
    }
    for (const id of ["choose", "example"]) byId(id).disabled = name !== null;
    byId("meter").hidden = name === null;
    byId("source-title").textContent = TITLES[name];
  }

  /** Show how long the microphone has been open and how loud it is. @param {number} level in [0, 1] */
  setLevel(seconds, level) {
    byId("elapsed").textContent = clock(seconds);
    byId("level").style.width = `${100 * level}%`;
  }

  /**
   * Show that something takes its time.
   * @param {string} text
   * @param {number} [part] how much is done, in [0, 1]; not known if left out
   */
  busy(text, part) {
    byId("busy-text").textContent = text;
    if (part === undefined) byId("progress").removeAttribute("value");
    else byId("progress").value = part;
    this.patience ??= setTimeout(() => (byId("busy").hidden = false), PATIENCE_MILLISECONDS);
  }

  done() {
    clearTimeout(this.patience);
    this.patience = null;
    byId("busy").hidden = true;
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #take(files) {
    if (!files.length || this.capturing) return;
    const [file] = files;
    this.complain(
      "choose",
      files.length > 1
        ? `Only ${file.name} was taken: the page takes one recording at a time. For many there is POST /v1/batch.`
        : "",
    );
    this.#fire("file", file);
    this.input.value = ""; // so that the same file can be chosen again
  }
}
