/** What is heard, as bars: the strongest labels, which of them reach their threshold, or none of these. */

import { onThreshold } from "./classify.js";
import { byId, element } from "./element.js";

const FEW = 5;
/** A lower score shows as 0.00 and says nothing. */
const VISIBLE = 0.005;

const REASONS = {
  silence: "No label has any score.",
  unlike: "It is unlike anything the model has learnt.",
  background: "It is like the sounds that the model has learnt to leave unnamed.",
};

export class Tags {
  /** @param {object} card */
  constructor(card) {
    this.card = card;
    this.list = byId("tags");
    this.refused = byId("refused");
    byId("calibrated").textContent = card.calibrated
      ? "✓ marks a score that reaches its label's threshold, the line in the bar."
      : "This model is not calibrated: its scores rank labels, and are no probabilities.";
  }

  /** @param {import("./classify.js").Answer} answer */
  show({ noneOfThese, reason, tags, closest }) {
    const shown = (noneOfThese ? closest : tags)
      .slice(0, FEW)
      .filter((tag, index) => index === 0 || tag.score >= VISIBLE);
    this.refused.hidden = !noneOfThese;
    const rest = ` ${REASONS[reason] ?? ""}${shown.length ? " The closest are:" : ""}`;
    this.refused.replaceChildren(...(noneOfThese ? [element("strong", "", "None of these."), rest] : []));
    this.list.classList.toggle("closest", noneOfThese);
    this.list.replaceChildren(...shown.map((tag) => this.#row(tag, noneOfThese)));
  }

  #row({ label, id, score, isOn }, isRefused) {
    const bar = element("b", "");
    bar.style.width = `${100 * score}%`;
    const track = element("i", "", bar);
    track.style.setProperty("--threshold", onThreshold(this.card, id));
    track.setAttribute("aria-hidden", "true");
    const isSure = isOn && !isRefused;
    const words = element("span", "score", score.toFixed(2));
    if (isSure) words.append(element("span", "unseen", " above its threshold"));
    return element("li", isSure ? "sure" : "", element("span", "label", label), track, words);
  }
}

/** Return an answer as one says it. @param {import("./classify.js").Answer} answer */
export function spoken({ noneOfThese, reason, tags }) {
  if (noneOfThese) return `None of these. ${REASONS[reason] ?? ""}`;
  const sure = tags.filter((tag) => tag.isOn);
  const [first] = tags;
  if (!sure.length) return `Nothing for sure; the closest is ${first.label}, ${first.score.toFixed(2)}`;
  return sure.map((tag) => `${tag.label} ${tag.score.toFixed(2)}`).join(", ");
}
