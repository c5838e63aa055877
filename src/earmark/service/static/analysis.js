/** One recording on its way: made ready to be shown, sent to the server, and the answers that come back. */

import { decode, lengthOf } from "./sound.js";

/** Longer recordings are decoded by the server: this browser would need hundreds of megabytes for them. */
const MOST_DECODED_SECONDS = 900;
const MEGABYTE = 1e6;
/** For a recording that nobody can show: what is heard in it can be all the same. */
const NOTHING = { rate: 16000, mono: new Float32Array(0) };
const TIMES = ["", "", " (the file is sent twice)", " (the file is sent three times)"];

/**
 * @typedef {object} Recording
 * @property {File} file
 * @property {string[]} notes  what the page itself has to say of it
 * @property {boolean} isCaptured  whether the microphone heard it, so that nobody has it as a file yet
 */

export class Analysis {
  /**
   * @param {import("./server.js").Server} server
   * @param {Recording} recording
   * @param {import("./source.js").Source} source tells how far it is
   */
  constructor(server, recording, source) {
    this.server = server;
    this.recording = recording;
    this.file = recording.file;
    this.source = source;
    this.ender = new AbortController();
    /** How many bytes of each request have been sent. */
    this.sent = new Map();
  }

  stop() {
    this.ender.abort();
  }

  get isStopped() {
    return this.ender.signal.aborted;
  }

  /** Return the timeline and the tags of all labels. @param {string} model */
  async ask(model) {
    const ask = (task, parameters) => this.server.ask(task, this.file, { model, ...parameters }, this.#watch(task));
    try {
      // All labels, for the page has its own thresholds and filters.
      const [timeline, tags] = await Promise.all([ask("timeline", {}), ask("classify", { top_k: 0, threshold: 0 })]);
      return { timeline, tags };
    } catch (error) {
      this.stop(); // what else is being sent would be sent for nothing
      throw error;
    }
  }

  /**
   * Return the samples to show and the file to play; the server decodes what the browser cannot.
   * @returns {Promise<{samples: {rate: number, mono: Float32Array}, playable: Blob | null}>} no samples and null if
   *   nobody can: the answer to `ask` says why
   */
  async prepare() {
    const { file } = this;
    const seconds = await lengthOf(file).catch(() => null);
    const own = seconds !== null && seconds <= MOST_DECODED_SECONDS ? await decode(file).catch(() => null) : null;
    if (own) return { samples: own, playable: file };
    const playable = seconds === null ? null : file;
    try {
      const wav = await this.server.wav(file, this.#watch("wav"));
      return { samples: await decode(wav), playable: playable ?? wav };
    } catch {
      return { samples: NOTHING, playable };
    }
  }

  #watch(task) {
    const sent = (bytes) => {
      this.sent.set(task, bytes);
      this.#tell();
    };
    if (!this.isStopped) sent(0);
    return { signal: this.ender.signal, sent };
  }

  /** Say how far it is; a request that was ended may still have something to tell, and is not listened to. */
  #tell() {
    if (this.isStopped) return;
    const { name, size } = this.file;
    const done = [...this.sent.values()].reduce((sum, bytes) => sum + bytes, 0);
    const all = size * this.sent.size;
    const [sent, whole] = [done, all].map((bytes) => (bytes / MEGABYTE).toFixed(1));
    if (done < all) this.source.busy(`Sending ${name}: ${sent} of ${whole} MB${TIMES[this.sent.size]}`, done / all);
    else this.source.busy(`Listening to ${name}`);
  }
}
