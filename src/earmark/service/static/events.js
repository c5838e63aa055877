/**
 * From scores to events: what `earmark.inference.events` does, here for a whole timeline at once, so that a slider
 * moves the events without a question to the server. A test holds both to the same events.
 */

export const NONE_OF_THESE = Object.freeze({ label: "none of these", id: "none_of_these" });

/** Times come rounded to six places: what is this close to a limit counts as equal to it. */
const TOLERANCE_SECONDS = 3e-6;
/** An event of unknown sound closes below this share of the novelty threshold, and lasts at least a second. */
const UNKNOWN_OFF_SHARE = 0.75;
const UNKNOWN_SHORTEST_SECONDS = 1;

/**
 * @typedef {object} EffectiveRule
 * @property {Float32Array} on, off  thresholds of each column
 * @property {number} smoothingSeconds, minDurationSeconds, mergeGapSeconds
 * @property {number | null} noveltyThreshold  null where no sound is refused
 * @property {number} hopSeconds  what a frame stands for
 *
 * @typedef {{label: string, id: string, column: number, onset: number, offset: number, score: number}} Event
 */

/**
 * Return the events of the chosen labels, by onset.
 * @param {import("./timeline.js").Timeline} timeline
 * @param {EffectiveRule} rule
 * @param {{columns: Set<number>, unknown: boolean}} chosen which labels are asked for, and whether unknown sound is
 * @returns {Event[]}
 */
export function findEvents(timeline, rule, chosen) {
  const refused = refusedFrames(timeline, rule.noveltyThreshold);
  const tellsUnknown = chosen.unknown && refused !== null;
  const events = [];
  timeline.labels.forEach((label, column) => {
    // A median is at most the maximum. Labels that are not chosen count too: what is one of them is not unknown.
    if (timeline.peaks[column] < rule.on[column] || !(tellsUnknown || chosen.columns.has(column))) return;
    const scores = columnScores(timeline, column, refused);
    const thresholds = { on: rule.on[column], off: rule.off[column] };
    for (const span of eventSpans(scores, timeline.edges, thresholds, rule)) events.push({ ...label, column, ...span });
  });
  const unknown = tellsUnknown ? unknownEvents(timeline, rule, events) : [];
  return [...events.filter((event) => chosen.columns.has(event.column)), ...unknown].sort(byOnset);
}

/**
 * Return why a label has no event at a frame in which its score reaches its threshold; nothing where it does not.
 * @param {import("./timeline.js").Timeline} timeline
 * @param {EffectiveRule} rule
 * @param {number} column -1 for unknown sound
 * @param {number} frame
 * @param {Event[]} events that are shown
 */
export function whyNoEvent(timeline, rule, column, frame, events) {
  const isUnknown = isRefused(timeline, rule.noveltyThreshold, frame);
  if (column >= 0 && timeline.score(frame, column) < rule.on[column]) return "";
  if (column >= 0) return isUnknown ? "refused as unknown" : "too short";
  const known = events.find(({ onset, offset }) => onset <= timeline.edges[frame] && timeline.edges[frame] < offset);
  return isUnknown ? (known ? `heard as ${known.label}` : "too short") : "";
}

/** Whether two are the same event, found at different times. */
export function isSame(a, b) {
  return a !== null && b !== null && a.id === b.id && a.onset === b.onset;
}

function byOnset(a, b) {
  return a.onset - b.onset || a.offset - b.offset || (a.id < b.id ? -1 : 1);
}

function refusedFrames(timeline, threshold) {
  if (threshold === null || !timeline.hasNovelty) return null;
  return timeline.novelty.map((_, frame) => isRefused(timeline, threshold, frame));
}

function isRefused(timeline, threshold, frame) {
  if (threshold === null) return false;
  return timeline.novelty[frame] >= Math.fround(threshold); // in the scores' own type, so that 0.7 reaches 0.7
}

function columnScores(timeline, column, refused) {
  const scores = new Float32Array(timeline.frames);
  for (let frame = 0; frame < scores.length; frame += 1) {
    scores[frame] = refused?.[frame] ? 0 : timeline.score(frame, column);
  }
  return scores;
}

/**
 * Return the spans in which one class sounds: hysteresis over the running median; narrow gaps are merged, short spans
 * dropped.
 * @param {ArrayLike<number>} scores one per frame
 * @param {number[]} edges one more
 */
function eventSpans(scores, edges, { on, off }, rule) {
  const half = Math.floor(rule.smoothingSeconds / rule.hopSeconds / 2 + 1e-6);
  const rises = medianReaches(scores, on, half);
  const stays = medianReaches(scores, off, half);
  const spans = [];
  let [active, span, gapScore] = [false, null, 0];
  for (let frame = 0; frame < scores.length; frame += 1) {
    active = rises[frame] === 1 || (active && stays[frame] === 1);
    if (active) {
      span ??= { onset: edges[frame], offset: 0, score: 0 };
      span.score = Math.max(span.score, gapScore, scores[frame]);
      span.offset = edges[frame + 1];
    } else if (span) {
      gapScore = Math.max(gapScore, scores[frame]);
      if (edges[frame + 1] < span.offset + rule.mergeGapSeconds - TOLERANCE_SECONDS) continue;
      spans.push(span);
      [span, gapScore] = [null, 0];
    }
  }
  if (span) spans.push(span);
  return spans.filter(({ onset, offset }) => offset - onset >= rule.minDurationSeconds - TOLERANCE_SECONDS);
}

/** Return where the median over the frames i - half to i + half that exist is at or above the threshold. */
function medianReaches(scores, threshold, half) {
  const { length } = scores;
  const reaches = new Uint8Array(length);
  const counts = new Uint32Array(length + 1);
  for (let frame = 0; frame < length; frame += 1)
    counts[frame + 1] = counts[frame] + (scores[frame] >= threshold ? 1 : 0);
  for (let frame = 0; frame < length; frame += 1) {
    const left = Math.max(0, frame - half);
    const right = Math.min(length, frame + half + 1);
    if (2 * (counts[right] - counts[left]) > right - left) reaches[frame] = 1;
  }
  return reaches;
}

/** Return the events of unknown sound: what lies between the events of classes is a signal of its own. */
function unknownEvents(timeline, rule, classEvents) {
  const known = framesIn(timeline, classEvents);
  const threshold = rule.noveltyThreshold;
  const thresholds = { on: Math.fround(threshold), off: Math.fround(UNKNOWN_OFF_SHARE * threshold) };
  const shortest = Math.max(rule.minDurationSeconds, UNKNOWN_SHORTEST_SECONDS, 2 * rule.hopSeconds);
  const own = { ...rule, minDurationSeconds: shortest };
  const events = [];
  for (let start = 0; start < timeline.frames; start += 1) {
    if (known[start]) continue;
    let stop = start + 1;
    while (stop < timeline.frames && !known[stop]) stop += 1;
    const spans = eventSpans(
      timeline.novelty.slice(start, stop),
      timeline.edges.slice(start, stop + 1),
      thresholds,
      own,
    );
    events.push(...spans.map((span) => ({ ...NONE_OF_THESE, column: -1, ...span })));
    start = stop;
  }
  return events;
}

function framesIn(timeline, events) {
  const inside = new Uint8Array(timeline.frames);
  for (const { onset, offset } of events) {
    let frame = timeline.frameAt(onset);
    for (; frame < timeline.frames && timeline.edges[frame + 1] <= offset; frame += 1) inside[frame] = 1;
  }
  return inside;
}
