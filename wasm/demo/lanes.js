// The lanes: their names, their order, and the buttons that choose one.

import { byId, bytes, element } from './page.js';

/** Lanes by the digits they read, fewest first. A tier is the digits that one step up adds. */
export const LANES = [
  { id: 'ternary', name: 'Ternary', tiers: [2] },
  { id: 'bit3', name: 'Bit3', tiers: [3] },
  { id: 'bit5', name: 'Bit5', tiers: [3, 2] },
  { id: 'bit7', name: 'Bit7', tiers: [3, 2, 2] },
  { id: 'float32', name: 'Float32', tiers: [] },
];

/** What is known of a lane by its id. */
export const laneNamed = (id) => LANES.find((lane) => lane.id === id) ?? { id, name: id, tiers: [] };

/** The ids in order, fewest digits first. */
export function inOrder(ids) {
  const place = (id) => LANES.findIndex((lane) => lane.id === id);
  return [...ids].sort((a, b) => place(a) - place(b));
}

/** Offers the lanes that `info` has, and chooses the highest; `chosen(lane)` hears of each choice. */
export function offerLanes(info, chosen) {
  const place = byId('lanes');
  place.querySelectorAll('label').forEach((label) => label.remove());
  const ids = inOrder(info.lanes);
  const most = Math.max(...ids.map((id) => info.bytesPerToken[id]));
  for (const id of ids) place.append(choice(id, info.bytesPerToken[id], most, chosen));
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
