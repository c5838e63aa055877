/**
 * Runs waveforms through the model of a folder, in Node: node verify.mjs FOLDER WORK
 *
 * A line "BATCH SAMPLES" asks for those in WORK/waveform.f32: every output becomes NAME.f32 beside it, and their shapes
 * shapes.json, before the answer is the line "done". Another answer is what went wrong, and the last. All numbers are
 * float32, little-endian.
 */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { setFlagsFromString } from "node:v8";

// A few runs are not worth seconds of optimising; Node passes over flags that it does not know.
for (const flag of ["--wasm-lazy-compilation", "--liftoff-only"]) setFlagsFromString(flag);

const [folder, work] = process.argv.slice(2);

try {
  const classifier = await open();
  for await (const line of createInterface({ input: process.stdin })) {
    await run(classifier, ...line.split(" ").map(Number));
    console.log("done");
  }
} catch (error) {
  console.log(String(error.message ?? error).replace(/\s+/g, " "));
  process.stdin.destroy();
}

async function open() {
  const { Classifier } = await import(pathToFileURL(join(folder, "classify.js")));
  const [card, model, wasm] = await Promise.all([
    readFile(join(folder, "card.json"), "utf8"),
    readFile(join(folder, "model.onnx")),
    readFile(join(folder, "runtime", "ort-wasm-simd-threaded.wasm")),
  ]);
  return Classifier.of(JSON.parse(card), model, wasm);
}

async function run(classifier, batch, samples) {
  const bytes = await readFile(join(work, "waveform.f32"));
  const waveforms = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const names = classifier.session.outputNames;
  const answers = [];
  for (let row = 0; row < batch; row += 1) {
    answers.push(await classifier.run(waveforms.slice(row * samples, (row + 1) * samples), names));
  }
  const partsOf = (name) => answers.map((answer) => answer[name]);
  await Promise.all(names.map((name) => write(name, partsOf(name))));
  await writeFile(join(work, "shapes.json"), JSON.stringify(shapesOf(names, answers, classifier.card)));
}

function write(name, parts) {
  const bytes = parts.map((part) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  return writeFile(join(work, `${name}.f32`), Buffer.concat(bytes));
}

/** Return the shape of each output, by the contract of the model file. */
function shapesOf(names, answers, card) {
  const frames = answers[0].frames.length / card.labels.length;
  const rest = {
    clip: [card.labels.length],
    frames: [frames, card.labels.length],
    embeddings: [frames, card.embedding_size],
    novelty: [frames],
  };
  return Object.fromEntries(names.map((name) => [name, [answers.length, ...rest[name]]]));
}
