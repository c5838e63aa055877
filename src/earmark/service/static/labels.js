/** Which labels are meant: names, ids and wildcards, as `earmark.inference.labels` understands them. */

import { NONE_OF_THESE } from "./events.js";

/** @typedef {import("./timeline.js").Label} Label */

/** @typedef {{columns: Set<number>, unknown: boolean}} Choice  which labels, and whether unknown sound */

const ALIKE = 0.55; // two letters of five that changed places

/**
 * Return the chosen columns, and whether unknown sound is chosen.
 * @param {Label[]} labels
 * @param {string[]} allow entries; none for all
 * @param {string[]} deny entries
 * @returns {Choice}
 */
export function chooseLabels(labels, allow, deny) {
  const all = [...labels, NONE_OF_THESE];
  const meant = (entries) => new Set(entries.flatMap((entry) => matching(entry, all)));
  const allowed = allow.length ? meant(allow) : new Set(all.keys());
  const denied = meant(deny);
  const kept = [...allowed].filter((index) => !denied.has(index));
  return { columns: new Set(kept.filter((index) => index < labels.length)), unknown: kept.includes(labels.length) };
}

/** Return the indices of the labels that an entry means: an id, a name in any case, or a wildcard over names. */
export function matching(entry, labels) {
  const wanted = plain(entry);
  const exact = indices(labels, (label) => label.id === entry.trim() || plain(label.label) === wanted);
  if (exact.length) return exact;
  const pattern = wildcard(wanted);
  return indices(labels, (label) => pattern.test(plain(label.label)));
}

/** Return up to `most` names that have the text inside: those that begin with it first, then the shorter ones. */
export function completions(text, labels, most) {
  const wanted = plain(text);
  const names = labels.map((label) => label.label).filter((name) => plain(name).includes(wanted));
  const rank = (name) => (plain(name).startsWith(wanted) ? 0 : 1000) + name.length;
  return [...new Set(names)].sort((a, b) => rank(a) - rank(b)).slice(0, most);
}

/** Return the names of which one part is spelt much like the text, nearest first. */
export function nearest(text, labels, most) {
  const wanted = plain(text);
  const likeness = (name) => Math.max(...[plain(name), ...plain(name).split(", ")].map((part) => alike(wanted, part)));
  const names = [...new Set(labels.map(({ label }) => label))].filter((name) => likeness(name) >= ALIKE);
  return names.sort((a, b) => likeness(b) - likeness(a)).slice(0, most);
}

function indices(labels, isMeant) {
  return [...labels.keys()].filter((index) => isMeant(labels[index]));
}

/** Return a name as it is compared: in one case, with single spaces, and a space after each comma. */
function plain(name) {
  return name
    .toLowerCase()
    .replace(/\s*,\s*/g, ", ")
    .split(/\s+/)
    .filter(Boolean)
    .join(" ");
}

/** Return what matches as Python's `fnmatch` does: `*`, `?`, `[abc]`, `[!abc]`. */
function wildcard(text) {
  const part = (piece) => {
    if (piece === "*") return ".*";
    if (piece === "?") return ".";
    if (piece.length > 2) return `[${piece.slice(1, -1).replace(/\\/g, "\\\\").replace(/^!/, "^")}]`;
    return piece.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  };
  const pieces = text.match(/\[!?\]?[^\]]*\]|[^]/gu) ?? [];
  try {
    return new RegExp(`^${pieces.map(part).join("")}$`, "su");
  } catch {
    return /^(?!)/; // a range such as [z-a] matches nothing
  }
}

/** Return the share of letters that two texts have in common, by how many must be changed to make one the other. */
function alike(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let index = 1; index <= a.length; index += 1) {
    const above = row;
    row = [index];
    for (let at = 1; at <= b.length; at += 1) {
      row.push(Math.min(above[at] + 1, row[at - 1] + 1, above[at - 1] + (a[index - 1] === b[at - 1] ? 0 : 1)));
    }
  }
  return 1 - row[b.length] / Math.max(a.length, b.length, 1);
}
