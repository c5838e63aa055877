/** The page: brings the parts together. */

import { Analysis } from "./analysis.js";
import { Capture } from "./capture.js";
import { save } from "./download.js";
import { byId } from "./element.js";
import { mebibytes, ModelChoice } from "./modelchoice.js";
import { Player } from "./player.js";
import { Results } from "./results.js";
import { Refusal, Server } from "./server.js";
import { Sound } from "./sound.js";
import { Source } from "./source.js";
import { Stage } from "./stage.js";
import { spoken } from "./time.js";
import { TokenForm } from "./tokenform.js";
import { Toolbar } from "./toolbar.js";

/** @typedef {import("./analysis.js").Recording} Recording */

class Page {
  constructor() {
    /** @type {Recording | null} what is shown */
    this.recording = null;
    /** Whether the server has heard it: what the microphone heard is shown before that. */
    this.isHeard = false;
    /** @type {Analysis | null} what is on its way */
    this.analysis = null;
    this.server = new Server();
    this.source = new Source();
    this.player = new Player(byId("audio"));
    this.stage = new Stage(byId("stage"), this.player);
    this.toolbar = new Toolbar(this.stage, this.player);
    this.results = new Results(this.stage, this.player);
    this.tokenForm = new TokenForm(this.server);
    this.models = new ModelChoice(this.server);
    this.models.addEventListener("change", () => this.#takeModel());
    byId("host").textContent = window.location.host;
    const { source } = this;
    source.addEventListener("file", ({ detail }) => this.#open({ file: detail, notes: [], isCaptured: false }));
    source.addEventListener("example", () => this.#openExample());
    source.addEventListener("record", () => this.#capture("record"));
    source.addEventListener("listen", () => this.#capture("listen"));
    source.addEventListener("finish", () => this.capture?.finish());
    source.addEventListener("stop", () => this.#stop());
    byId("save").addEventListener("click", () => save(this.recording.file, this.recording.file.name));
  }

  /** Ask for the models; all else can wait. */
  async start() {
    await this.#attempt(
      () => this.#loadModels(),
      (text) => this.models.complain(text),
    );
  }

  /** Do what needs the server; where it wants a token, ask for one and do it again. */
  async #attempt(action, complain) {
    try {
      await action();
      this.tokenForm.accept();
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

  async #loadModels() {
    if (this.models.card) return;
    await this.models.load();
    this.results.setModel(this.models.card);
  }

  /** Hear with another model what is shown or on its way; until there is an answer, the rule stays that of the old. */
  #takeModel() {
    if (this.source.capturing) return;
    const recording = this.analysis?.recording ?? this.recording;
    this.source.complain("choose", "");
    if (recording) this.#open(recording);
    else this.results.setModel(this.models.card);
  }

  #stop() {
    this.analysis?.stop();
    this.source.done();
  }

  async #openExample() {
    this.source.complain("choose", "");
    await this.#attempt(
      async () => {
        const answer = await fetch("static/example.wav");
        const file = new File([await answer.blob()], "example.wav", { type: "audio/wav" });
        this.#open({ file, notes: [], isCaptured: false });
      },
      (text) => this.source.complain("choose", text),
    );
  }

  /**
   * Show a recording and what is heard in it; what was shown before stays until there is an answer.
   * @param {Recording} recording
   * @param {(text: string) => void} [complain]
   */
  async #open(recording, complain) {
    const { file } = recording;
    // The server is not told the name, and says "upload".
    const tell = (text) => this.source.complain("choose", `${file.name}: ${text.replace(/^Upload\b/, "It")}`);
    await this.#attempt(async () => {
      await this.#loadModels();
      this.#check(file);
      await this.#analyse(recording);
    }, complain ?? tell);
  }

  /** Refuse what the server would refuse, before it is sent. */
  #check(file) {
    if (!file.size) throw new Error("The file is empty. Choose another one.");
    const most = this.models.limits.upload_bytes;
    if (file.size <= most) return;
    const sizes = `It has ${mebibytes(file.size)}, and this server takes ${mebibytes(most)}.`;
    throw new Error(`${sizes} Cut it, or compress it as FLAC or Opus.`);
  }

  async #analyse(recording) {
    this.analysis?.stop();
    const { card } = this.models;
    const analysis = (this.analysis = new Analysis(this.server, recording, this.source));
    const isNew = recording !== this.recording || !this.isHeard;
    try {
      const [answer, sound] = await Promise.all([analysis.ask(card.name), isNew ? analysis.prepare() : null]);
      if (analysis.isStopped) return;
      if (sound) this.#showSound(sound);
      this.#uncover(recording.file.name, recording);
      this.isHeard = true;
      this.results.setModel(card);
      this.results.show(recording.file.name, answer, recording.notes);
    } finally {
      if (analysis === this.analysis) {
        this.analysis = null;
        this.source.done();
      }
    }
  }

  #showSound({ samples, playable }) {
    const sound = new Sound(samples.rate);
    this.results.clear();
    this.stage.open(sound);
    sound.append(samples.mono);
    this.stage.view.open(sound.seconds);
    this.player.load(playable);
    this.toolbar.refresh();
  }

  /** Show the part of the page that shows a recording, or live sound that is none yet. */
  #uncover(name, recording = null) {
    this.recording = recording;
    byId("work").hidden = false;
    document.body.classList.add("open");
    byId("name").textContent = name;
    byId("save").hidden = !recording?.isCaptured;
    document.title = `${name} · earmark`;
    const skip = byId("skip");
    skip.href = "#work";
    skip.textContent = "Skip to the result";
  }

  /** Record, or listen live. @param {"record" | "listen"} name */
  async #capture(name) {
    this.#stop();
    this.player.pause();
    const complain = (text) => this.source.complain(name, text);
    complain("");
    await this.#attempt(async () => {
      if (name === "listen") await this.#loadModels();
      const { card, limits } = this.models;
      const capture = await Capture.open(name === "listen" ? this.server : null, card?.name, limits);
      this.player.unload();
      this.results.clear();
      if (card) this.results.setModel(card);
      this.#follow(name, capture);
    }, complain);
  }

  #follow(name, capture) {
    this.#stop(); // what was dropped while the browser asked for the microphone
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

  /** What was heard is a recording now: it is kept as it was seen, and heard anew as a whole if the server can. */
  #finish(name, capture, error) {
    this.capture = null;
    this.source.setCapturing(null);
    const { first, seconds } = capture.sound;
    const recording = { file: capture.file(), notes: notesOf(capture), isCaptured: true };
    this.#uncover(recording.file.name, recording);
    this.isHeard = false;
    if (!capture.sound.samples) {
      this.#uncover("Nothing was heard");
      if (error) this.source.complain(name, error.message);
      return;
    }
    this.player.load(recording.file, first);
    this.stage.view.open(seconds, first);
    this.toolbar.refresh();
    this.results.keep(recording, capture);
    if (error) this.source.complain(name, `${error.message} What was heard until then is kept.`);
    // That the server is gone was said just now.
    this.#open(recording, error instanceof Refusal ? () => {} : undefined);
  }
}

/** Say what a recording of the microphone lacks. */
function notesOf(capture) {
  const notes = [];
  if (capture.forgottenSeconds)
    notes.push(`Only the last ${spoken(capture.sound.seconds - capture.forgottenSeconds)} of what was heard are kept.`);
  if (capture.lostBlocks)
    notes.push("The server was too slow at times, so that some of the sound was not scored while it was live.");
  return notes;
}

new Page().start();
