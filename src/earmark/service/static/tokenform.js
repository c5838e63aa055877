/** Asks for the token, where the server wants one. */

import { byId } from "./element.js";

export class TokenForm {
  /** @param {import("./server.js").Server} server */
  constructor(server) {
    this.server = server;
    this.form = byId("token-form");
    this.input = byId("token");
    this.answered = () => {};
    this.isAsked = false;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#take();
    });
  }

  /** Ask, and wait for an answer. @param {string} refusal what the server said to the token that it got, if any */
  ask(refusal) {
    byId("token-error").textContent = this.server.token ? refusal : "";
    if (this.form.hidden) this.before = document.activeElement;
    this.isAsked = true;
    byId("token-status").textContent = "";
    this.form.hidden = false;
    this.input.focus();
    this.input.select();
    return new Promise((resolve) => (this.answered = resolve));
  }

  /** Say that the token is right, if one was asked for. */
  accept() {
    if (this.isAsked) byId("token-status").textContent = "The token is accepted.";
    this.isAsked = false;
  }

  #take() {
    const token = this.input.value.trim();
    if (!token) {
      byId("token-error").textContent = "The field is empty. Type the token.";
      return;
    }
    this.server.token = token;
    // On with what was pressed before, or else with the first thing to do.
    const next = this.before?.closest?.("main button") ?? byId("choose");
    next.focus();
    this.form.hidden = true;
    this.answered();
  }
}
