/** The page: a file or the microphone, and what is heard in it. */

import { answerOf } from "./classify.js";
import { decode } from "./decode.js";
import { byId } from "./element.js";
import { Engine } from "./engine.js";
import { Microphone } from "./microphone.js";
import { Source } from "./source.js";
import { spoken, Tags } from "./tags.js";
import { clock, Timeline } from "./timeline.js";

const LIVE_SECONDS = 30;
const SPOKEN_EVERY_SECONDS = 2;
const QUIETEST_DB = -60;

class Page {
  constructor() {
    byId("unstarted").remove();
    this.engine = new Engine();
    this.source = new Source();
    /** @type {AbortController | null} ends what is being heard */
    this.ender = null;
    this.source.addEventListener("file", ({ detail }) => this.#hear(detail));
    this.source.addEventListener("listen", () => this.#listen());
    this.source.addEventListener("stop", () => this.ender?.abort());
  }

  async start() {
    const { source } = this;
    try {
      this.card = await this.engine.load(({ bytes, all }) => {
        source.busy(`Loading the model: ${(bytes / 1e6).toFixed(1)} MB`, bytes / all);
      });
      this.tags = new Tags(this.card);
      this.timeline = new Timeline(this.card);
      this.#introduce();
      source.setReady(true);
    } catch (error) {
      source.complain("load", `The model cannot be loaded. ${error.message}`);
    } finally {
      source.done();
    }
  }

  #introduce() {
    const { name, version, labels, description, licence } = this.card;
    byId("name").textContent = name;
    document.title = `${name} · earmark`;
    byId("description").textContent = description;
    byId("footer").textContent = `${name} ${version}: ${labels.length} labels, licence ${licence}. Made with earmark.`;
  }

  /** Say what is heard in a file. What was shown before stays until there is an answer. */
  async #hear(file) {
    await this.#attempt("choose", file.name, async (signal) => {
      this.source.busy(`Decoding ${file.name}`);
      const waveform = await decode(file, this.card.sample_rate);
      if (signal.aborted) return;
      this.source.busy(`Listening to ${file.name}`, 0);
      const progress = ({ done, all }) => this.source.busy(`Listening to ${file.name}`, done / all);
      const answer = await this.engine.classify(waveform, signal, progress);
      this.#uncover(file.name, `${clock(Math.round(10 * answer.seconds) / 10)} of sound, heard by ${this.card.name}`);
      this.tags.show(answer);
      this.timeline.clear();
      this.timeline.append(answer.frames);
      this.timeline.show(0, answer.seconds);
      byId("status").textContent = `${file.name}: ${spoken(answer)}`;
    });
  }

  /** Say what the microphone hears, until it is stopped. */
  async #listen() {
    await this.#attempt("listen", "", async (signal) => {
      const hearing = { seconds: 0, began: false, signal, said: "", saidAt: 0 };
      let lose = () => {};
      const lost = new Promise((_, reject) => {
        lose = () => reject(new Error("The microphone went away. Connect it, then try again."));
      });
      lost.catch(() => {}); // it may go while nobody waits any more
      const microphone = await Microphone.open(this.card.sample_rate, (block) => this.#take(block, hearing), lose);
      try {
        if (signal.aborted) return;
        this.#uncover("Right now", `${this.card.name} listens to the microphone`);
        this.#clearLive();
        this.source.setListening(true);
        await Promise.race([this.engine.listen(signal, (told) => this.#follow(told, hearing)), lost]);
      } finally {
        microphone.close();
        this.source.setListening(false);
        if (hearing.began) this.#uncover("Heard last", `${this.card.name} listened to the microphone`);
      }
    });
  }

  #clearLive() {
    this.timeline.clear();
    this.tags.show({ noneOfThese: false, reason: null, tags: [], closest: [] });
    this.timeline.show(0, LIVE_SECONDS);
    byId("result").classList.add("live");
  }

  #take(block, hearing) {
    if (hearing.signal.aborted) return;
    hearing.seconds += block.length / this.card.sample_rate;
    this.source.setLevel(hearing.seconds, levelOf(block));
    this.engine.push(block);
  }

  #follow({ frames, lost }, hearing) {
    if (lost) {
      this.source.complain("listen", "This device is too slow to follow: some of the sound was left out.");
      this.timeline.clear();
      return;
    }
    hearing.began = true;
    const { timeline } = this;
    timeline.append(frames);
    const now = frames.edges.at(-1);
    timeline.dropBefore(now - LIVE_SECONDS);
    timeline.show(Math.max(0, now - LIVE_SECONDS), Math.max(now, LIVE_SECONDS));
    const newest = timeline.rows.at(-1).scores;
    const answer = answerOf(this.card, newest, frames.novelty?.at(-1) ?? null, 0);
    this.tags.show(answer);
    this.#tell(answer, hearing);
  }

  /** Tell a screen reader what is new, and not too often. */
  #tell(answer, hearing) {
    const sure = answer.tags.filter((tag) => tag.isOn).map((tag) => tag.label);
    const words = answer.noneOfThese ? "None of these" : sure.join(", ");
    if (!words || words === hearing.said || hearing.seconds - hearing.saidAt < SPOKEN_EVERY_SECONDS) return;
    [hearing.said, hearing.saidAt] = [words, hearing.seconds];
    byId("status").textContent = words;
  }

  /** Do one thing, which ends the one before, and say beside its button what is wrong. */
  async #attempt(place, name, action) {
    this.ender?.abort();
    const ender = (this.ender = new AbortController());
    this.source.complain(place, "");
    try {
      await action(ender.signal);
    } catch (error) {
      if (!ender.signal.aborted) this.source.complain(place, name ? `${name}: ${error.message}` : error.message);
    } finally {
      if (this.ender === ender) {
        ender.abort(); // what listens may have ended for another reason
        this.ender = null;
        this.source.done();
      }
    }
  }

  #uncover(title, facts) {
    byId("result").hidden = false;
    byId("result").classList.remove("live");
    document.body.classList.add("open");
    byId("result-title").textContent = title;
    byId("facts").textContent = facts;
  }
}

/** Return how loud a block is, from 0 at -60 dB to 1 at full scale. */
function levelOf(block) {
  const power = block.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, block.length);
  return Math.min(1, Math.max(0, 1 - (10 * Math.log10(power + 1e-12)) / QUIETEST_DB));
}

new Page().start();
