/**
 * The colours of the spectrogram: equal steps of loudness are equal steps of lightness (in OKLab), while the hue goes
 * from violet over red to yellow. Computed, so that the dark and the light page have each their own.
 */

const STEPS = 256;
/** Lightness and hue in degrees at both ends: quiet first. */
const SCALES = {
  dark: { lightness: [0.15, 0.96], hue: [280, 460], chroma: 0.19 },
  light: { lightness: [0.985, 0.28], hue: [450, 285], chroma: 0.16 },
};

/**
 * Return the scale of a theme as RGB.
 * @param {"dark" | "light"} theme
 * @returns {Uint8ClampedArray} 256 colours of three bytes
 */
export function scale(theme) {
  const { lightness, hue, chroma } = SCALES[theme];
  const colours = new Uint8ClampedArray(3 * STEPS);
  for (let step = 0; step < STEPS; step += 1) {
    const part = step / (STEPS - 1);
    const strength = chroma * Math.sin(Math.PI * (0.04 + 0.88 * part)) ** 0.8;
    colours.set(displayable(between(lightness, part), strength, between(hue, part)), 3 * step);
  }
  return colours;
}

/** Return a colour as RGB, paler where the screen cannot show it as strong. */
function displayable(lightness, chroma, hue) {
  let [pale, strong] = [0, chroma];
  for (let halving = 0; halving < 12; halving += 1) {
    const tried = halving ? (pale + strong) / 2 : strong;
    const fits = linearRgb(lightness, tried, hue).every((value) => value >= 0 && value <= 1);
    if (fits) pale = tried;
    else strong = tried;
    if (fits && !halving) break;
  }
  return linearRgb(lightness, pale, hue).map((value) => 255 * encoded(value));
}

/** Return linear sRGB of OKLCH. Source: Björn Ottosson, "A perceptual color space for image processing". */
function linearRgb(lightness, chroma, hue) {
  const angle = (hue * Math.PI) / 180;
  const [a, b] = [chroma * Math.cos(angle), chroma * Math.sin(angle)];
  const long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const short = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
    -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
    -0.0041960863 * long - 0.7034186147 * medium + 1.707614701 * short,
  ];
}

function encoded(value) {
  return value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
}

function between([from, to], part) {
  return from + (to - from) * part;
}
