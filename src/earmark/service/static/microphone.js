/** The microphone: blocks of samples as they come, unchanged by what browsers do for telephone calls. */

const UNCHANGED = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

const REASONS = {
  NotAllowedError: "The browser may not use the microphone. Allow it for this page in the address bar, then try again.",
  NotFoundError: "No microphone was found. Connect one, then try again.",
  NotReadableError: "The microphone cannot be opened: another program may be using it. Close that, then try again.",
};

export class Microphone {
  /**
   * Open the microphone.
   * @param {(block: Float32Array) => void} onblock
   * @param {() => void} onlost called when the microphone goes away
   * @throws {Error} with a sentence that says what to do
   */
  static async open(onblock, onlost) {
    if (!navigator.mediaDevices) {
      throw new Error(
        "Browsers give the microphone only to pages from this machine or over HTTPS. Open the page by either.",
      );
    }
    const microphone = new Microphone();
    try {
      await microphone.#start(onblock, onlost);
    } catch (error) {
      microphone.close();
      throw new Error(REASONS[error.name] ?? `The microphone cannot be used: ${error.message}`, { cause: error });
    }
    return microphone;
  }

  /** Samples per second. */
  get rate() {
    return this.context.sampleRate;
  }

  close() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.node?.disconnect();
    if (this.context?.state !== "closed") this.context?.close();
  }

  async #start(onblock, onlost) {
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: UNCHANGED });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule(new URL("microphone-worklet.js", import.meta.url));
    this.node = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    this.node.port.onmessage = ({ data }) => onblock(data);
    this.stream.getAudioTracks()[0].addEventListener("ended", onlost);
    this.context.createMediaStreamSource(this.stream).connect(this.node);
    await this.context.resume();
  }
}
