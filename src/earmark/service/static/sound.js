/** The sound that is shown: a recording that was decoded, or what a microphone has heard so far. */

import { Peaks } from "./peaks.js";

/** Decoded sound has this rate: it is for the eye, and what is played is the file itself. */
const SHOWN_RATE = 16000;

/** Fires `grow` when there is more of it. */
export class Sound extends EventTarget {
  /** @param {number} rate of its samples, in hertz */
  constructor(rate) {
    super();
    this.rate = rate;
    this.peaks = new Peaks(rate);
    this.samples = 0;
    /** Where what is still kept begins. */
    this.first = 0;
  }

  get seconds() {
    return this.samples / this.rate;
  }

  /** @param {Float32Array} block the next samples, in [-1, 1] */
  append(block) {
    this.peaks.append(block);
    this.samples += block.length;
    this.dispatchEvent(new CustomEvent("grow", { detail: block }));
  }

  /** Forget what lies before a time. */
  dropBefore(seconds) {
    this.first = seconds;
    this.peaks.dropBefore(seconds);
    this.dispatchEvent(new CustomEvent("drop", { detail: Math.floor(seconds * this.rate) }));
  }
}

/**
 * Return the length of a recording in seconds, Infinity if the browser does not know.
 * @param {Blob} file
 * @throws {Error} if the browser cannot play it
 */
export async function lengthOf(file) {
  const audio = new Audio();
  const url = URL.createObjectURL(file);
  try {
    return await new Promise((resolve, reject) => {
      audio.onloadedmetadata = () => resolve(audio.duration);
      audio.onerror = () => reject(new Error(audio.error?.message || "this browser cannot play it"));
      audio.src = url;
    });
  } finally {
    audio.removeAttribute("src");
    URL.revokeObjectURL(url);
  }
}

/**
 * Return the samples of a file that this browser can decode: one channel, at a rate for the eye.
 * @param {Blob} file
 * @throws {DOMException} if the browser cannot decode it
 */
export async function decode(file) {
  const context = new OfflineAudioContext(1, 1, SHOWN_RATE);
  const buffer = await context.decodeAudioData(await file.arrayBuffer());
  const mono = buffer.getChannelData(0);
  for (let channel = 1; channel < buffer.numberOfChannels; channel += 1) {
    const other = buffer.getChannelData(channel);
    for (let index = 0; index < mono.length; index += 1) mono[index] += other[index];
  }
  if (buffer.numberOfChannels > 1) {
    for (let index = 0; index < mono.length; index += 1) mono[index] /= buffer.numberOfChannels;
  }
  return { rate: SHOWN_RATE, mono };
}
