/** A thread of its own for the spectrogram: keeps the samples, and answers with a tile of the picture when asked. */

import { Samples } from "./samples.js";
import { Spectrum } from "./spectrum.js";

let samples = new Samples();
let spectrum = null;

const tasks = {
  open({ rate, rows }) {
    samples = new Samples();
    spectrum = new Spectrum(rate, rows);
  },
  append({ block }) {
    samples.append(block);
  },
  drop({ sample }) {
    samples.dropBefore(sample);
  },
  /** A tile is `columns` columns of `seconds` each; its bytes are column after column, top row first. */
  tile({ key, sound, from, seconds, columns }) {
    const levels = new Uint8Array(columns * spectrum.rows);
    const [first, last] = [samples.first / spectrum.rate, samples.end / spectrum.rate];
    const read = (start, out) => samples.read(start, out);
    for (let column = 0; column < columns; column += 1) {
      const at = from + column * seconds;
      if (at >= last || at + seconds <= first) continue;
      levels.set(spectrum.column(read, at, at + seconds), column * spectrum.rows);
    }
    postMessage({ key, sound, levels, until: last }, [levels.buffer]);
  },
};

addEventListener("message", ({ data }) => tasks[data.task](data));
