/** Samples in blocks as they came, so that live sound grows without being copied and its oldest part can go. */

export class Samples {
  constructor() {
    /** @type {Float32Array[]} */
    this.blocks = [];
    /** The number of the first sample that is still here, and that of the first to come. */
    this.first = 0;
    this.end = 0;
    this.starts = [];
  }

  /** @param {Float32Array} block kept, not copied */
  append(block) {
    this.blocks.push(block);
    this.starts.push(this.end);
    this.end += block.length;
  }

  /** Forget the blocks that end before a sample. */
  dropBefore(sample) {
    while (this.blocks.length > 1 && this.starts[1] <= sample) {
      this.blocks.shift();
      this.starts.shift();
    }
    this.first = this.starts[0] ?? 0;
  }

  /** Fill `out` with the samples from `start` on, and with 0 where there are none. */
  read(start, out) {
    out.fill(0);
    for (let index = this.#blockAt(start); index < this.blocks.length; index += 1) {
      const [block, at] = [this.blocks[index], this.starts[index]];
      if (at >= start + out.length) return;
      const from = Math.max(0, start - at);
      out.set(block.subarray(from, Math.min(block.length, start + out.length - at)), Math.max(0, at - start));
    }
  }

  #blockAt(sample) {
    let [low, high] = [0, this.blocks.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= sample) low = middle;
      else high = middle - 1;
    }
    return Math.max(0, low);
  }
}
