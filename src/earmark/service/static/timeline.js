/** Scores of every frame, as the server gives them: of a whole recording at once, or of live sound as it comes. */

/** @typedef {{label: string, id: string}} Label */

export class Timeline {
  /** @param {Label[]} labels the columns of the scores */
  constructor(labels) {
    this.labels = labels;
    /** Frame i stands for `edges[i]` to `edges[i + 1]` seconds. */
    this.edges = [];
    this.novelty = [];
    /** The highest score of each label, and when that is. */
    this.peaks = new Float32Array(labels.length);
    this.peakSeconds = new Float64Array(labels.length);
    this.scores = new Float32Array(64 * labels.length);
  }

  /** Return the timeline of a `/v1/timeline` answer. */
  static of(result) {
    const timeline = new Timeline(result.labels);
    const { frames } = result;
    if (frames.length) {
      const edges = [frames[0].onset, ...frames.map((frame) => frame.offset)];
      timeline.append(
        edges,
        frames.map((frame) => frame.scores),
        frames.map((frame) => frame.novelty),
      );
    }
    return timeline;
  }

  get frames() {
    return Math.max(0, this.edges.length - 1);
  }

  get hasNovelty() {
    return this.novelty.length > 0;
  }

  /**
   * Take the next frames.
   * @param {number[]} edges one more than there are frames
   * @param {number[][]} rows a score for each label
   * @param {(number | undefined)[]} [novelty] of each frame, if the model gives it
   */
  append(edges, rows, novelty = []) {
    const first = this.frames;
    this.edges.push(...(this.edges.length ? edges.slice(1) : edges));
    this.novelty.push(...novelty.filter((value) => value !== undefined).map(Math.fround));
    this.#reserve((first + rows.length) * this.labels.length);
    rows.forEach((row, index) => this.#set(first + index, row));
  }

  /** Forget the frames that end before a time, so that hours of live sound take no more room than minutes. */
  dropBefore(seconds) {
    const keep = this.edges.findIndex((edge) => edge > seconds) - 1;
    if (keep < 1) return;
    this.edges.splice(0, keep);
    this.novelty.splice(0, keep);
    this.scores.copyWithin(0, keep * this.labels.length);
    this.peaks.fill(0);
    for (let frame = 0; frame < this.frames; frame += 1) this.#weigh(frame);
  }

  score(frame, column) {
    return this.scores[frame * this.labels.length + column];
  }

  /** Return the frame that a time lies in, or the nearest. */
  frameAt(seconds) {
    let low = 0;
    let high = Math.max(0, this.frames - 1);
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.edges[middle + 1] > seconds) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Return the columns by falling score in a frame. */
  ranked(frame) {
    return [...this.labels.keys()].sort((a, b) => this.score(frame, b) - this.score(frame, a));
  }

  #set(frame, row) {
    this.scores.set(row, frame * this.labels.length);
    this.#weigh(frame);
  }

  #weigh(frame) {
    const start = frame * this.labels.length;
    for (let column = 0; column < this.labels.length; column += 1) {
      if (this.scores[start + column] <= this.peaks[column]) continue;
      this.peaks[column] = this.scores[start + column];
      this.peakSeconds[column] = this.edges[frame];
    }
  }

  #reserve(size) {
    if (size <= this.scores.length) return;
    const larger = new Float32Array(Math.max(size, 2 * this.scores.length));
    larger.set(this.scores);
    this.scores = larger;
  }
}
