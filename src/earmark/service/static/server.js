/** The service behind the page: what is asked of it, and what it says when it refuses. */

const TOKEN_KEY = "earmark-token";

/** What the server refused, in its own words. */
export class Refusal extends Error {
  /** @param {number} status @param {{code?: string, message?: string, hint?: string}} error */
  constructor(status, { code = "", message = `The server answered with status ${status}.`, hint = "" } = {}) {
    super([message, hint].filter(Boolean).map(sentence).join(" "));
    this.status = status;
    this.code = code;
  }

  get wantsToken() {
    return this.status === 401 || this.code.startsWith("token");
  }
}

export class Server {
  /** Kept for as long as the tab is open. */
  get token() {
    return sessionStorage.getItem(TOKEN_KEY) ?? "";
  }

  set token(token) {
    sessionStorage.setItem(TOKEN_KEY, token);
  }

  /** Return all models: `{default, models}`. */
  models() {
    return this.#json("v1/models");
  }

  /** Return the card of a model. */
  model(name) {
    return this.#json(`v1/models/${encodeURIComponent(name)}`);
  }

  /**
   * Send a recording and return the answer.
   * @param {string} task of `/v1`, such as `timeline`
   * @param {Blob} file its name stays here
   * @param {object} [parameters] of the address
   * @param {{sent?: (bytes: number) => void, signal?: AbortSignal}} [watch]
   */
  async ask(task, file, parameters = {}, watch = {}) {
    const answer = await this.#post(`v1/${task}?${new URLSearchParams(parameters)}`, file, watch);
    return JSON.parse(await answer.text());
  }

  /** Return any recording as a WAV file, for what this browser cannot decode. */
  wav(file, watch = {}) {
    return this.#post("v1/wav", file, watch);
  }

  /** Return the address of the stream of live sound. */
  get streamAddress() {
    const address = new URL("v1/stream", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    return address;
  }

  async #json(path) {
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    const answer = await fetch(path, { headers }).catch(() => {
      throw new Refusal(0, SILENT);
    });
    const text = await answer.text();
    if (!answer.ok) throw refusal(answer.status, text);
    return JSON.parse(text);
  }

  /** XMLHttpRequest, because fetch does not tell how much has been sent. @returns {Promise<Blob>} */
  #post(path, file, { sent = () => {}, signal } = {}) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const request = new XMLHttpRequest();
      request.open("POST", path);
      request.responseType = "blob";
      request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
      if (this.token) request.setRequestHeader("Authorization", `Bearer ${this.token}`);
      request.upload.onprogress = ({ loaded }) => sent(loaded);
      request.upload.onload = () => sent(file.size);
      request.onload = async () => {
        if (request.status < 300) resolve(request.response);
        else reject(refusal(request.status, await request.response.text()));
      };
      request.onerror = () => reject(new Refusal(0, SILENT));
      request.onabort = () => reject(new DOMException("stopped", "AbortError"));
      signal?.addEventListener("abort", () => request.abort());
      request.send(file);
    });
  }
}

const SILENT = {
  message: "The server does not answer.",
  hint: "Check that `earmark serve` is still running, then try again.",
};

function refusal(status, text) {
  try {
    return new Refusal(status, JSON.parse(text).error);
  } catch {
    return new Refusal(status);
  }
}

/** Return a message as a sentence: with a capital and a full stop. */
function sentence(text) {
  const capital = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
