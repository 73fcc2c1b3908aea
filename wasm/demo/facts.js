// What a model is: its name and sizes.

import { byId, bytes, element, number } from './page.js';

/** Shows the facts of the model that was opened from `file`. */
export function showFacts(info, { file }) {
  byId('model-name').textContent = info.name || file;
  const facts = [
    ['file', bytes(info.bytes)],
    ['architecture', info.architecture],
    ['layers', number(info.layers)],
    ['width', number(info.width)],
    ['heads', `${info.heads} / ${info.kvHeads}`],
    ['context', number(info.context)],
    ['vocabulary', number(info.vocabulary)],
    ['computes with', info.build],
  ];
  byId('facts').replaceChildren(...facts.map(([name, value]) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, value))));
  byId('facts').hidden = false;
}
