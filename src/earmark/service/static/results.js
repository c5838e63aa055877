/** What is heard: scores from the server, the rule and the labels of the page, and all that shows what they come to. */

import { download } from "./download.js";
import { byId, element } from "./element.js";
import { EventList } from "./eventlist.js";
import { findEvents, isSame, NONE_OF_THESE } from "./events.js";
import { counted, emptyWords, filterWords, isNone, worth } from "./explanation.js";
import { LabelField } from "./labelfield.js";
import { chooseLabels } from "./labels.js";
import { Rule } from "./rule.js";
import { RulePanel } from "./rulepanel.js";
import { Tags, tagsOf, VISIBLE } from "./tags.js";
import { clock, spoken } from "./time.js";
import { Timeline } from "./timeline.js";

const LIVE_TAGS = 5;
const AROUND_SECONDS = 1; // of the strongest moment of a label, to hear it
const REST_MILLISECONDS = 600; // so long a slider rests before a screen reader is told what it did

export class Results {
  /**
   * @param {import("./stage.js").Stage} stage
   * @param {import("./player.js").Player} player
   */
  constructor(stage, player) {
    this.stage = stage;
    this.player = player;
    this.tags = new Tags();
    this.list = new EventList();
    this.panel = new RulePanel();
    const words = { name: "allow", title: "Only these", help: "type a label, or *bird*" };
    this.allow = new LabelField(byId("allow"), words);
    this.deny = new LabelField(byId("deny"), { name: "deny", title: "Not these", help: "type a label" });
    for (const part of [this.panel, this.allow, this.deny]) part.addEventListener("change", () => this.#change());
    stage.lanes.addEventListener("threshold", ({ detail }) => this.#setThreshold(detail));
    for (const part of [stage.lanes, this.list]) part.addEventListener("event", ({ detail }) => this.#hear(detail));
    this.tags.addEventListener("tag", ({ detail }) => this.#hearStrongest(detail));
    player.addEventListener("state", () => this.list.mark(player.stretch));
    this.downloads = [...document.querySelectorAll("[data-format]")];
    for (const button of this.downloads) {
      button.addEventListener("click", () => download(this.#result(), button.dataset.format));
    }
    this.clear();
  }

  /** Forget the recording. */
  clear() {
    /** What there is of the sound as a whole, and what a result says of its sound and its model. */
    [this.tagsAnswer, this.facts] = [null, null];
    [this.timeline, this.events] = [null, []];
    this.stage.lanes.clear();
    this.tags.clear();
    this.list.show([]);
    this.#describe([]);
    byId("facts").textContent = "";
    byId("calibrated").textContent = "";
    byId("no-events").textContent = "";
    byId("no-events").hidden = true;
  }

  /** Take the rule and the labels of a model, unless they are there. @param {object} card of `/v1/models/{name}` */
  setModel(card) {
    if (this.rule?.model === card) return;
    this.timeline = null;
    this.rule = new Rule(card);
    this.panel.open(this.rule);
    for (const field of [this.allow, this.deny]) field.setLabels(card.labels);
    this.stage.lanes.clear();
  }

  /**
   * Show the answers of the server.
   * @param {string} name of the file
   * @param {{timeline: object, tags: object}} answer
   * @param {string[]} notes of the page itself
   */
  show(name, answer, notes) {
    const { model, model_version, calibrated, seconds } = answer.timeline;
    this.facts = { file: name, model, model_version, calibrated, seconds, notes: answer.timeline.notes };
    this.tagsAnswer = answer.tags;
    this.timeline = Timeline.of(answer.timeline);
    this.stage.view.open(seconds);
    this.#describe(notes);
    byId("tags-title").textContent = "Overall";
    this.#update();
    const best = this.shownTags.tags.slice(0, 3).map((tag) => `${tag.label} ${tag.score.toFixed(2)}`);
    const told = this.shownTags.noneOfThese ?? (best.length ? `Highest scores: ${best.join(", ")}.` : "");
    this.#say(`${name}: ${spoken(seconds)}, ${this.#summary()} ${told}`);
  }

  /** Show live sound from now on. @param {import("./capture.js").Capture} capture */
  follow(capture) {
    this.timeline = capture.timeline ?? null;
    this.told = new Set();
    byId("tags-title").textContent = "Right now";
    this.#say(capture.live ? "Listening." : "Recording.");
  }

  /** Show that there are more scores. */
  grow(capture) {
    this.timeline = capture.timeline;
    this.#update();
    const last = this.timeline.frames - 1;
    const labels = this.timeline.ranked(last).slice(0, LIVE_TAGS);
    const score = (column) => this.timeline.score(last, column);
    const tags = labels.map((column) => ({ ...this.timeline.labels[column], score: score(column) }));
    this.tags.show({ tags: tags.filter((tag) => tag.score >= VISIBLE), noneOfThese: null });
    const begun = this.events.filter((event) => !this.told.has(`${event.id} ${event.onset}`));
    for (const event of begun) this.told.add(`${event.id} ${event.onset}`);
    if (begun.length) this.#say(begun.map((event) => `${event.label} at ${clock(event.onset)}`).join(", "));
  }

  /**
   * Keep what was heard live, now that it is a recording; of sound that was only recorded nothing is known yet.
   * @param {import("./analysis.js").Recording} recording
   * @param {import("./capture.js").Capture} capture
   */
  keep({ file, notes }, { sound, timeline }) {
    const { model } = this.rule ?? {};
    const seconds = Math.round((sound.seconds - sound.first) * 1e6) / 1e6;
    if (timeline?.frames) {
      const { name, version, calibrated } = model;
      this.facts = { file: file.name, model: name, model_version: version, calibrated, seconds, notes: [] };
      byId("tags-title").textContent = "At the end";
    }
    this.#describe(notes, seconds);
    this.#update();
  }

  /** Say what was heard by whom, and what is to be noted of it. */
  #describe(notes, seconds = this.facts?.seconds) {
    const { model, model_version: version } = this.facts ?? {};
    const heard = model ? `, heard by ${model} ${version}` : "";
    byId("facts").textContent = seconds === undefined ? "" : `${spoken(seconds)}${heard}`;
    const all = [...notes, ...(this.facts?.notes ?? [])];
    byId("notes").replaceChildren(...all.map((note) => element("li", {}, note)));
    for (const button of this.downloads) button.disabled = !this.facts;
  }

  #setThreshold({ id, on }) {
    if (this.timeline.labels.some((label) => label.id === id)) this.rule.setLabel(id, on);
    else this.rule.setNovelty(on);
    this.panel.update();
    this.#change(id);
  }

  /** Show what a change of the rule or the labels comes to, and say it once it has come to rest. */
  #change(id = null) {
    this.#updateSoon();
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.timeline && this.#say(this.#summary(id)), REST_MILLISECONDS);
  }

  /** Return in words how many events there are, of one label too if it is given. */
  #summary(id = null) {
    const own = this.events.filter((event) => event.id === id);
    const label = this.timeline.labels.find((other) => other.id === id)?.label ?? NONE_OF_THESE.label;
    const first = id === null ? "" : `${label}: ${counted(own)}. In all `;
    const words = [`${first}${counted(this.events)}.`, byId("no-events").textContent, byId("filter").textContent];
    return words.filter(Boolean).join(" ");
  }

  /** A slider may move several times before the screen is next shown. */
  #updateSoon() {
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      this.#update();
    });
  }

  /** Find the events anew, and show them wherever they are shown. */
  #update() {
    if (!this.timeline) return;
    const { labels } = this.timeline;
    const chosen = chooseLabels(labels, this.allow.entries, this.deny.entries);
    const rule = this.rule.effective(labels);
    this.events = findEvents(this.timeline, rule, chosen).map(rounded);
    this.stage.lanes.show(this.timeline, this.rule, this.events, chosen);
    this.list.show(this.events);
    this.#explain(rule, chosen);
    if (!this.tagsAnswer) return;
    this.shownTags = tagsOf(this.tagsAnswer, this.rule, chosen);
    this.tags.show(this.shownTags);
    byId("calibrated").textContent = worth(this.tagsAnswer, this.rule);
  }

  /** Say which labels are looked for, and why there is no event where there is none. */
  #explain(rule, chosen) {
    const isEmpty = this.events.length === 0 && this.facts !== null;
    byId("filter").textContent = isNone(chosen) ? "" : filterWords(this.allow.entries, this.deny.entries);
    byId("no-events").hidden = !isEmpty;
    byId("no-events").textContent = isEmpty ? emptyWords(this.timeline, rule, chosen) : "";
    const rest = this.allow.entries.length ? " of “Only these”" : "";
    if (isNone(chosen)) this.deny.complain(`This takes away every label${rest}. Remove one here or there.`);
    else if (this.isNone) this.deny.complain("");
    this.isNone = isNone(chosen);
  }

  #hear(event) {
    if (this.player.isPlaying && isSame(this.player.stretch, event)) this.player.pause();
    else this.player.playStretch(event);
  }

  #hearStrongest(id) {
    const own = this.events.filter((event) => event.id === id).sort((a, b) => b.score - a.score);
    const column = this.timeline.labels.findIndex((label) => label.id === id);
    const at = this.timeline.peakSeconds[column];
    const stretch = own[0] ?? { id, onset: Math.max(0, at - AROUND_SECONDS / 2), offset: at + AROUND_SECONDS };
    this.stage.view.reveal(stretch.onset, stretch.offset);
    this.player.playStretch(stretch);
  }

  /** Return what is shown, as `/v1/events` would answer. */
  #result() {
    const { file, model, model_version, calibrated, seconds, notes } = this.facts;
    const from = (time) => Math.max(0, Math.round((time - this.player.origin) * 1e6) / 1e6);
    const events = this.events.map(({ label, id, onset, offset, score }) => ({
      ...{ label, id, onset: from(onset), offset: from(offset), score },
    }));
    const { rule, ...novelty } = this.rule.parameters;
    const parameters = { rule, allow: this.allow.entries, deny: this.deny.entries, ...novelty, start: 0, end: null };
    return { file, model, model_version, calibrated, seconds, events, notes, parameters };
  }

  #say(text) {
    clearTimeout(this.rest);
    byId("status").textContent = text;
  }
}

function rounded(event) {
  return { ...event, score: Math.round(event.score * 1e6) / 1e6 };
}
