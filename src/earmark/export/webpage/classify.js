/**
 * Sound in, labels out: a model in a browser. This file, model.onnx, card.json and runtime/ are all that it takes.
 *
 *     const classifier = await Classifier.load();
 *     const { tags } = await classifier.classify(waveform);
 */

import * as ort from "./runtime/ort.wasm.bundle.min.js";

const WASM = "runtime/ort-wasm-simd-threaded.wasm";

/**
 * @typedef {{label: string, id: string, score: number, isOn: boolean}} Tag `isOn`: at or above its label's threshold
 *
 * @typedef {object} Answer what sound comes to
 * @property {boolean} noneOfThese whether it is refused as none of the model's labels
 * @property {"silence" | "unlike" | "background" | null} reason why
 * @property {Tag[]} tags by falling score; none where it is refused
 * @property {Tag[]} closest what the tags would have been; none where there are tags, and for silence
 * @property {number | null} novelty how unlike its training data, 0 to 1; null of a model that cannot tell
 *
 * @typedef {object} Frames scores in time, which lie end to end
 * @property {number[]} edges frame i stands for `edges[i]` to `edges[i + 1]` seconds
 * @property {Float32Array} scores frame after frame, a score for each label
 * @property {Float32Array | null} novelty of each frame
 */

export class Classifier {
  /**
   * Load the model of a folder.
   * @param {URL | string} [folder]
   * @param {(bytes: number, all: number) => void} [onbytes] called as they come
   */
  static async load(folder = new URL(".", import.meta.url), onbytes = () => {}) {
    const counts = new Map();
    const fetched = async (name) => {
      const count = (bytes, all) => {
        counts.set(name, [bytes, all]);
        onbytes(...[0, 1].map((index) => [...counts.values()].reduce((sum, pair) => sum + pair[index], 0)));
      };
      return read(new URL(name, folder), count);
    };
    const [card, model, wasm] = await Promise.all(["card.json", "model.onnx", WASM].map(fetched));
    return Classifier.of(JSON.parse(new TextDecoder().decode(card)), model, wasm);
  }

  /** Open a model. @param {object} card @param {Uint8Array} model @param {Uint8Array} wasm of the runtime */
  static async of(card, model, wasm) {
    ort.env.wasm.numThreads = 1; // more need headers that most servers do not send
    ort.env.wasm.wasmBinary = wasm;
    return new Classifier(card, await ort.InferenceSession.create(model, { executionProviders: ["wasm"] }));
  }

  constructor(card, session) {
    this.card = card;
    this.session = session;
    this.frameLength = Math.round(card.frame_length_seconds * card.sample_rate);
    this.frameHop = Math.round(card.frame_hop_seconds * card.sample_rate);
    const beyond = Math.round(card.segment_seconds * card.sample_rate) - this.frameLength;
    this.segmentFrames = 1 + Math.floor(Math.max(0, beyond) / this.frameHop);
    this.outputs = ["clip", "frames", "novelty"].filter((name) => session.outputNames.includes(name));
  }

  /**
   * Say what is heard in a recording as a whole, and in its frames. Long ones are scored segment by segment; between
   * two of them whatever else there is to do has its turn.
   * @param {Float32Array} waveform mono, at `card.sample_rate` hertz, in [-1, 1]
   * @param {{topK?: number, signal?: AbortSignal, onsegment?: (done: number, all: number) => void}} [options]
   *   at most so many tags, 0 for all; what stops it; called with the number of segments
   * @returns {Promise<Answer & {seconds: number, frames: Frames}>}
   */
  async classify(waveform, { topK = 5, signal, onsegment = () => {} } = {}) {
    check(waveform);
    const segments = [...this.segments(waveform.length)];
    const tally = new Tally(this.card, waveform.length);
    for (const [index, segment] of segments.entries()) {
      if (index) await turn();
      signal?.throwIfAborted();
      tally.push(await this.run(waveform.subarray(segment.start, segment.end)));
      onsegment(index + 1, segments.length);
    }
    return tally.answer(topK);
  }

  /**
   * Run the model once, on sound that is no longer than memory allows.
   * @param {Float32Array} waveform
   * @param {string[]} [names] of outputs
   * @returns {Promise<Object<string, Float32Array>>} the outputs, flat
   */
  async run(waveform, names = this.outputs) {
    const given = { waveform: new ort.Tensor("float32", waveform, [1, waveform.length]) };
    const outputs = await this.session.run(given, names);
    return Object.fromEntries(names.map((name) => [name, outputs[name].data]));
  }

  /** Cut so many samples into segments whose frames, end to end, are those of the whole. */
  *segments(samples) {
    const { frameLength, frameHop, segmentFrames } = this;
    const step = segmentFrames * frameHop;
    let start = 0;
    for (; samples - start >= frameLength + step - frameHop; start += step) {
      yield { start, end: start + frameLength + step - frameHop };
    }
    const covered = start ? frameLength - frameHop : 0; // what earlier frames have seen
    if (samples - start > covered) yield { start, end: samples };
  }
}

/** Adds up segments to one answer. */
class Tally {
  constructor(card, samples) {
    this.card = card;
    this.seconds = samples / card.sample_rate;
    this.parts = [];
    this.scores = new Float64Array(card.labels.length);
    this.novelty = 0;
    this.heard = 0;
  }

  /** Take a segment. It counts by the frames in which something is heard: silence says nothing of the rest. */
  push({ clip, frames, novelty }) {
    const classes = clip.length;
    this.parts.push({ frames, novelty });
    for (let frame = 0; frame * classes < frames.length; frame += 1) {
      if (!frames.subarray(frame * classes, (frame + 1) * classes).some((score) => score !== 0)) continue;
      this.heard += 1;
      this.novelty += novelty?.[frame] ?? 0;
      clip.forEach((score, index) => (this.scores[index] += score));
    }
  }

  answer(topK) {
    const weight = Math.max(1, this.heard);
    const hasNovelty = Boolean(this.parts[0].novelty);
    const said = answerOf(
      this.card,
      this.scores.map((score) => score / weight),
      hasNovelty ? this.novelty / weight : null,
      topK,
    );
    const scores = joined(this.parts.map((part) => part.frames));
    const novelty = hasNovelty ? joined(this.parts.map((part) => part.novelty)) : null;
    const count = scores.length / this.scores.length;
    const edges = frameEdges(this.card, 0, count).map((edge) => Math.min(edge, this.seconds));
    edges[edges.length - 1] = this.seconds;
    return { ...said, seconds: this.seconds, frames: { edges, scores, novelty } };
  }
}

/**
 * Say what the scores of a recording, or of a frame, come to.
 * @param {object} card
 * @param {Float32Array | Float64Array} scores one for each label
 * @param {number | null} novelty
 * @param {number} [topK] at most so many tags, 0 for all
 * @returns {Answer}
 */
export function answerOf(card, scores, novelty, topK = 5) {
  const reason = refusal(card, scores, novelty);
  const order = [...scores.keys()].sort((one, other) => scores[other] - scores[one]);
  const tags = order.slice(0, topK || order.length).map((index) => {
    const { id, name } = card.labels[index];
    return { label: name, id, score: scores[index], isOn: scores[index] >= Math.fround(onThreshold(card, id)) };
  });
  const isRefused = reason !== null;
  return {
    noneOfThese: isRefused,
    reason,
    tags: isRefused ? [] : tags,
    closest: isRefused && reason !== "silence" ? tags : [],
    novelty,
  };
}

/** Return the score from which on a label counts as heard. */
export function onThreshold({ decision }, id) {
  return (decision.classes?.[id] ?? decision).on;
}

/**
 * Return where frames begin and end, in seconds: a frame stands for one hop around the middle of what it depends on,
 * the very first also for what lies before.
 */
export function frameEdges(card, first, count) {
  const margin = (card.frame_length_seconds - card.frame_hop_seconds) / 2;
  const edges = Array.from({ length: count + 1 }, (_, index) => margin + card.frame_hop_seconds * (first + index));
  if (first === 0) edges[0] = 0;
  return edges;
}

function refusal(card, scores, novelty) {
  if (!scores.some((score) => score !== 0)) return "silence";
  const threshold = card.novelty_threshold ?? null;
  if (threshold !== null && novelty !== null && Math.fround(novelty) >= Math.fround(threshold)) return "unlike";
  const rest = 1 - scores.reduce((sum, score) => sum + score, 0);
  return card.background && rest > Math.max(...scores) ? "background" : null;
}

function check(waveform) {
  if (!(waveform instanceof Float32Array)) {
    throw new TypeError("The waveform is no Float32Array: give one channel as such.");
  }
  if (!waveform.length) throw new RangeError("The waveform has no samples: there is nothing to hear.");
  if (!waveform.every(Number.isFinite)) {
    throw new RangeError("The waveform holds NaN or infinite samples: look at where it comes from.");
  }
}

function joined(parts) {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let filled = 0;
  for (const part of parts) {
    whole.set(part, filled);
    filled += part.length;
  }
  return whole;
}

/** Let whatever waits have its turn. */
function turn() {
  return new Promise((resolve) => setTimeout(resolve));
}

async function read(url, onbytes) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.pathname} cannot be fetched: the server answers ${response.status}.`);
  const all = Number(response.headers.get("Content-Length")) || 0;
  const [parts, reader] = [[], response.body.getReader()];
  let bytes = 0;
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    parts.push(value);
    bytes += value.length;
    onbytes(bytes, Math.max(all, bytes)); // what is said of a compressed file is its compressed size
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
