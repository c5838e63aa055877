/** The events as a table, a button in each row. */

import { byId, element } from "./element.js";
import { counted } from "./explanation.js";
import { clock } from "./time.js";

const MOST_ROWS = 200;
const REST_MILLISECONDS = 200; // the rows wait until a slider rests, for they take longer than the lanes

/** Fires `event` with the event that was pressed. */
export class EventList extends EventTarget {
  constructor() {
    super();
    this.body = byId("events").tBodies[0];
    this.title = byId("events-title");
    this.most = MOST_ROWS;
    this.rows = new Map();
    this.told = -Infinity;
  }

  /** @param {import("./events.js").Event[]} events */
  show(events) {
    this.events = events;
    this.title.textContent = counted(events);
    clearTimeout(this.rest);
    const isMoving = performance.now() < this.told + REST_MILLISECONDS;
    this.told = performance.now();
    this.body.parentElement.setAttribute("aria-busy", String(isMoving));
    if (isMoving) this.rest = setTimeout(() => this.#show(), REST_MILLISECONDS);
    else this.#show();
  }

  mark(playing) {
    for (const [name, row] of this.rows) row.classList.toggle("now", playing !== null && name === key(playing));
  }

  #show() {
    const { events } = this;
    this.body.parentElement.setAttribute("aria-busy", "false");
    const before = this.rows;
    this.rows = new Map();
    const rows = events.slice(0, this.most).map((event) => {
      const row = before.get(key(event)) ?? this.#row(event);
      this.rows.set(key(event), row);
      return row;
    });
    if (events.length > this.most) rows.push(this.#more(events.length - this.most));
    // Rows that stay keep the focus; only what changed is touched.
    if (rows.length !== this.body.rows.length || rows.some((row, index) => row !== this.body.rows[index]))
      this.body.replaceChildren(...rows);
  }

  #row(event) {
    const press = () => this.dispatchEvent(new CustomEvent("event", { detail: event }));
    const bar = element("i", { "aria-hidden": "true" });
    bar.style.width = `${100 * event.score}%`;
    const name = element(
      "button",
      { type: "button", onclick: press, "aria-label": `Hear ${event.label} at ${clock(event.onset, 2)}` },
      event.label,
    );
    return element(
      "tr",
      {},
      element("td", { class: "number" }, clock(event.onset, 2)),
      element("td", { class: "number" }, clock(event.offset, 2)),
      element("td", {}, name),
      element("td", { class: "bar" }, element("span", {}, bar, event.score.toFixed(2))),
    );
  }

  #more(count) {
    const press = () => {
      this.most += 10 * MOST_ROWS;
      this.#show();
    };
    const button = element(
      "button",
      { type: "button", class: "plain", onclick: press },
      `Show ${Math.min(count, 10 * MOST_ROWS)} more`,
    );
    return element("tr", {}, element("td", { colSpan: 4 }, button));
  }
}

function key({ id, onset, offset, score }) {
  return `${id} ${onset} ${offset} ${score}`;
}
