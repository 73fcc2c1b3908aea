// How far the output of each layer is off at each lane, as a chart and as figures.

import { byId, clearProblem, element, showProblem } from './page.js';
import { errorChart, legend, percent } from './chart.js';
import { inOrder, laneNamed } from './lanes.js';

const place = byId('cost-chart');
const problem = byId('cost-problem');

/** Clears the panel for another model; nothing is measured yet. */
export function clearCost() {
  place.replaceChildren();
  clearProblem(problem);
  byId('cost-status').textContent = '';
  byId('cost-details').hidden = true;
}

/** Measures the model's lanes and shows what came out. */
export async function showCost(model) {
  const status = byId('cost-status');
  status.textContent = 'Measuring…';
  try {
    const errors = await model.layerErrors();
    const lanes = inOrder(Object.keys(errors));
    const best = laneNamed(lanes.pop()).name;
    status.textContent = lanes.length === 0 ? `${best} is the only lane of this file.`
      : `How far the output of each layer is from what it is at ${best}, the file's highest lane.`;
    if (lanes.length === 0) return;
    const series = lanes.map((lane) => ({ lane, errors: errors[lane] }));
    place.replaceChildren(keys(series), errorChart(series, summary(series)));
    fillTable(series);
  } catch (error) {
    status.textContent = '';
    showProblem(problem, 'The error could not be measured', error);
  }
}

const keys = (series) => element('ul', { className: 'legend' },
  ...legend(series.map(({ lane }) => lane)).map(({ name, mark }) => element('li', {}, mark, name)));

/** The chart in words, for those who do not see it. */
function summary(series) {
  const ranges = series.map(({ lane, errors }) =>
    `${laneNamed(lane).name} from ${percent(Math.min(...errors))} to ${percent(Math.max(...errors))}`);
  return `Relative error of each layer on a logarithmic scale: ${ranges.join('; ')}.`
    + ' The figures follow as a table.';
}

function fillTable(series) {
  const layers = Math.max(...series.map(({ errors }) => errors.length));
  const head = element('tr', {}, element('th', { scope: 'col' }, 'Layer'),
    ...series.map(({ lane }) => element('th', { scope: 'col' }, laneNamed(lane).name)));
  const rows = Array.from({ length: layers }, (_, layer) =>
    element('tr', {}, element('th', { scope: 'row' }, String(layer)),
      ...series.map(({ errors }) => element('td', {}, percent(errors[layer])))));
  byId('cost-table').replaceChildren(
    element('thead', {}, head), element('tbody', {}, ...rows));
  byId('cost-details').hidden = false;
}
