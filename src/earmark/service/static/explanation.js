/** What the page says in words about what it shows. */

const lists = new Intl.ListFormat("en");

/** @typedef {import("./labels.js").Choice} Choice */

/** Return a number of events in words. */
export function counted(events) {
  return `${events.length} event${events.length === 1 ? "" : "s"}`;
}

/** Say which labels the filters leave; nothing without filters. @param {string[]} allow @param {string[]} deny */
export function filterWords(allow, deny) {
  const denied = lists.format(deny);
  if (!allow.length) return deny.length ? `All labels but ${denied} are looked for.` : "";
  const but = deny.length ? `, but not ${denied}` : "";
  return `Only ${lists.format(allow)} ${allow.length === 1 ? "is" : "are"} looked for${but}.`;
}

/**
 * Say why there is no event.
 * @param {import("./timeline.js").Timeline} timeline
 * @param {import("./events.js").EffectiveRule} rule
 * @param {Choice} chosen
 */
export function emptyWords(timeline, rule, chosen) {
  if (isNone(chosen)) return "No label is left to look for.";
  const reaches = [...chosen.columns].some((column) => timeline.peaks[column] >= rule.on[column]);
  if (!reaches) return "No label reaches its threshold. Lower one to see what it would find.";
  return `What reaches its threshold is too short for an event${rule.noveltyThreshold === null ? "" : ", or unknown"}.`;
}

/** Whether the filters leave nothing. @param {Choice} chosen */
export function isNone({ columns, unknown }) {
  return columns.size === 0 && !unknown;
}

/** Say what the scores are worth, and how new the sound is to the model. */
export function worth({ novelty = null }, { model, refuses, noveltyThreshold }) {
  const scores = model.calibrated
    ? `Scores of ${model.name} are calibrated: of labels that score 0.80, about eight in ten are right.`
    : `Scores of ${model.name} are not calibrated: they rank labels, and are no probabilities.`;
  if (novelty === null) return `${scores} It cannot tell that a sound is none of its labels.`;
  const limit = refuses ? `; from ${noveltyThreshold.toFixed(2)} on it is called none of these` : "";
  return `${scores} The novelty is ${novelty.toFixed(2)}${limit}.`;
}
