/** From one rate to another, block after block: for browsers whose microphone has only the rate of the device. */

const ZERO_CROSSINGS = 24;
const PASSBAND = 0.95;

export class Resampler {
  /** @param {number} from @param {number} to in hertz */
  constructor(from, to) {
    this.step = from / to;
    this.cutoff = PASSBAND * Math.min(1, to / from); // as a share of the highest frequency that came in
    this.half = Math.ceil(ZERO_CROSSINGS / this.cutoff);
    this.kept = new Float32Array(this.half);
    /** Where the next sample is, in samples of `kept`. */
    this.position = this.half;
  }

  /** Return the samples that a block makes certain. @param {Float32Array} block @returns {Float32Array} */
  feed(block) {
    const sound = new Float32Array(this.kept.length + block.length);
    sound.set(this.kept);
    sound.set(block, this.kept.length);
    const out = [];
    for (; this.position + this.half < sound.length; this.position += this.step) out.push(this.#at(sound));
    const done = Math.max(0, Math.floor(this.position) - this.half);
    this.kept = sound.slice(done);
    this.position -= done;
    return Float32Array.from(out);
  }

  /** A sinc below the lower of both rates, within a Hann window. */
  #at(sound) {
    let sum = 0;
    for (let index = Math.ceil(this.position - this.half); index <= this.position + this.half; index += 1) {
      const away = index - this.position;
      const phase = Math.PI * this.cutoff * away;
      const sinc = phase ? Math.sin(phase) / phase : 1;
      sum += sound[index] * this.cutoff * sinc * (0.5 + 0.5 * Math.cos((Math.PI * away) / this.half));
    }
    return sum;
  }
}
