/** Power spectra of sound, on a mel scale, in decibels: the numbers behind the spectrogram. */

const WINDOW_SECONDS = 0.04;
const LOWEST_HZ = 50;
const HIGHEST_HZ = 8000;
const MOST_WINDOWS = 4;

/** A level is a byte: half a decibel each, from -120 dB. 0 is kept for where there is no sound. */
export const LEVEL_DB = 0.5;
const QUIETEST_DB = -120;

/** Return the frequency at a height: 0 is the bottom of the picture, 1 its top. */
export function frequencyAt(height, rate) {
  const [low, high] = [mel(LOWEST_HZ), mel(Math.min(HIGHEST_HZ, rate / 2))];
  return 700 * (10 ** ((low + height * (high - low)) / 2595) - 1);
}

/** Return the height of a frequency, as `frequencyAt` takes it. */
export function heightOf(hertz, rate) {
  const [low, high] = [mel(LOWEST_HZ), mel(Math.min(HIGHEST_HZ, rate / 2))];
  return (mel(hertz) - low) / (high - low);
}

function mel(hertz) {
  return 2595 * Math.log10(1 + hertz / 700);
}

export class Spectrum {
  /**
   * @param {number} rate of the samples, in hertz
   * @param {number} rows of the picture
   */
  constructor(rate, rows) {
    this.rate = rate;
    this.rows = rows;
    this.window = hann(Math.round(WINDOW_SECONDS * rate));
    this.size = 2 ** Math.ceil(Math.log2(this.window.length));
    this.fft = new Fourier(this.size);
    this.bands = Array.from({ length: rows }, (_, row) => this.#band(row));
    this.power = new Float64Array(this.size / 2 + 1);
    this.scale = (2 / this.window.reduce((sum, weight) => sum + weight)) ** 2; // a sine of full scale has 0 dB
  }

  /**
   * Return the levels of one column, top row first.
   * @param {(start: number, out: Float32Array) => void} read gives samples, 0 where there are none
   * @param {number} from, to  seconds
   */
  column(read, from, to) {
    const hop = WINDOW_SECONDS / 2;
    const windows = Math.min(MOST_WINDOWS, Math.max(1, Math.round((to - from) / hop)));
    this.power.fill(0);
    const block = new Float32Array(this.window.length);
    for (let index = 0; index < windows; index += 1) {
      const centre = from + ((index + 0.5) * (to - from)) / windows;
      read(Math.round(centre * this.rate - block.length / 2), block);
      this.fft.addPower(block, this.window, this.power);
    }
    return Uint8Array.from(this.bands, (band) => level((this.scale * weigh(this.power, band)) / windows)).reverse();
  }

  /** Return which bins a row stands for: from, to, as fractions of bins. */
  #band(row) {
    const perBin = this.rate / this.size;
    const edge = (height) => frequencyAt(height / this.rows, this.rate) / perBin;
    return [edge(row), edge(row + 1)];
  }
}

/** Return the mean power between two places among the bins; inside one bin, what lies on the line to the next. */
function weigh(power, [from, to]) {
  if (to - from < 1) {
    const middle = (from + to) / 2;
    const bin = Math.min(Math.floor(middle), power.length - 2);
    return power[bin] + (middle - bin) * (power[bin + 1] - power[bin]);
  }
  let sum = 0;
  const [first, last] = [Math.round(from), Math.min(Math.max(Math.round(to), Math.round(from) + 1), power.length)];
  for (let bin = first; bin < last; bin += 1) sum += power[bin];
  return sum / (last - first);
}

function level(power) {
  const decibels = 10 * Math.log10(power + 1e-12);
  return Math.min(255, Math.max(1, Math.round((decibels - QUIETEST_DB) / LEVEL_DB)));
}

function hann(length) {
  return Float32Array.from({ length }, (_, index) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (index + 0.5)) / length));
}

/** The fast Fourier transform of a power of two, in place. */
class Fourier {
  constructor(size) {
    this.size = size;
    this.real = new Float64Array(size);
    this.imaginary = new Float64Array(size);
    this.cosines = Float64Array.from({ length: size / 2 }, (_, index) => Math.cos((2 * Math.PI * index) / size));
    this.sines = Float64Array.from({ length: size / 2 }, (_, index) => -Math.sin((2 * Math.PI * index) / size));
    const bits = Math.log2(size);
    this.reversed = Uint32Array.from({ length: size }, (_, index) => reverseBits(index, bits));
  }

  /** Add the power of a windowed block to `power`, one value per bin up to half the rate. */
  addPower(block, window, power) {
    this.real.fill(0);
    this.imaginary.fill(0);
    for (let index = 0; index < block.length; index += 1)
      this.real[this.reversed[index]] = block[index] * window[index];
    for (let length = 2; length <= this.size; length *= 2) this.#merge(length);
    for (let bin = 0; bin < power.length; bin += 1) power[bin] += this.real[bin] ** 2 + this.imaginary[bin] ** 2;
  }

  #merge(length) {
    const { real, imaginary, cosines, sines, size } = this;
    const [half, step] = [length / 2, size / length];
    for (let start = 0; start < size; start += length) {
      for (let index = 0; index < half; index += 1) {
        const [low, high] = [start + index, start + index + half];
        const [cosine, sine] = [cosines[index * step], sines[index * step]];
        const re = real[high] * cosine - imaginary[high] * sine;
        const im = real[high] * sine + imaginary[high] * cosine;
        real[high] = real[low] - re;
        imaginary[high] = imaginary[low] - im;
        real[low] += re;
        imaginary[low] += im;
      }
    }
  }
}

function reverseBits(index, bits) {
  let reversed = 0;
  for (let bit = 0; bit < bits; bit += 1) reversed |= ((index >> bit) & 1) << (bits - 1 - bit);
  return reversed;
}
