/** The decision rule as it is set on the page: the card's, with what a person has changed. */

/** Where a novelty threshold begins that the card does not have. */
const MIDDLE = 0.5;

export class Rule {
  /** @param {object} model an answer of `/v1/models/{name}` */
  constructor(model) {
    this.model = model;
    this.reset();
  }

  /** Go back to what the model's card says. */
  reset() {
    this.decision = structuredClone(this.model.decision);
    this.noveltyThreshold = this.model.novelty_threshold ?? null;
    this.mode = "reject";
    this.changed = false;
  }

  /** Whether unknown sound is called none of these. */
  get refuses() {
    return this.mode === "reject" && this.noveltyThreshold !== null;
  }

  /** Whether labels have thresholds of their own. */
  get isPerLabel() {
    return Object.keys(this.decision.classes).length > 0;
  }

  /** Return the thresholds of a label: its own, else those of all. */
  of(id) {
    return this.decision.classes[id] ?? { on: this.decision.on, off: this.decision.off };
  }

  /** Let every label open at one score, and close at the share of it that the card has. */
  setAll(on) {
    this.#change({ on, off: on * share(this.model.decision), classes: {} });
  }

  /** Let one label open at a score, and close at the share of it that it has now. */
  setLabel(id, score) {
    const { decision } = this.model;
    const on = near(score, (decision.classes[id] ?? decision).on);
    const classes = { ...this.decision.classes, [id]: { on, off: rounded(on * share(this.of(id))) } };
    this.#change({ classes });
  }

  /** Let every label close at a share of the score at which it opens. */
  setOffShare(part) {
    const scaled = ({ on }) => ({ on, off: rounded(on * part) });
    const classes = Object.fromEntries(Object.entries(this.decision.classes).map(([id, own]) => [id, scaled(own)]));
    this.#change({ ...scaled(this.decision), classes });
  }

  get offShare() {
    return share(this.decision);
  }

  /** Change one of `smoothing_seconds`, `min_duration_seconds`, `merge_gap_seconds`. */
  setSeconds(name, seconds) {
    this.#change({ [name]: near(seconds, this.model.decision[name]) });
  }

  /** Refuse sound from this novelty on. */
  setNovelty(threshold) {
    this.noveltyThreshold = near(threshold, this.model.novelty_threshold ?? threshold);
    this.setRefuses(true);
  }

  setRefuses(refuses) {
    this.mode = refuses ? "reject" : "ignore";
    this.noveltyThreshold ??= MIDDLE;
    this.changed = true;
  }

  /** Return the rule for the columns of a timeline. @returns {import("./events.js").EffectiveRule} */
  effective(labels) {
    const own = labels.map((label) => this.of(label.id));
    return {
      on: Float32Array.from(own, ({ on }) => on),
      off: Float32Array.from(own, ({ off }) => off),
      smoothingSeconds: this.decision.smoothing_seconds,
      minDurationSeconds: this.decision.min_duration_seconds,
      mergeGapSeconds: this.decision.merge_gap_seconds,
      noveltyThreshold: this.refuses ? this.noveltyThreshold : null,
      hopSeconds: this.model.frame_hop_seconds,
    };
  }

  /** Return the rule as results have it under `parameters`. */
  get parameters() {
    const novelty = { novelty: this.mode, novelty_threshold: this.refuses ? this.noveltyThreshold : null };
    return { rule: this.decision, ...(this.model.has_novelty ? novelty : {}) };
  }

  #change(changes) {
    const next = { ...this.decision, ...changes };
    this.decision = { ...next, off: rounded(Math.min(next.on, next.off)) };
    this.changed = true;
  }
}

/** Return the card's own value where a slider, which moves in hundredths, comes as near to it as it can. */
function near(value, card) {
  return Math.abs(value - card) < 0.005 ? card : value;
}

function share({ on, off }) {
  return on > 0 ? off / on : 1;
}

function rounded(score) {
  return Math.round(score * 1e6) / 1e6;
}
