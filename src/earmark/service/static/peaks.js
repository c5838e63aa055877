/** How loud a sound is at each moment, fine and coarse: what the waveform is drawn from. */

const BLOCK_SECONDS = 0.001;
const COARSE = 64;

/** Highest and lowest sample and mean power of blocks in a row, of which the oldest may be forgotten. */
class Blocks {
  constructor() {
    this.values = new Float32Array(3 * 4096);
    this.first = 0;
    this.end = 0;
  }

  push(high, low, power) {
    if (3 * (this.end - this.first + 1) > this.values.length) {
      const larger = new Float32Array(2 * this.values.length);
      larger.set(this.values);
      this.values = larger;
    }
    this.values.set([high, low, power], 3 * (this.end - this.first));
    this.end += 1;
  }

  dropBefore(block) {
    if (block <= this.first) return;
    this.values.copyWithin(0, 3 * (block - this.first), 3 * (this.end - this.first));
    this.first = block;
  }

  summary(from, to) {
    let [high, low, power] = [-1, 1, 0];
    for (let index = 3 * (from - this.first); index < 3 * (to - this.first); index += 3) {
      high = Math.max(high, this.values[index]);
      low = Math.min(low, this.values[index + 1]);
      power += this.values[index + 2];
    }
    return [high, low, power / (to - from)];
  }
}

export class Peaks {
  /** @param {number} rate of the samples, in hertz */
  constructor(rate) {
    this.size = Math.max(1, Math.round(BLOCK_SECONDS * rate));
    this.blockSeconds = this.size / rate;
    this.fine = new Blocks();
    this.coarse = new Blocks();
    this.highest = 0;
    this.#begin();
  }

  /** @param {Float32Array} samples the next ones */
  append(samples) {
    for (const sample of samples) {
      if (sample > this.high) this.high = sample;
      if (sample < this.low) this.low = sample;
      this.power += sample * sample;
      this.count += 1;
      if (this.count === this.size) this.#close();
    }
  }

  /** Forget what lies before a time. */
  dropBefore(seconds) {
    const coarse = Math.floor(seconds / this.blockSeconds / COARSE);
    this.coarse.dropBefore(coarse);
    this.fine.dropBefore(coarse * COARSE);
  }

  /** Return highest and lowest sample and root mean square between two times, or null where there is no sound. */
  between(from, to) {
    const span = (blocks, seconds) => {
      const first = Math.max(blocks.first, Math.floor(from / seconds));
      return [first, Math.min(blocks.end, Math.max(first + 1, Math.floor(to / seconds)))];
    };
    const isLong = to - from > 4 * COARSE * this.blockSeconds;
    const blocks = isLong ? this.coarse : this.fine;
    const [first, last] = span(blocks, isLong ? COARSE * this.blockSeconds : this.blockSeconds);
    if (first >= last) return null;
    const [high, low, power] = blocks.summary(first, last);
    return [high, low, Math.sqrt(power)];
  }

  #begin() {
    [this.high, this.low, this.power, this.count] = [-1, 1, 0, 0];
  }

  #close() {
    this.fine.push(this.high, this.low, this.power / this.size);
    this.highest = Math.max(this.highest, this.high, -this.low);
    if (this.fine.end % COARSE === 0) this.coarse.push(...this.fine.summary(this.fine.end - COARSE, this.fine.end));
    this.#begin();
  }
}
