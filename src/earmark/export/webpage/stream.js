/** Live sound: blocks in as they come, frames out as soon as they are complete; the same frames as those of a file. */

import { frameEdges } from "./classify.js";

export class Stream {
  /** @param {import("./classify.js").Classifier} classifier */
  constructor(classifier) {
    this.classifier = classifier;
    this.blocks = [];
    this.samples = 0;
    this.first = 0;
  }

  /** Take the next samples. @param {Float32Array} block mono, at the card's rate */
  push(block) {
    this.blocks.push(block);
    this.samples += block.length;
  }

  /** Seconds of sound that wait to be scored. */
  get waitingSeconds() {
    const { frameLength, frameHop, card } = this.classifier;
    return Math.max(0, this.samples - frameLength + frameHop) / card.sample_rate;
  }

  /**
   * Score the frames that are complete, at most a segment of them: whoever is slow scores more of them at once, which
   * takes less time for each.
   * @returns {Promise<import("./classify.js").Frames | null>} null while there is none
   */
  async next() {
    const { frameLength, frameHop, segmentFrames, card } = this.classifier;
    const complete = 1 + Math.floor((this.samples - frameLength) / frameHop);
    if (complete < 1) return null;
    const count = Math.min(complete, segmentFrames);
    const sound = this.#joined();
    this.blocks = [sound.subarray(count * frameHop)];
    this.samples = this.blocks[0].length;
    const edges = frameEdges(card, this.first, count);
    this.first += count;
    const { frames, novelty } = await this.classifier.run(sound.subarray(0, frameLength + (count - 1) * frameHop));
    return { edges, scores: frames, novelty: novelty ?? null };
  }

  #joined() {
    const sound = new Float32Array(this.samples);
    let filled = 0;
    for (const block of this.blocks) {
      sound.set(block, filled);
      filled += block.length;
    }
    return sound;
  }
}
