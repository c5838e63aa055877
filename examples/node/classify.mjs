// Label a clip with a one-file model in Node: npm install --ignore-scripts, then node classify.mjs MODEL.onnx CLIP.wav

import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-node';

// The card lies in the model's metadata, which onnxruntime-node does not hand out. An ONNX file is a protobuf: fields,
// one after another, number and kind before each. Field 14 is an entry of the metadata, with a key (1) and a value (2).
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0;
    let scale = 1;
    do {
      value += (bytes[at] & 127) * scale;
      scale *= 128;
    } while (bytes[at++] & 128);
    return value;
  };
  while (at < bytes.length) {
    const tag = varint();
    if ((tag & 7) === 0) varint();
    else if ((tag & 7) === 2) {
      const length = varint();
      yield [tag >> 3, bytes.subarray(at, (at += length))];
    } else throw new Error('this is not an ONNX file');
  }
}

function readCard(model) {
  for (const [number, value] of fields(model)) {
    if (number !== 14) continue;
    const entry = Object.fromEntries(fields(value));
    if (entry[1].toString() === 'earmark') return JSON.parse(entry[2].toString());
  }
  throw new Error('the model has no earmark card');
}

// A WAV of 16-bit integers or 32-bit floats; channels are averaged.
function readWav(file, rate) {
  if (file.toString('latin1', 0, 4) !== 'RIFF') throw new Error('the clip is not a WAV file');
  let format;
  for (let at = 12, size; at + 8 <= file.length; at += 8 + size + (size % 2)) {
    size = file.readUInt32LE(at + 4);
    const chunk = file.subarray(at + 8, at + 8 + size);
    const name = file.toString('latin1', at, at + 4);
    if (name === 'fmt ') format = chunk;
    if (name !== 'data' || !format) continue;
    const kind = format.readUInt16LE(0) === 0xfffe ? format.readUInt16LE(24) : format.readUInt16LE(0);
    const [channels, hertz, bits] = [format.readUInt16LE(2), format.readUInt32LE(4), format.readUInt16LE(14)];
    if (hertz !== rate) throw new Error(`the clip is at ${hertz} Hz, the model takes ${rate} Hz`);
    let sample;
    if (kind === 1 && bits === 16) sample = (index) => chunk.readInt16LE(2 * index) / 32768;
    else if (kind === 3 && bits === 32) sample = (index) => chunk.readFloatLE(4 * index);
    else throw new Error('the clip is neither of 16-bit integers nor of 32-bit floats');
    return Float32Array.from({ length: Math.floor(chunk.length / (bits / 8) / channels) }, (_, frame) => {
      let sum = 0;
      for (let channel = 0; channel < channels; channel++) sum += sample(frame * channels + channel);
      return sum / channels;
    });
  }
  throw new Error('the clip has no samples');
}

try {
  if (process.argv.length !== 4) throw new Error('usage: node classify.mjs MODEL.onnx CLIP.wav');
  const model = readFileSync(process.argv[2]);
  const card = readCard(model);
  const samples = readWav(readFileSync(process.argv[3]), card.sample_rate);
  const session = await ort.InferenceSession.create(model);
  const { clip, novelty } = await session.run({ waveform: new ort.Tensor('float32', samples, [1, samples.length]) });
  if (novelty && card.novelty_threshold) {
    const mean = novelty.data.reduce((sum, frame) => sum + frame, 0) / novelty.data.length;
    if (mean >= card.novelty_threshold) console.log(`none of these (novelty ${mean.toFixed(3)}); closest:`);
  }
  const best = [...clip.data.keys()].sort((one, other) => clip.data[other] - clip.data[one]).slice(0, 5);
  for (const index of best) console.log(`${clip.data[index].toFixed(3)}  ${card.labels[index].name}`);
} catch (error) {
  console.error(`classify.mjs: ${error.message}`);
  process.exitCode = 1;
}
