// How far the output of each layer is off at each lane, as a chart and as figures.

import { byId, clearProblem, element, showProblem } from './page.js';
import { errorChart, legend, percent } from './chart.js';
import { laneNamed } from './lanes.js';

const place = byId('cost-chart');
const problem = byId('cost-problem');

let subject = null;

/** Clears the panel for another model; nothing is measured yet. */
export function clearCost() {
  subject = null;
  place.replaceChildren();
  clearProblem(problem);
  byId('cost-status').textContent = '';
  byId('cost-details').hidden = true;
}

/** Measures the model's lanes and shows what came out. */
export async function showCost(model) {
  const status = byId('cost-status');
  subject = model;
  status.textContent = 'Measuring…';
  try {
    const { reference, lanes } = await model.layerErrors();
    if (subject !== model) return;
    const { name } = laneNamed(reference);
    const lower = lanes.filter(({ lane }) => lane !== reference);
    if (lower.length === 0) {
      status.textContent = `${name} is the only lane of this file.`;
      return;
    }
    status.textContent =
      `How far the output of each layer is from what it is at ${name}, the file's highest lane.`;
    place.replaceChildren(keys(lower), errorChart(lower, summary(lower)));
    fillTable(lower);
  } catch (error) {
    if (subject !== model) return;
    status.textContent = '';
    showProblem(problem, 'The error could not be measured', error);
  }
}

const keys = (lanes) => element('ul', { className: 'legend' },
  ...lanes.map(({ lane }) => element('li', {}, legend(lane), laneNamed(lane).name)));

/** The chart in words, for those who do not see it. */
function summary(lanes) {
  const ranges = lanes.map(({ lane, layers }) =>
    `${laneNamed(lane).name} from ${percent(Math.min(...layers))} to ${percent(Math.max(...layers))}`);
  return `Relative error of each layer on a logarithmic scale: ${ranges.join('; ')}.`
    + ' The figures follow as a table.';
}

function fillTable(lanes) {
  const row = (kind, scope, name, cells) => element('tr', {},
    element('th', { scope }, name), ...cells.map((cell) => element(kind, {}, cell)));
  const head = row('th', 'col', 'Layer', lanes.map(({ lane }) => laneNamed(lane).name));
  const rows = lanes[0].layers.map((_, layer) =>
    row('td', 'row', String(layer), lanes.map(({ layers }) => percent(layers[layer]))));
  rows.push(row('td', 'row', 'logits', lanes.map(({ logits }) => percent(logits))));
  byId('cost-table').replaceChildren(element('thead', {}, head), element('tbody', {}, ...rows));
  byId('cost-details').hidden = false;
}
