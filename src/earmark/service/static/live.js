/** Live sound: blocks of samples go to the server, scores of frames come back. The protocol is that of `/v1/stream`. */

import { Refusal } from "./server.js";

/** So much may wait to be sent before blocks are left out: three seconds or so. */
const MOST_WAITING_BYTES = 300_000;
/** So long the last frames may take. */
const PATIENCE_MILLISECONDS = 10_000;

/** Fires `frames` with the server's message, `lost` when sound had to be left out, `end` with an error or null. */
export class Live extends EventTarget {
  /**
   * Open a stream.
   * @param {import("./server.js").Server} server
   * @param {{model: string, rate: number}} sound
   * @returns {Promise<Live>} once the server is ready
   * @throws {Refusal}
   */
  static open(server, { model, rate }) {
    const live = new Live();
    const first = { sample_rate: rate, format: "s16le", channels: 1, model, scores: true };
    if (server.token) first.token = server.token;
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(server.streamAddress);
      live.socket = socket;
      socket.onopen = () => socket.send(JSON.stringify(first));
      socket.onmessage = ({ data }) => live.#receive(JSON.parse(data), resolve);
      socket.onclose = ({ code }) => {
        // A service that ends says all that it has heard first, as if it had been asked to: only the code tells.
        const error = live.error ?? (live.isOver ? null : new Refusal(0, reason(code)));
        reject(error);
        live.dispatchEvent(new CustomEvent("end", { detail: error }));
      };
    });
  }

  constructor() {
    super();
    this.isOver = false;
    this.error = null;
    this.labels = [];
  }

  /** @param {Int16Array} block the next samples */
  send(block) {
    if (this.isOver || this.socket.readyState !== WebSocket.OPEN) return;
    if (this.socket.bufferedAmount > MOST_WAITING_BYTES) this.dispatchEvent(new Event("lost"));
    else this.socket.send(block);
  }

  /** Say that no more sound comes; the last frames follow, then `end`. */
  finish() {
    if (this.isOver) return;
    this.isOver = true;
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type: "end" }));
    setTimeout(() => this.socket.close(), PATIENCE_MILLISECONDS);
  }

  #receive(message, resolve) {
    if (message.type === "ready") {
      this.labels = message.labels;
      resolve(this);
    } else if (message.type === "frames") {
      this.dispatchEvent(new CustomEvent("frames", { detail: message }));
    } else if (message.type === "error") {
      this.error = new Refusal(0, message.error);
    }
  }
}

function reason(code) {
  if (code === 1001 || code === 1012)
    return { message: "The service ended the stream: it was stopped or restarted." };
  return {
    message: "The connection to the server was lost.",
    hint: "Check that `earmark serve` is still running, then listen again.",
  };
}
