/** The colours of what is drawn, as the style sheet has them, in the dark and in the light. */

const darkness = window.matchMedia("(prefers-color-scheme: dark)");
const known = new Map();

/** Return a colour of the style sheet by its name, such as `curve` for `--curve`. */
export function colour(name) {
  if (!known.has(name))
    known.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  return known.get(name);
}

export function isDark() {
  return darkness.matches;
}

/** Call back when the theme is another. */
export function onTheme(changed) {
  darkness.addEventListener("change", () => {
    known.clear();
    changed();
  });
}
