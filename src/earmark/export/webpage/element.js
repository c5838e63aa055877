/** Elements found, and made in one expression. */

/** Return the element of an id; it must be there. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found;
}

/** Return a new element. @param {string} tag @param {string} classes @param {...(Node | string)} children */
export function element(tag, classes, ...children) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  made.append(...children);
  return made;
}
