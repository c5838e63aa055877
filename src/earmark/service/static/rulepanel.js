/** The sliders of the decision rule. */

import { byId, element } from "./element.js";

const SECONDS = [
  ["min_duration_seconds", "Shortest event", 5],
  ["merge_gap_seconds", "Gaps closed up to", 5],
  ["smoothing_seconds", "Smoothed over", 5],
];

/** Fires `change` when a slider has changed the rule. */
export class RulePanel extends EventTarget {
  constructor() {
    super();
    this.root = byId("rule-sliders");
    this.resetButton = byId("reset");
    this.sliders = [];
    this.resetButton.addEventListener("click", () => {
      this.rule.reset();
      this.#changed();
      this.root.querySelector("input").focus();
    });
  }

  /** Show a rule and change it from now on. @param {import("./rule.js").Rule} rule */
  open(rule) {
    this.rule = rule;
    const score = (value) => value.toFixed(2);
    const on = this.#slider("on", "Threshold of all labels", {
      get: () => rule.decision.on,
      set: (value) => rule.setAll(value),
      say: (value) => (rule.isPerLabel ? "each its own" : score(value)),
    });
    const off = this.#slider("off", "An event ends below", {
      get: () => rule.offShare,
      set: (value) => rule.setOffShare(value),
      say: (value) => `${Math.round(100 * value)} % of it`,
    });
    const usual = [on, ...(rule.model.has_novelty ? [this.#novelty(), this.#refusing()] : [])];
    const finer = [off, ...SECONDS.map(([name, title, max]) => this.#seconds(name, title, max))];
    this.sliders = [...usual, ...finer];
    const details = element("details", { "aria-label": "More settings" }, element("summary", {}, "More"));
    details.open = this.root.querySelector("details")?.open ?? false;
    details.append(...finer.map(({ root }) => root));
    this.root.replaceChildren(...usual.map(({ root }) => root), details);
    this.update();
  }

  /** Show what the rule says now. */
  update() {
    for (const slider of this.sliders) slider.update();
    this.resetButton.hidden = !this.rule.changed;
  }

  #changed() {
    this.update();
    this.dispatchEvent(new Event("change"));
  }

  #seconds(name, title, max) {
    const { rule } = this;
    const say = (value) => `${value.toFixed(2)} s`;
    return this.#slider(name, title, {
      get: () => rule.decision[name],
      set: (value) => rule.setSeconds(name, value),
      say,
      max,
    });
  }

  #novelty() {
    const { rule } = this;
    return this.#slider("novelty", "Unknown from a novelty of", {
      get: () => rule.noveltyThreshold ?? 1,
      set: (value) => rule.setNovelty(value),
      say: (value) => (rule.refuses ? value.toFixed(2) : "off"),
    });
  }

  #refusing() {
    const { rule } = this;
    const box = element("input", { type: "checkbox", id: "refuses" });
    box.addEventListener("change", () => {
      rule.setRefuses(box.checked);
      this.#changed();
    });
    const root = element(
      "p",
      { class: "check" },
      box,
      element("label", { for: "refuses" }, "Call unknown sound “none of these”"),
    );
    return { root, update: () => (box.checked = rule.refuses) };
  }

  #slider(name, title, { get, set, say, max = 1 }) {
    const input = element("input", { type: "range", id: `rule-${name}`, min: 0, max, step: 0.01 });
    const output = element("span", { class: "value", "aria-hidden": "true" });
    input.addEventListener("input", () => {
      set(Number(input.value));
      this.#changed();
    });
    const update = () => {
      input.value = get();
      output.textContent = say(get());
      input.setAttribute("aria-valuetext", say(get()));
    };
    return {
      root: element("p", { class: "slider" }, element("label", { for: input.id }, title), output, input),
      update,
    };
  }
}
