/** The microphone: blocks at the model's rate as they come, unchanged by what browsers do for telephone calls. */

import { Resampler } from "./resample.js";

const UNCHANGED = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

const REASONS = {
  NotAllowedError: "The browser may not use the microphone. Allow it for this page in the address bar, then try again.",
  NotFoundError: "No microphone was found. Connect one, then try again.",
  NotReadableError: "The microphone cannot be opened: another program may be using it. Close that, then try again.",
};

export class Microphone {
  /**
   * Open the microphone.
   * @param {number} rate in hertz
   * @param {(block: Float32Array) => void} onblock
   * @param {() => void} onlost called when the microphone goes away
   * @throws {Error} with a sentence that says what to do
   */
  static async open(rate, onblock, onlost) {
    if (!navigator.mediaDevices) {
      throw new Error(
        "Browsers give the microphone only to pages from this machine or over HTTPS. Open the page by either.",
      );
    }
    const microphone = new Microphone();
    try {
      await microphone.#start(rate, onblock, onlost);
    } catch (error) {
      microphone.close();
      throw new Error(REASONS[error.name] ?? `The microphone cannot be used: ${error.message}`, { cause: error });
    }
    return microphone;
  }

  close() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.node?.disconnect();
    if (this.context && this.context.state !== "closed") this.context.close();
  }

  async #start(rate, onblock, onlost) {
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: UNCHANGED });
    const source = this.#source(rate);
    await this.context.audioWorklet.addModule(new URL("microphone-worklet.js", import.meta.url));
    this.node = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    const own = this.context.sampleRate;
    const resampler = own === rate ? null : new Resampler(own, rate);
    this.node.port.onmessage = ({ data }) => onblock(resampler ? resampler.feed(data) : data);
    this.stream.getAudioTracks()[0].addEventListener("ended", onlost);
    source.connect(this.node);
    await this.context.resume();
  }

  /** Open a context at the model's rate; where the browser cannot bring the microphone into it, one at the device's. */
  #source(rate) {
    try {
      this.context = new AudioContext({ sampleRate: rate });
      return this.context.createMediaStreamSource(this.stream);
    } catch {
      this.context?.close();
      this.context = new AudioContext();
      return this.context.createMediaStreamSource(this.stream);
    }
  }
}
