// A line for each lane over the layers of a model, on a logarithmic scale.

import { svg } from './page.js';
import { laneNamed } from './lanes.js';

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

/** `series` is `[{ lane, errors }]`, one error for each layer. */
export function errorChart(series, summary) {
  const layers = Math.max(...series.map(({ errors }) => errors.length));
  const positive = series.flatMap(({ errors }) => errors).filter((error) => error > 0);
  const low = Math.floor(Math.log10(Math.min(...positive)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive))));
  const x = (layer) => layers === 1 ? (PLOT.left + PLOT.right) / 2
    : PLOT.left + 14 + (layer * (PLOT.right - PLOT.left - 28)) / (layers - 1);
  const y = (error) =>
    PLOT.bottom - ((Math.log10(error) - low) / (high - low)) * (PLOT.bottom - PLOT.top);
  return svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': summary, class: 'chart' },
    ...decades(low, high, y),
    ...layerTicks(layers, x),
    svg('text', { class: 'axis', x: (PLOT.left + PLOT.right) / 2, y: HEIGHT - 8, 'text-anchor': 'middle' }, 'layer'),
    svg('text', { class: 'axis', transform: `translate(12 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)`, 'text-anchor': 'middle' }, 'relative error'),
    ...series.map(({ lane, errors }) => line(lane, errors, x, y)));
}

function* decades(low, high, y) {
  const every = Math.ceil((high - low) / 5);
  for (let power = low; power <= high; power += 1) {
    const at = y(10 ** power);
    yield svg('line', { class: 'grid', x1: PLOT.left, x2: PLOT.right, y1: at, y2: at });
    if ((power - low) % every === 0) {
      yield svg('text', { class: 'tick', x: PLOT.left - 8, y: at + 4, 'text-anchor': 'end' }, percent(10 ** power));
    }
  }
}

function* layerTicks(layers, x) {
  const every = Math.ceil(layers / 12);
  for (let layer = 0; layer < layers; layer += every) {
    yield svg('text', { class: 'tick', x: x(layer), y: PLOT.bottom + 18, 'text-anchor': 'middle' }, String(layer));
  }
}

function line(lane, errors, x, y) {
  const points = errors.map((error, layer) => ({ error, x: x(layer), y: y(error) }))
    .filter(({ error }) => error > 0);
  const mark = MARKS[lane] ?? MARKS.bit7;
  return svg('g', { class: 'series', 'data-lane': lane },
    svg('polyline', { points: points.map((point) => `${point.x},${point.y}`).join(' ') }),
    ...points.map((point) => mark(point.x, point.y)));
}

/** What stands for each lane in the chart. */
export function legend(lanes) {
  return lanes.map((lane) => ({
    name: laneNamed(lane).name,
    mark: svg('svg', { viewBox: '0 0 24 12', width: 24, height: 12, 'aria-hidden': 'true' },
      svg('g', { class: 'series', 'data-lane': lane },
        svg('polyline', { points: '0,6 24,6' }), (MARKS[lane] ?? MARKS.bit7)(12, 6))),
  }));
}

/** `0.0134` as `1.3%`. */
export function percent(share) {
  const value = share * 100;
  if (value === 0) return '0';
  return `${Number(value.toPrecision(2)).toLocaleString('en', { maximumFractionDigits: 12 })}%`;
}
