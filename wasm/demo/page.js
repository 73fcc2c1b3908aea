// Reading and writing the page: elements by id, new elements, numbers as text, errors as text.

/** The element of the page that has this id. */
export const byId = (id) => document.getElementById(id);

/** A new element. `properties` that an element has are set on it, others become attributes. */
export function element(name, properties = {}, ...children) {
  return filled(document.createElement(name), properties, children);
}

/** A new SVG element. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function filled(node, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (node instanceof HTMLElement && key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

/** `1067840` as `1.07 MB`. */
export function bytes(count) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(count, 1)) / 3));
  return `${number(count / 1000 ** power)} ${units[power]}`;
}

/** Three digits, more where they stand before the point. */
export function number(value) {
  const places = value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: places, minimumFractionDigits: places });
}

/** `1 token`, `2 tokens`. */
export const counted = (count, what) => `${number(count)} ${what}${count === 1 ? '' : 's'}`;

/** Shows an error in `place`: what did not work, the library's own words, and what holds now. */
export function showProblem(place, what, error, now = '') {
  place.replaceChildren(element('strong', {}, what), element('p', {}, error.message));
  if (now) place.append(element('p', { className: 'hint' }, now));
  place.hidden = false;
}

/** Takes the error away. */
export function clearProblem(place) {
  place.hidden = true;
  place.replaceChildren();
}
