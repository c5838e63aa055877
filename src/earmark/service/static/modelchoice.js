/** The choice of the model. */

import { byId, element } from "./element.js";
import { spoken } from "./time.js";

/** Fires `change` when a person has chosen another model. */
export class ModelChoice extends EventTarget {
  /** @param {import("./server.js").Server} server */
  constructor(server) {
    super();
    this.server = server;
    this.card = null;
    /** What the server takes: `{upload_bytes, sound_seconds}`. */
    this.limits = { upload_bytes: Infinity, sound_seconds: Infinity };
    this.select = byId("model");
    this.select.addEventListener("change", () => this.#choose(this.select.value));
  }

  /** Ask the server for its models and take its default one. */
  async load() {
    const { default: usual, models, limits } = await this.server.models();
    Object.assign(this.limits, limits);
    byId("limits").textContent = `, up to ${spoken(limits.sound_seconds)} and ${mebibytes(limits.upload_bytes)}`;
    this.select.replaceChildren(
      ...models.map(({ name }) => element("option", { value: name, selected: name === usual }, name)),
    );
    this.select.disabled = false;
    await this.#take(usual);
  }

  complain(text) {
    byId("model-error").textContent = text;
  }

  async #choose(name) {
    try {
      await this.#take(name);
      this.dispatchEvent(new Event("change"));
    } catch (error) {
      this.complain(error.message);
      this.select.value = this.card.name;
    }
  }

  async #take(name) {
    this.card = await this.server.model(name);
    this.complain("");
    const { labels, licence, description } = this.card;
    byId("model-facts").textContent = `${description || `${labels.length} labels.`}`;
    byId("model-facts").title = `${labels.length} labels; licence ${licence}`;
  }
}

/** Return a size in words. */
export function mebibytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 1 : 0)} MiB`;
}
