/** What the microphone hears: kept to be a recording afterwards, and on the way scored live if wanted. */

import { Live } from "./live.js";
import { Microphone } from "./microphone.js";
import { Sound } from "./sound.js";
import { Timeline } from "./timeline.js";
import { toInt16, wavFile } from "./wav.js";

/** A recording ends by itself after this, if the server takes so much; of live sound so much can be heard again. */
const MOST_RECORDED_SECONDS = 1800;
const MOST_KEPT_SECONDS = 300;
const QUIETEST_DB = -60;

/** Fires `block` when there is more sound, `scores` when there are more scores, `end` with an error or null. */
export class Capture extends EventTarget {
  /**
   * Open the microphone.
   * @param {import("./server.js").Server | null} server to score the sound live, or null
   * @param {string} model
   * @param {{upload_bytes: number, sound_seconds: number}} limits of what can be sent afterwards
   */
  static async open(server, model, limits) {
    const capture = new Capture();
    capture.microphone = await Microphone.open(
      (block) => capture.#take(block),
      () => capture.#lose(),
    );
    try {
      const { rate } = capture.microphone;
      capture.live = server && (await Live.open(server, { model, rate }));
      capture.sound = new Sound(rate);
      capture.mostSeconds = Math.min(MOST_RECORDED_SECONDS, limits.sound_seconds, limits.upload_bytes / (2 * rate)) - 1;
    } catch (error) {
      capture.microphone.close();
      throw error;
    }
    return capture;
  }

  constructor() {
    super();
    [this.microphone, this.live, this.sound] = [null, null, null];
    this.waiting = [];
    this.kept = [];
    this.level = 0;
    this.lostBlocks = 0;
    this.isOver = false;
  }

  /** Seconds at the start that are no longer kept. */
  get forgottenSeconds() {
    return this.sound.first;
  }

  /** Close the microphone; `end` follows when the last scores are there. */
  finish() {
    this.microphone.close();
    if (this.live) this.live.finish();
    else this.#end(null);
  }

  /** Return what is kept as a file. */
  file() {
    const name = `${this.live ? "live" : "recording"} ${stamp(new Date())}.wav`;
    return new File([wavFile(this.kept, this.sound.rate)], name, { type: "audio/wav" });
  }

  /** Pass on all that was heard since the microphone was opened, and go on. */
  begin() {
    if (this.live) {
      this.timeline = new Timeline(this.live.labels);
      this.live.addEventListener("frames", ({ detail }) => this.#score(detail));
      this.live.addEventListener("lost", () => (this.lostBlocks += 1));
      this.live.addEventListener("end", ({ detail }) => this.#end(detail));
    }
    const { waiting } = this;
    this.waiting = null;
    for (const block of waiting) this.#take(block);
  }

  #take(block) {
    if (this.isOver) return; // blocks may be on their way when the microphone is closed
    if (this.waiting) {
      this.waiting.push(block);
      return;
    }
    const integers = toInt16(block);
    this.kept.push(integers);
    this.live?.send(integers);
    this.sound.append(block);
    this.level = loudness(block);
    if (this.live) this.#forget();
    this.dispatchEvent(new Event("block"));
    if (!this.live && this.sound.seconds >= this.mostSeconds) this.finish();
  }

  #score({ edges, scores, novelty }) {
    if (!scores.length) return;
    this.timeline.append(edges, scores, novelty);
    this.dispatchEvent(new Event("scores"));
  }

  /** Let go of what is too old, a minute at a time. */
  #forget() {
    const { sound } = this;
    if (sound.seconds - sound.first < MOST_KEPT_SECONDS + 60) return;
    const blocks = Math.floor((60 * sound.rate) / this.kept[0].length);
    const seconds = sound.first + (blocks * this.kept[0].length) / sound.rate;
    this.kept.splice(0, blocks);
    sound.dropBefore(seconds);
    this.timeline.dropBefore(seconds);
  }

  #lose() {
    this.microphone.close();
    this.live?.finish();
    this.#end(new Error("The microphone went away."));
  }

  #end(error) {
    if (this.isOver) return;
    this.isOver = true;
    this.microphone.close();
    this.dispatchEvent(new CustomEvent("end", { detail: error }));
  }
}

/** Return date and time as `2026-03-01 14-05-09`: in every language the same, and allowed in file names everywhere. */
function stamp(date) {
  const local = new Date(date.getTime() - 60_000 * date.getTimezoneOffset());
  return local.toISOString().slice(0, 19).replace("T", " ").replaceAll(":", "-");
}

/** Return how loud a block is, from 0 at -60 dB to 1 at full scale. */
function loudness(block) {
  const power = block.reduce((sum, sample) => sum + sample * sample, 0) / block.length;
  return Math.min(1, Math.max(0, 1 - (10 * Math.log10(power + 1e-12)) / QUIETEST_DB));
}
