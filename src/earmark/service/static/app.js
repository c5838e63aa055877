/** The page: brings the parts together. */

import { Analysis } from "./analysis.js";
import { Capture } from "./capture.js";
import { byId } from "./element.js";
import { mebibytes, ModelChoice } from "./modelchoice.js";
import { Player } from "./player.js";
import { Results } from "./results.js";
import { Server } from "./server.js";
import { Sound } from "./sound.js";
import { Source } from "./source.js";
import { Stage } from "./stage.js";
import { spoken } from "./time.js";
import { TokenForm } from "./tokenform.js";
import { Toolbar } from "./toolbar.js";

/** For a recording that nobody can show: what is heard in it can be all the same. */
const NOTHING = { rate: 16000, mono: new Float32Array(0) };

class Page {
  constructor() {
    this.server = new Server();
    this.source = new Source();
    this.player = new Player(byId("audio"));
    this.stage = new Stage(byId("stage"), this.player);
    this.toolbar = new Toolbar(this.stage, this.player);
    this.results = new Results(this.stage, this.player);
    this.tokenForm = new TokenForm(this.server);
    this.models = new ModelChoice(this.server);
    this.models.addEventListener("change", ({ detail }) => this.#takeModel(detail));
    byId("host").textContent = window.location.host;
    const { source } = this;
    source.addEventListener("file", ({ detail }) => this.#open(detail));
    source.addEventListener("example", () => this.#openExample());
    source.addEventListener("record", () => this.#capture("record"));
    source.addEventListener("listen", () => this.#capture("listen"));
    source.addEventListener("finish", () => this.capture?.finish());
    source.addEventListener("stop", () => this.analysis?.stop());
  }

  /** Ask for the models; all else can wait. */
  async start() {
    await this.#attempt(
      () => this.models.load(),
      (text) => this.models.complain(text),
    );
  }

  /** Do what needs the server; where it wants a token, ask for one and do it again. */
  async #attempt(action, complain) {
    try {
      await action();
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!error.wantsToken) {
        complain(error.message);
        return;
      }
      await this.tokenForm.ask(error.message);
      if (!this.models.card) await this.start();
      await this.#attempt(action, complain);
    }
  }

  #takeModel(card) {
    this.results.setModel(card);
    if (this.file && !this.source.capturing) this.#open(this.file);
  }

  async #openExample() {
    await this.#attempt(
      async () => {
        const answer = await fetch("static/example.wav");
        this.#open(new File([await answer.blob()], "example.wav", { type: "audio/wav" }));
      },
      (text) => this.source.complain("choose", text),
    );
  }

  /** Show a recording and what is heard in it. @param {File} file @param {string[]} notes */
  async #open(file, notes = []) {
    this.analysis?.stop();
    this.file = file;
    const analysis = (this.analysis = new Analysis(this.server, file, this.source));
    const isNew = this.shownFile !== file;
    this.source.complain("choose", "");
    // The server is not told the name, and says "upload".
    const complain = (text) => this.source.complain("choose", `${file.name}: ${text.replace(/^Upload\b/, "It")}`);
    await this.#attempt(async () => {
      if (!this.models.card) await this.models.load();
      this.#check(file);
      if (isNew) this.#close();
      const shown = isNew
        ? analysis.show(this.player).then((samples) => this.#showSound(samples, file, analysis))
        : null;
      const answer = await analysis.ask(this.models.card.name);
      const isShown = await shown;
      if (analysis !== this.analysis) return;
      if (isShown === false) this.#showSound(NOTHING, file, analysis);
      this.results.show(file.name, answer, notes);
      this.shownFile = file;
    }, complain);
    if (analysis === this.analysis) this.source.done();
  }

  /** Refuse what the server would refuse, before it is sent. */
  #check(file) {
    const most = this.models.limits.upload_bytes;
    if (file.size <= most) return;
    const sizes = `It has ${mebibytes(file.size)}, and this server takes ${mebibytes(most)}.`;
    throw new Error(`${sizes} Cut it, or compress it as FLAC or Opus.`);
  }

  #close() {
    this.shownFile = null;
    this.player.unload();
    this.results.clear();
    byId("work").hidden = true;
    document.body.classList.remove("open");
  }

  /** Show samples if there are any, and say whether there were. */
  #showSound(samples, file, analysis) {
    if (analysis !== this.analysis || !samples) return false;
    const sound = new Sound(samples.rate);
    this.#uncover(file.name);
    this.stage.open(sound);
    sound.append(samples.mono);
    this.stage.view.open(sound.seconds);
    this.toolbar.refresh();
    return true;
  }

  #uncover(name) {
    byId("work").hidden = false;
    document.body.classList.add("open");
    byId("name").textContent = name;
    document.title = `${name} · earmark`;
  }

  /** Record, or listen live. @param {"record" | "listen"} name */
  async #capture(name) {
    this.analysis?.stop();
    this.player.pause();
    const complain = (text) => this.source.complain(name, text);
    complain("");
    await this.#attempt(async () => {
      const { card, limits } = this.models;
      const capture = await Capture.open(name === "listen" ? this.server : null, card?.name, limits);
      this.#close();
      this.#follow(name, capture);
    }, complain);
  }

  #follow(name, capture) {
    this.capture = capture;
    this.source.setCapturing(name);
    this.#uncover(name === "listen" ? "Listening…" : "Recording…");
    this.stage.open(capture.sound);
    this.toolbar.refresh();
    this.results.follow(capture);
    capture.addEventListener("block", () => {
      this.source.setLevel(capture.sound.seconds, capture.level);
      this.stage.view.follow(capture.sound.first, capture.sound.seconds);
    });
    capture.addEventListener("scores", () => this.results.grow(capture));
    capture.addEventListener("end", ({ detail }) => this.#finish(name, capture, detail));
    capture.begin();
  }

  /** What was heard is a recording now. */
  #finish(name, capture, error) {
    this.capture = null;
    this.source.setCapturing(null);
    if (error) this.source.complain(name, error.message);
    if (!capture.sound.samples) return;
    const notes = [];
    if (capture.forgottenSeconds)
      notes.push(
        `Only the last ${spoken(capture.sound.seconds - capture.forgottenSeconds)} of what was heard are kept.`,
      );
    if (capture.lostBlocks)
      notes.push("The server was too slow at times, and was spared some of the sound while it was live.");
    this.#open(capture.file(), notes);
  }
}

new Page().start();
