// The digests computed here, beside those of the native engine.

import { byId, clearProblem, element, showProblem } from './page.js';
import { inOrder, laneNamed } from './lanes.js';

const table = byId('proof-table');
const problem = byId('proof-problem');
const pasted = byId('proof-paste');

let digests = null;
pasted.addEventListener('input', judgePasted);

/** Clears the panel for another model; nothing is computed yet. */
export function clearProof({ file, isBundled }) {
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
 * Computes the digest of each lane and shows it. `native`, where there is one, is what
 * `trilane verify --json` printed for the same file.
 */
export async function showProof(model, native) {
  const status = byId('proof-status');
  status.textContent = 'Computing…';
  try {
    const found = {};
    for (const lane of inOrder(model.info.lanes)) found[lane] = await model.digest({ lane });
    found.all = await model.digest();
    digests = found;
    fill(native);
    status.textContent = native
      ? `The native digests were computed with ${native.level} when this page was built.`
      : '';
    judgePasted();
  } catch (error) {
    status.textContent = '';
    showProblem(problem, 'The digests could not be computed', error);
  }
}

function fill(native) {
  const other = native && { ...mapValues(native.lanes, (lane) => lane.digest), all: native.digest };
  byId('proof-rows').replaceChildren(...Object.entries(digests).map(([lane, here]) =>
    row(lane, here, other && other[lane])));
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

const mapValues = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
