/** What is heard: scores from the server, the rule and the labels of the page, and all that shows what they come to. */

import { download } from "./download.js";
import { byId, element } from "./element.js";
import { EventList } from "./eventlist.js";
import { findEvents, isSame } from "./events.js";
import { LabelField } from "./labelfield.js";
import { chooseLabels } from "./labels.js";
import { Rule } from "./rule.js";
import { RulePanel } from "./rulepanel.js";
import { Tags, tagsOf, VISIBLE } from "./tags.js";
import { clock, spoken } from "./time.js";
import { Timeline } from "./timeline.js";

const LIVE_TAGS = 5;
const AROUND_SECONDS = 1; // of the strongest moment of a label, to hear it

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
    for (const part of [this.panel, this.allow, this.deny]) part.addEventListener("change", () => this.#updateSoon());
    stage.lanes.addEventListener("threshold", ({ detail }) => this.#setThreshold(detail));
    for (const part of [stage.lanes, this.list]) part.addEventListener("event", ({ detail }) => this.#hear(detail));
    this.tags.addEventListener("tag", ({ detail }) => this.#hearStrongest(detail));
    player.addEventListener("state", () => this.list.mark(player.stretch));
    for (const button of document.querySelectorAll("[data-format]")) {
      button.addEventListener("click", () => download(this.#result(), button.dataset.format));
    }
    this.clear();
  }

  /** Forget the recording. */
  clear() {
    [this.answer, this.timeline, this.events] = [null, null, []];
    this.stage.lanes.clear();
    this.tags.clear();
    this.list.show([]);
    byId("notes").replaceChildren();
    byId("facts").textContent = "";
  }

  /** @param {object} card an answer of `/v1/models/{name}` */
  setModel(card) {
    this.rule = new Rule(card);
    this.panel.open(this.rule);
    for (const field of [this.allow, this.deny]) field.setLabels(card.labels);
    this.stage.lanes.clear();
    this.timeline = null;
  }

  /**
   * Show the answers of the server.
   * @param {string} name of the file
   * @param {{timeline: object, tags: object}} answer
   * @param {string[]} notes of the page itself
   */
  show(name, answer, notes) {
    this.name = name;
    this.answer = answer;
    this.timeline = Timeline.of(answer.timeline);
    this.stage.view.open(answer.timeline.seconds);
    const { seconds, model, model_version: version } = answer.timeline;
    byId("facts").textContent = `${spoken(seconds)}, heard by ${model} ${version}`;
    const all = [...notes, ...answer.timeline.notes];
    byId("notes").replaceChildren(...all.map((note) => element("li", {}, note)));
    byId("tags-title").textContent = "On the whole";
    this.#update();
    const best = this.shownTags.tags.slice(0, 3).map((tag) => `${tag.label} ${tag.score.toFixed(2)}`);
    const told = this.shownTags.noneOfThese ?? (best.length ? `Most of all: ${best.join(", ")}.` : "");
    this.#say(`${name}: ${spoken(seconds)}, ${this.events.length} events. ${told}`);
  }

  /** Show live sound from now on. @param {import("./capture.js").Capture} capture */
  follow(capture) {
    this.timeline = capture.timeline ?? null;
    this.told = new Set();
    byId("calibrated").textContent = "";
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

  #setThreshold({ id, on }) {
    if (this.timeline.labels.some((label) => label.id === id)) this.rule.setLabel(id, on);
    else this.rule.setNovelty(on);
    this.panel.update();
    this.#updateSoon();
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
    this.allow.complain(
      chosen.columns.size || chosen.unknown ? "" : "This leaves no label: take one away from “Not these”.",
    );
    this.events = findEvents(this.timeline, this.rule.effective(labels), chosen).map(rounded);
    this.stage.lanes.show(this.timeline, this.rule, this.events, chosen);
    this.list.show(this.events);
    this.#explain();
    if (!this.answer) return;
    this.shownTags = tagsOf(this.answer.tags, this.rule, chosen);
    this.tags.show(this.shownTags);
    byId("calibrated").textContent = worth(this.answer.tags, this.rule);
  }

  /** Say it in words where there is no event. */
  #explain() {
    const isEmpty = this.events.length === 0 && this.answer !== null;
    byId("no-events").hidden = !isEmpty;
    byId("no-events").textContent = isEmpty
      ? "No label reaches its threshold. Lower one to see what it would find."
      : "";
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
    const { model, model_version, calibrated, seconds, notes } = this.answer.timeline;
    const events = this.events.map(({ label, id, onset, offset, score }) => ({ label, id, onset, offset, score }));
    const { rule, ...novelty } = this.rule.parameters;
    const parameters = { rule, allow: this.allow.entries, deny: this.deny.entries, ...novelty, start: 0, end: null };
    return { file: this.name, model, model_version, calibrated, seconds, events, notes, parameters };
  }

  #say(text) {
    byId("status").textContent = text;
  }
}

/** Say what the scores are worth, and how new the sound is to the model. */
function worth({ novelty = null }, { model, refuses, noveltyThreshold }) {
  const scores = model.calibrated
    ? `Scores of ${model.name} are calibrated: of all that scores 0.80, about eight in ten are right.`
    : `Scores of ${model.name} are not calibrated: they rank labels, and are no probabilities.`;
  if (novelty === null) return `${scores} It cannot tell that a sound is none of its labels.`;
  const limit = refuses ? `; from ${noveltyThreshold.toFixed(2)} on it is called none of these` : "";
  return `${scores} The novelty is ${novelty.toFixed(2)}${limit}.`;
}

function rounded(event) {
  return { ...event, score: Math.round(event.score * 1e6) / 1e6 };
}
