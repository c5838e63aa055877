/** Samples as 16-bit integers, and as a WAV file. */

const HEADER_BYTES = 44;

/** Return samples in [-1, 1] as 16-bit integers; what is beyond is clipped. @param {Float32Array} block */
export function toInt16(block) {
  return Int16Array.from(block, (sample) => Math.max(-32768, Math.min(32767, Math.round(sample * 32768))));
}

/**
 * Return a WAV file of one channel.
 * @param {Int16Array[]} blocks
 * @param {number} rate in hertz
 */
export function wavFile(blocks, rate) {
  const bytes = blocks.reduce((sum, block) => sum + block.byteLength, 0);
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  const text = (at, letters) =>
    [...letters].forEach((letter, index) => header.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  header.setUint32(4, HEADER_BYTES - 8 + bytes, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  text(36, "data");
  header.setUint32(40, bytes, true);
  return new Blob([header, ...blocks], { type: "audio/wav" });
}
