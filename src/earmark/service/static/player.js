/** Plays the recording: all of it, from any place on, or a stretch. */

/** Fires `move` while it plays and when it jumps, `state` when it starts or stops. */
export class Player extends EventTarget {
  /** @param {HTMLAudioElement} audio */
  constructor(audio) {
    super();
    this.audio = audio;
    this.stopAt = Infinity;
    this.stretch = null;
    /** The time at which the recording begins: that of live sound whose oldest part is gone is later than 0. */
    this.origin = 0;
    for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, () => this.#told());
    audio.addEventListener("seeked", () => this.dispatchEvent(new Event("move")));
  }

  /** Load a recording. @param {Blob | null} blob null if there is nothing to play */
  load(blob, origin = 0) {
    this.unload();
    this.origin = origin;
    if (!blob) return;
    this.url = URL.createObjectURL(blob);
    this.audio.src = this.url;
  }

  unload() {
    this.pause();
    if (!this.url) return;
    URL.revokeObjectURL(this.url);
    this.url = null;
    this.audio.removeAttribute("src");
    this.audio.load();
  }

  get isLoaded() {
    return Boolean(this.url);
  }

  get isPlaying() {
    return !this.audio.paused && !this.audio.ended;
  }

  get seconds() {
    return this.audio.currentTime + this.origin;
  }

  seek(seconds) {
    this.#leave();
    // The length is not known yet right after loading; the browser keeps the place until it is.
    this.audio.currentTime = Math.max(0, Math.min(seconds - this.origin, this.audio.duration || Infinity));
    this.dispatchEvent(new Event("move"));
  }

  playFrom(seconds) {
    this.seek(seconds);
    this.#play();
  }

  /** Play a stretch and stop at its end. @param {{onset: number, offset: number}} stretch */
  playStretch(stretch) {
    this.seek(stretch.onset);
    this.stretch = stretch;
    this.stopAt = stretch.offset;
    this.#play();
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.#play();
  }

  pause() {
    this.audio.pause();
  }

  #play() {
    if (!this.isLoaded) return;
    this.audio.play().catch(() => {}); // a pause or another recording has overtaken it
  }

  #told() {
    if (!this.isPlaying) this.#leave();
    this.dispatchEvent(new Event("state"));
    this.#follow();
  }

  #leave() {
    this.stopAt = Infinity;
    this.stretch = null;
  }

  #follow() {
    this.dispatchEvent(new Event("move"));
    if (!this.isPlaying) return;
    if (this.seconds >= this.stopAt) this.pause();
    else requestAnimationFrame(() => this.#follow());
  }
}
