// The lanes: their names, and the buttons that choose one.

import { byId, bytes, element } from './page.js';

/** The lanes' names, and the digits that each tier of theirs has. */
const LANES = {
  ternary: { name: 'Ternary', tiers: [2] },
  bit3: { name: 'Bit3', tiers: [3] },
  bit5: { name: 'Bit5', tiers: [3, 2] },
  bit7: { name: 'Bit7', tiers: [3, 2, 2] },
  float32: { name: 'Float32', tiers: [] },
};

/** What is known of a lane by its id. */
export const laneNamed = (id) => LANES[id];

/** Offers the lanes that `info` has, and chooses the highest; `chosen(lane)` hears of each choice. */
export function offerLanes(info, chosen) {
  const place = byId('lanes');
  place.querySelectorAll('label').forEach((label) => label.remove());
  const most = Math.max(...Object.values(info.bytesPerToken));
  for (const id of info.lanes) place.append(choice(id, info.bytesPerToken[id], most, chosen));
  const best = place.querySelector('label:last-of-type input');
  best.checked = true;
  chosen(best.value);
}

/** The lane that is chosen now. */
export const chosenLane = () => byId('lanes').querySelector('input:checked').value;

function choice(id, perToken, most, chosen) {
  const { name, tiers } = laneNamed(id);
  const input = element('input', { type: 'radio', name: 'lane', value: id });
  input.addEventListener('change', () => chosen(id));
  const bar = element('span', { className: 'bar' }, element('span'));
  bar.firstChild.style.width = `${(100 * perToken) / most}%`;
  const label = element('label', { className: 'lane' }, input, element('span', { className: 'face' },
    element('span', { className: 'lane-name' }, name),
    element('span', { className: 'digits', 'aria-hidden': 'true' }, ...tiers.map(tier)),
    bar,
    element('span', { className: 'lane-bytes' }, `${bytes(perToken)} a token`)));
  label.dataset.lane = id;
  return label;
}

const tier = (digits) =>
  element('span', {}, ...Array.from({ length: digits }, () => element('i')));
