// What a model is: its name and sizes.

import { byId, bytes, element, number } from './page.js';

/** Shows the facts of the model that was opened from `file` and runs in `build`. */
export function showFacts(info, { file }, build) {
  byId('model-name').textContent = info.name ?? file;
  const facts = [
    ['file', bytes(info.bytes)],
    ['weights', count(info.parameters)],
    ['architecture', info.architecture],
    ['layers', number(info.layers)],
    ['width', number(info.dim)],
    ['hidden', number(info.hidden)],
    ['heads', number(info.heads)],
    ['key heads', number(info.kvHeads)],
    ['context', number(info.context)],
    ['vocabulary', number(info.vocabulary)],
    ['build', build],
  ];
  byId('facts').replaceChildren(...facts.map(([name, value]) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, value))));
  byId('facts').hidden = false;
}

/** `1048576` as `1.05 M`. */
function count(many) {
  const units = ['', ' K', ' M', ' B'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(many, 1)) / 3));
  return `${number(many / 1000 ** power)}${units[power]}`;
}
