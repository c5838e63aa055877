/** The table of tags: what is heard in the recording as a whole. */

import { byId, element } from "./element.js";

const FEW = 5;
/** A lower score shows as 0.00 and says nothing. */
export const VISIBLE = 0.01;

/** Fires `tag` with the id of the tag that was pressed. */
export class Tags extends EventTarget {
  constructor() {
    super();
    this.body = byId("tags").tBodies[0];
    this.refused = byId("refused");
    this.allButton = byId("all-tags");
    this.showsAll = false;
    this.allButton.addEventListener("click", () => {
      this.showsAll = !this.showsAll;
      this.#show();
    });
  }

  /**
   * Show tags.
   * @param {{tags: object[], noneOfThese: string | null}} answer tags by falling score; why there are none of these
   */
  show(answer) {
    this.answer = answer;
    this.#show();
  }

  clear() {
    this.showsAll = false;
    this.show({ tags: [], noneOfThese: null });
  }

  #show() {
    const { tags, noneOfThese } = this.answer;
    this.refused.hidden = noneOfThese === null;
    this.refused.replaceChildren(
      ...(noneOfThese === null ? [] : [element("strong", {}, "None of these. "), noneOfThese]),
    );
    const few = tags.slice(0, FEW).filter((tag, index) => index === 0 || tag.score >= VISIBLE);
    this.body.replaceChildren(...(this.showsAll ? tags : few).map((tag) => this.#row(tag, noneOfThese !== null)));
    this.allButton.hidden = tags.length <= few.length;
    this.allButton.textContent = this.showsAll ? "Show fewer" : `Show all ${tags.length}`;
    this.allButton.setAttribute("aria-expanded", String(this.showsAll));
  }

  #row({ label, id, score }, isRefused) {
    const bar = element("i", { "aria-hidden": "true" });
    bar.style.width = `${100 * score}%`;
    const press = () => this.dispatchEvent(new CustomEvent("tag", { detail: id }));
    const name = element(
      "button",
      { type: "button", title: `Hear where ${label} is strongest`, onclick: press },
      label,
    );
    const cells = [
      element("th", { scope: "row" }, name),
      element("td", { class: "bar" }, element("span", {}, bar, score.toFixed(2))),
    ];
    return element("tr", { class: isRefused ? "refused" : "" }, ...cells);
  }
}

/**
 * Return the tags that the rule of the page leaves, out of those of a `/v1/classify` with all labels.
 * @param {object} result of the server
 * @param {import("./rule.js").Rule} rule
 * @param {{columns: Set<number>}} chosen
 */
export function tagsOf(result, rule, chosen) {
  const { model } = rule;
  const ids = new Set([...chosen.columns].map((column) => model.labels[column].id));
  const all = result.tags.length ? result.tags : (result.closest ?? []);
  const chosenTags = all.filter((tag) => ids.has(tag.id));
  const reason = rule.mode === "reject" ? refusal(result, all, rule) : null;
  if (reason !== null)
    return { tags: chosenTags, noneOfThese: `${reason}${chosenTags.length ? " The closest are:" : ""}` };
  const tags = isSelective(model) ? chosenTags.filter((tag) => tag.score >= rule.of(tag.id).on) : chosenTags;
  return { tags, noneOfThese: null };
}

/** Whether the thresholds of the card say which labels are tags: as `Classifier.classify` decides it. */
function isSelective({ calibrated, task, decision }) {
  return calibrated && task === "multi-label" && Object.keys(decision.classes).length > 0;
}

/** Return why a recording is refused, or null. */
function refusal(result, all, rule) {
  const scores = all.map((tag) => tag.score);
  const highest = Math.max(0, ...scores);
  if (highest === 0) return "No label has any score.";
  if (rule.noveltyThreshold !== null && result.novelty >= rule.noveltyThreshold) {
    return "It is unlike anything the model has learnt.";
  }
  const rest = 1 - scores.reduce((sum, score) => sum + score, 0);
  return rule.model.background && rest > highest
    ? "It is like the negatives that the model has learnt to leave unnamed."
    : null;
}
