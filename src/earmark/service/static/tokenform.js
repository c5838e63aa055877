/** Asks for the token, where the server wants one. */

import { byId } from "./element.js";

export class TokenForm {
  /** @param {import("./server.js").Server} server */
  constructor(server) {
    this.server = server;
    this.form = byId("token-form");
    this.input = byId("token");
    this.answered = () => {};
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#take();
    });
  }

  /** Ask, and wait for an answer. @param {string} refusal what the server said to the token that it got, if any */
  ask(refusal) {
    byId("token-error").textContent = this.server.token ? refusal : "";
    this.form.hidden = false;
    this.input.focus();
    this.input.select();
    return new Promise((resolve) => (this.answered = resolve));
  }

  #take() {
    const token = this.input.value.trim();
    if (!token) {
      byId("token-error").textContent = "The field is empty. Type the token.";
      return;
    }
    this.server.token = token;
    this.form.hidden = true;
    this.answered();
  }
}
