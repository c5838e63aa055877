/** Plays the recording: all of it, from any place on, or a stretch. */

/** Fires `move` while it plays and when it jumps, `state` when it starts or stops. */
export class Player extends EventTarget {
  /** @param {HTMLAudioElement} audio */
  constructor(audio) {
    super();
    this.audio = audio;
    this.stopAt = Infinity;
    this.stretch = null;
    for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, () => this.#told());
    audio.addEventListener("seeked", () => this.dispatchEvent(new Event("move")));
  }

  /**
   * Load a recording.
   * @param {Blob} blob
   * @returns {Promise<number>} its length in seconds, Infinity if the browser does not know
   * @throws {Error} if the browser cannot play it
   */
  load(blob) {
    this.unload();
    const { audio } = this;
    return new Promise((resolve, reject) => {
      audio.onloadedmetadata = () => resolve(audio.duration);
      audio.onerror = () => reject(new Error(audio.error?.message || "this browser cannot play it"));
      this.url = URL.createObjectURL(blob);
      audio.src = this.url;
    });
  }

  unload() {
    this.pause();
    [this.audio.onloadedmetadata, this.audio.onerror] = [null, null];
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
    return this.audio.currentTime;
  }

  seek(seconds) {
    this.#leave();
    this.audio.currentTime = Math.max(0, Math.min(seconds, this.audio.duration || 0));
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
