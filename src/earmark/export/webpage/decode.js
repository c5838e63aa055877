/** From a file to a waveform, by what the browser itself can decode. */

const FORMATS = "WAV, FLAC, MP3, Ogg or M4A";
/** What rounding to float32 makes of a whole number is nearer. */
const MOST_AWAY = 0.01;

/**
 * Return the sound of a file.
 * @param {Blob} file
 * @param {number} rate in hertz, to which the browser converts it
 * @returns {Promise<Float32Array>} one channel, the mean of all
 * @throws {Error} with a sentence that says what to do
 */
export async function decode(file, rate) {
  if (!file.size) throw new Error("The file is empty. Choose another one.");
  const buffer = await decoded(await bytesOf(file), rate);
  if (!buffer.length) throw new Error("There is no sound in it. Choose another file.");
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));
  channels.forEach(straighten);
  return toMono(channels);
}

/**
 * Bring 16-bit samples to one scale. Chromium divides negative ones by 32768 and positive ones by 32767: little, but it
 * makes a model in eight bits round otherwise here and there. Other samples stay as they are.
 * @param {Float32Array} samples
 */
export function straighten(samples) {
  let [uneven, even] = [0, 0]; // how far positive samples are from whole numbers, on either scale
  for (const sample of samples) {
    if (sample <= 0) continue;
    const away = awayFromWhole(32767 * sample);
    if (away > MOST_AWAY) return;
    uneven += away;
    even += awayFromWhole(32768 * sample);
  }
  if (4 * uneven > even) return;
  for (let index = 0; index < samples.length; index += 1) {
    if (samples[index] > 0) samples[index] = Math.round(32767 * samples[index]) / 32768;
  }
}

function awayFromWhole(number) {
  return Math.abs(number - Math.round(number));
}

/** Return the mean of channels; the first of them is overwritten. @param {Float32Array[]} channels */
export function toMono([mono, ...others]) {
  for (const other of others) {
    for (let index = 0; index < mono.length; index += 1) mono[index] += other[index];
  }
  const share = Math.fround(1 / (1 + others.length));
  if (others.length) for (let index = 0; index < mono.length; index += 1) mono[index] *= share;
  return mono;
}

async function bytesOf(file) {
  try {
    return await file.arrayBuffer();
  } catch (error) {
    throw new Error("The file cannot be read. It may have gone, or be too large for this browser.", { cause: error });
  }
}

async function decoded(bytes, rate) {
  const context = contextOf(rate);
  try {
    return await context.decodeAudioData(bytes);
  } catch (error) {
    throw new Error(`This browser finds no sound in it that it can decode. Choose ${FORMATS}.`, { cause: error });
  }
}

/** Return a context that is there for its rate alone. */
function contextOf(rate) {
  try {
    return new OfflineAudioContext(1, 1, rate);
  } catch (error) {
    throw new Error(`This browser cannot convert sound to the ${rate} Hz of the model. Try another.`, { cause: error });
  }
}
