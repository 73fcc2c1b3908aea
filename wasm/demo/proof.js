// The digests computed here, beside those of the native engine.

import { byId, clearProblem, element, showProblem } from './page.js';
import { laneNamed } from './lanes.js';

const table = byId('proof-table');
const problem = byId('proof-problem');
const pasted = byId('proof-paste');

let subject = null;
let digests = null;
pasted.addEventListener('input', judgePasted);

/** Clears the panel for another model; nothing is computed yet. */
export function clearProof({ file, isBundled }) {
  subject = null;
  digests = null;
  table.hidden = true;
  clearProblem(problem);
  byId('proof-status').textContent = '';
  byId('proof-own').hidden = isBundled;
  byId('proof-command').textContent = `trilane verify ${quoted(file)}`;
  pasted.value = '';
  judgePasted();
}

/**
 * Computes the digests of a model and shows them. `native`, where there is one, resolves to what
 * `trilane verify --json` printed for the same file.
 */
export async function showProof(model, native) {
  const status = byId('proof-status');
  subject = model;
  status.textContent = 'Computing…';
  try {
    const [here, other] = await Promise.all([model.digests(), native]);
    if (subject !== model) return;
    digests = byLane(here);
    fill(other && byLane(other));
    status.textContent = other
      ? `The native digests were computed with ${other.level} when this page was built.` : '';
    judgePasted();
  } catch (error) {
    if (subject !== model) return;
    status.textContent = '';
    showProblem(problem, 'The digests could not be computed', error);
  }
}

/** The digest of each lane, and of them all. */
const byLane = ({ digest, lanes }) => ({
  ...Object.fromEntries(Object.entries(lanes).map(([lane, of]) => [lane, of.digest])),
  all: digest,
});

function fill(native) {
  byId('proof-rows').replaceChildren(...Object.entries(digests).map(([lane, here]) =>
    row(lane, here, native?.[lane])));
  table.hidden = false;
}

function row(lane, here, native) {
  const name = element('th', { scope: 'row' }, lane === 'all' ? 'All' : laneNamed(lane).name);
  name.dataset.lane = lane;
  const lines = [line('here', here)];
  if (native) lines.push(line('native', native));
  return element('tr', { id: `proof-${lane}` },
    name,
    element('td', { className: 'digests' }, ...lines),
    element('td', {}, ...(native ? [verdict(here === native)] : [])));
}

const line = (who, digest) =>
  element('span', { className: 'digest' }, element('span', {}, who), element('code', { className: who }, digest));

const verdict = (equal) =>
  element('span', { className: equal ? 'equal' : 'differs' }, equal ? '✓ equal' : '✗ differs');

/** Compares what was typed with every digest of this model. */
function judgePasted() {
  const place = byId('proof-verdict');
  const typed = pasted.value.trim().toLowerCase();
  place.className = 'verdict';
  place.textContent = '';
  if (typed === '') return;
  if (!/^[0-9a-f]{16}$/.test(typed)) {
    place.textContent = `A digest has 16 hexadecimal digits; these are ${typed.length} characters.`;
  } else if (!digests) {
    place.textContent = 'Compute the digests here first.';
  } else {
    const lane = Object.keys(digests).find((key) => digests[key] === typed);
    place.append(verdict(lane !== undefined));
    place.append(lane === undefined ? ' from every digest above'
      : ` to ${lane === 'all' ? 'the digest of all lanes' : laneNamed(lane).name}`);
  }
}

/** A file name as a shell takes it. */
const quoted = (file) => (/^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`);
