/** A field for labels: type, take what is offered or Enter, and each entry stands there until it is taken away. */

import { element } from "./element.js";
import { completions, matching, nearest } from "./labels.js";

const MOST_OFFERED = 8;

/** Fires `change` when the entries are others. */
export class LabelField extends EventTarget {
  /**
   * @param {HTMLElement} root
   * @param {{name: string, title: string, help: string}} words
   */
  constructor(root, { name, title, help }) {
    super();
    this.entries = [];
    this.labels = [];
    this.input = element("input", {
      id: `${name}-input`,
      type: "text",
      role: "combobox",
      autocomplete: "off",
      spellcheck: false,
      placeholder: help,
      "aria-expanded": "false",
      "aria-autocomplete": "list",
      "aria-controls": `${name}-list`,
      "aria-describedby": `${name}-error`,
    });
    this.list = element("ul", {
      id: `${name}-list`,
      role: "listbox",
      class: "offers",
      hidden: true,
      "aria-label": title,
    });
    this.error = element("p", { id: `${name}-error`, class: "error", role: "alert" });
    this.chips = element("ul", { class: "chips", "aria-label": title });
    const label = element("label", { for: this.input.id }, title);
    root.classList.add("labelfield");
    root.append(label, this.chips, element("div", { class: "combobox" }, this.input, this.list), this.error);
    this.input.addEventListener("input", () => this.#offer());
    this.input.addEventListener("keydown", (key) => this.#key(key));
    this.input.addEventListener("blur", () => this.#close());
  }

  /** Take the labels of a model; entries that it does not have are left out. */
  setLabels(labels) {
    this.labels = labels;
    const kept = this.entries.filter((entry) => matching(entry, labels).length);
    if (kept.length < this.entries.length) this.#set(kept);
    this.error.textContent = "";
  }

  /** Say what is wrong with the entries as a whole. */
  complain(text) {
    if (this.error.textContent !== text) this.error.textContent = text; // what is told again is read out again
  }

  #offer() {
    this.error.textContent = "";
    const text = this.input.value;
    const names = text.trim() ? completions(text, this.labels, MOST_OFFERED) : [];
    this.list.replaceChildren(...names.map((name, index) => this.#option(name, index)));
    this.list.hidden = names.length === 0;
    this.input.setAttribute("aria-expanded", String(names.length > 0));
    this.#choose(-1);
  }

  #option(name, index) {
    const option = element("li", { role: "option", id: `${this.list.id}-${index}`, "aria-selected": "false" }, name);
    option.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // the field keeps the focus
      this.#add(name);
    });
    return option;
  }

  #choose(index) {
    this.chosen = index;
    [...this.list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    const option = this.list.children[index];
    option?.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", option?.id ?? "");
  }

  #key(key) {
    const count = this.list.hidden ? 0 : this.list.children.length;
    const acts = {
      ArrowDown: () => count && this.#choose((this.chosen + 1) % count),
      ArrowUp: () => count && this.#choose((this.chosen + count - (this.chosen < 0 ? 0 : 1)) % count),
      Enter: () => this.#enter(),
      Escape: () => this.#close(),
      Backspace: () => this.input.value === "" && this.entries.length && this.#set(this.entries.slice(0, -1)),
    };
    if (!acts[key.key]) return;
    if (key.key !== "Backspace") key.preventDefault();
    acts[key.key]();
  }

  #enter() {
    const entry = this.list.children[this.chosen]?.textContent ?? this.input.value.trim();
    if (!entry) return;
    if (matching(entry, this.labels).length) {
      this.#add(entry);
      return;
    }
    // Of one name that has the text inside there is no doubt; else say what comes close.
    const names = completions(entry, this.labels, 3);
    if (names.length === 1) this.#add(names[0]);
    else this.#refuse(entry, names.length ? names : nearest(entry, this.labels, 3));
  }

  #refuse(entry, names) {
    const close = names.length ? `; did you mean ${names.join(" or ")}?` : ".";
    this.error.textContent = `No label of this model is called “${entry}”${close}`;
    this.#close();
  }

  #add(entry) {
    this.input.value = "";
    this.#close();
    if (!this.entries.includes(entry)) this.#set([...this.entries, entry]);
  }

  #set(entries) {
    this.entries = entries;
    this.error.textContent = "";
    const remove = (entry) => () => {
      this.#set(this.entries.filter((other) => other !== entry));
      this.input.focus();
    };
    const chip = (entry) =>
      element("button", { type: "button", "aria-label": `Remove ${entry}`, onclick: remove(entry) }, entry);
    this.chips.replaceChildren(...entries.map((entry) => element("li", {}, chip(entry))));
    this.dispatchEvent(new Event("change"));
  }

  #close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.#choose(-1);
  }
}
