// A line for each lane over the layers of a model, on a logarithmic scale.

import { svg } from './page.js';

const WIDTH = 340;
const HEIGHT = 230;
const PLOT = { left: 56, right: 334, top: 10, bottom: 188 };

/** Marks are shapes of their own, so that lines can be told apart without colour. */
const MARKS = {
  bit3: (x, y) => svg('rect', { x: x - 3.5, y: y - 3.5, width: 7, height: 7 }),
  bit5: (x, y) => svg('path', { d: `M${x} ${y - 4.6}l4.4 8h-8.8z` }),
  bit7: (x, y) => svg('circle', { cx: x, cy: y, r: 3.8 }),
  ternary: (x, y) => svg('path', { d: `M${x} ${y - 4.8}l4.8 4.8l-4.8 4.8l-4.8 -4.8z` }),
};

const mark = (lane, x, y) => (MARKS[lane] ?? MARKS.bit7)(x, y);

/** `lanes` is what `layerErrors()` gives of each; `summary` says in words what the chart shows. */
export function errorChart(lanes, summary) {
  const count = lanes[0].layers.length;
  const positive = lanes.flatMap(({ layers }) => layers).filter((error) => error > 0);
  const low = Math.floor(Math.log10(Math.min(...positive)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive))));
  const x = (layer) => count === 1 ? (PLOT.left + PLOT.right) / 2
    : PLOT.left + 14 + (layer * (PLOT.right - PLOT.left - 28)) / (count - 1);
  const y = (error) =>
    PLOT.bottom - ((Math.log10(error) - low) / (high - low)) * (PLOT.bottom - PLOT.top);
  return svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': summary, class: 'chart' },
    ...decades(low, high, y),
    ...layerTicks(count, x),
    svg('text', { class: 'axis', x: (PLOT.left + PLOT.right) / 2, y: HEIGHT - 8, 'text-anchor': 'middle' }, 'layer'),
    svg('text', { class: 'axis', transform: `translate(12 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)`, 'text-anchor': 'middle' }, 'relative error'),
    ...lanes.map(({ lane, layers }) => line(lane, layers, x, y)));
}

function* decades(low, high, y) {
  const every = Math.ceil((high - low) / 5);
  for (let power = low; power <= high; power += 1) {
    const at = y(10 ** power);
    yield svg('line', { class: 'grid', x1: PLOT.left, x2: PLOT.right, y1: at, y2: at });
    if ((power - low) % every === 0) {
      yield svg('text', { class: 'tick', x: PLOT.left - 8, y: at + 4, 'text-anchor': 'end' }, percent(10 ** power, 1));
    }
  }
}

function* layerTicks(count, x) {
  const every = Math.ceil(count / 12);
  for (let layer = 0; layer < count; layer += every) {
    yield svg('text', { class: 'tick', x: x(layer), y: PLOT.bottom + 18, 'text-anchor': 'middle' }, String(layer));
  }
}

function line(lane, errors, x, y) {
  // An error of 0 has no logarithm, and no point.
  const points = errors.map((error, layer) => ({ error, x: x(layer), y: y(error) }))
    .filter(({ error }) => error > 0);
  return svg('g', { class: 'series', 'data-lane': lane },
    svg('polyline', { points: points.map((point) => `${point.x},${point.y}`).join(' ') }),
    ...points.map((point) => mark(lane, point.x, point.y)));
}

/** What stands for a lane in the chart. */
export const legend = (lane) => svg('svg', { viewBox: '0 0 24 12', width: 24, height: 12, 'aria-hidden': 'true' },
  svg('g', { class: 'series', 'data-lane': lane }, svg('polyline', { points: '0,6 24,6' }), mark(lane, 12, 6)));

/** `0.0134` as `1.3%`. */
export const percent = (share, digits = 2) => share.toLocaleString('en', {
  style: 'percent', minimumSignificantDigits: digits, maximumSignificantDigits: digits,
});
