/** The model as the page asks it: a thread that answers. */

export class Engine {
  constructor() {
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.asked = new Map();
    this.count = 0;
    this.worker.onmessage = ({ data }) => this.#take(data);
    this.worker.onerror = (event) => this.#fail(event);
  }

  /** Load the model and return its card. @param {(progress: {bytes: number, all: number}) => void} onprogress */
  load(onprogress) {
    return this.#ask("load", {}, { onprogress });
  }

  /**
   * Say what is heard in a recording.
   * @param {Float32Array} waveform is given away
   * @param {AbortSignal} signal
   * @param {(progress: {done: number, all: number}) => void} onprogress
   */
  classify(waveform, signal, onprogress) {
    return this.#ask("classify", { waveform }, { signal, onprogress, transfer: [waveform.buffer] });
  }

  /**
   * Follow live sound until `signal` ends it; `push` gives the sound.
   * @param {AbortSignal} signal
   * @param {(told: {frames?: import("./classify.js").Frames, lost?: boolean}) => void} onprogress
   */
  listen(signal, onprogress) {
    return this.#ask("listen", {}, { signal, onprogress });
  }

  /** Give the next block of live sound away. @param {Float32Array} block */
  push(block) {
    this.worker.postMessage({ task: "block", given: block }, [block.buffer]);
  }

  #ask(task, given, { signal, onprogress, transfer = [] }) {
    const id = (this.count += 1);
    signal?.addEventListener("abort", () => this.worker.postMessage({ task: "stop", given: id }));
    return new Promise((resolve, reject) => {
      this.asked.set(id, { resolve, reject, onprogress, signal });
      this.worker.postMessage({ id, task, given }, transfer);
    });
  }

  #take({ id, progress, answer, error }) {
    const asked = this.asked.get(id);
    if (progress) {
      if (asked && !asked.signal?.aborted) asked.onprogress(progress); // what failed may still have begun more
      return;
    }
    this.asked.delete(id);
    if (!asked) return; // what failed before it answered
    if (error) asked.reject(Object.assign(new Error(error.message), { name: error.name }));
    else asked.resolve(answer);
  }

  /** A thread that does not start says so here, without a reason. */
  #fail(event) {
    event.preventDefault();
    const error = new Error(event.message || "A part of the page cannot be loaded.");
    for (const { reject } of this.asked.values()) reject(error);
    this.asked.clear();
  }
}
