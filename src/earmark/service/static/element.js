/** Elements made in one expression. */

/**
 * Return a new element.
 * @param {string} tag
 * @param {object} [properties] `class`, `for`, `role`, `aria-…` and `data-…` become attributes, `on…` listeners
 * @param {...(Node | string)} children
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (/^(class|role|for|aria-.*|data-.*)$/.test(name)) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** Return the element of an id; it must be there. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found;
}
