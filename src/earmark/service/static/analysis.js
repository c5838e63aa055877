/** One recording on its way: shown by the browser, sent to the server, and the answers that come back. */

import { decode } from "./sound.js";

/** Longer recordings are decoded by the server: this browser would need hundreds of megabytes for them. */
const MOST_DECODED_SECONDS = 900;
const MEGABYTE = 1e6;

export class Analysis {
  /**
   * @param {import("./server.js").Server} server
   * @param {File} file
   * @param {import("./source.js").Source} source tells how far it is
   */
  constructor(server, file, source) {
    this.server = server;
    this.file = file;
    this.source = source;
    this.ender = new AbortController();
  }

  stop() {
    this.ender.abort();
  }

  /** Return the timeline and the tags of all labels. @param {string} model */
  async ask(model) {
    const { server, file, ender } = this;
    const sent = { timeline: 0, classify: 0 };
    const ask = (task, parameters) => {
      const watch = { signal: ender.signal, sent: (bytes) => this.#tell(Object.assign(sent, { [task]: bytes })) };
      return server.ask(task, file, { model, ...parameters }, watch);
    };
    this.#tell(sent);
    // All labels, for the page has its own thresholds and filters.
    const [timeline, tags] = await Promise.all([ask("timeline", {}), ask("classify", { top_k: 0, threshold: 0 })]);
    return { timeline, tags };
  }

  /**
   * Load the recording into the player and return its samples, decoded by the server where the browser cannot.
   * @param {import("./player.js").Player} player
   * @returns {Promise<{rate: number, mono: Float32Array} | null>} null if nobody can: the answer to `ask` says why
   */
  async show(player) {
    const seconds = await player.load(this.file).catch(() => null);
    const own = seconds !== null && seconds <= MOST_DECODED_SECONDS ? await decode(this.file).catch(() => null) : null;
    if (own) return own;
    try {
      const wav = await this.server.wav(this.file, { signal: this.ender.signal });
      if (seconds === null) await player.load(wav);
      return await decode(wav);
    } catch {
      return null;
    }
  }

  #tell({ timeline, classify }) {
    const [done, all] = [timeline + classify, 2 * this.file.size];
    const megabytes = `${(done / 2 / MEGABYTE).toFixed(1)} of ${(all / 2 / MEGABYTE).toFixed(1)} MB`;
    if (done < all) this.source.busy(`Sending ${this.file.name}: ${megabytes}`, done / all);
    else this.source.busy(`Listening to ${this.file.name}`);
  }
}
