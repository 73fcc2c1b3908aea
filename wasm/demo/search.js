// Lines in the order of their meaning's distance from a query, by an embedding model.

import { byId, bytes, clearProblem, counted, element, showProblem } from './page.js';
import { laneNamed } from './lanes.js';

const problem = byId('search-problem');
const status = byId('search-status');
const run = byId('search-run');

/** Lets the panel open encoders with `load(source, options)`, and rank lines with them. */
export function startSearch({ load }) {
  let model = null;
  let source = null;
  let opening = null;
  let ranking = null;
  /** The vectors of this model, by text. */
  let vectors = new Map();

  /** Takes over an encoder in place of the one before it. */
  function take(loaded, from) {
    ranking?.abort();
    model?.dispose();
    [model, source, vectors] = [loaded, from, new Map()];
    const { name, dim, lanes, bytes: size, source: file } = model.info;
    const lane = laneNamed(lanes.at(-1)).name;
    byId('search-model').textContent = `${name ?? file}: vectors of ${dim} values at ${lane}, ${bytes(size)}`;
    status.textContent = '';
    clearProblem(problem);
    byId('search-ranks').replaceChildren();
    run.disabled = false;
  }

  async function open(file) {
    opening?.abort();
    const mine = new AbortController();
    opening = mine;
    clearProblem(problem);
    const onProgress = ({ loaded }) => {
      if (opening === mine) status.textContent = `Loading ${file.name}: ${bytes(loaded)} of ${bytes(file.size)}`;
    };
    try {
      const loaded = await load(file, { onProgress, signal: mine.signal });
      if (opening !== mine) loaded.dispose();
      else if (loaded.info.kind === 'encoder') take(loaded, file);
      else {
        const message = `${file.name}: it writes texts (${loaded.info.architecture}); “Open a GGUF file…” above is for it.`;
        loaded.dispose();
        throw new Error(message);
      }
    } catch (error) {
      if (opening !== mine) return;
      status.textContent = '';
      showProblem(problem, 'No embedding model', error);
    } finally {
      if (opening === mine) opening = null;
    }
  }

  async function rank() {
    ranking?.abort();
    const mine = new AbortController();
    ranking = mine;
    clearProblem(problem);
    const query = byId('search-query').value;
    const lines = byId('search-lines').value.split('\n').map((line) => line.trim()).filter(Boolean);
    const texts = [...new Set([query, ...lines])].filter((text) => !vectors.has(text));
    try {
      for (const [i, text] of texts.entries()) {
        status.textContent = `Reading ${i + 1} of ${texts.length}…`;
        vectors.set(text, await model.embed(text, { signal: mine.signal }));
        if (mine.signal.aborted) return;
      }
      show(vectors.get(query), lines);
      status.textContent = `${counted(lines.length, 'line')}, the nearest first, by cosine.`;
    } catch (error) {
      if (mine.signal.aborted) return;
      status.textContent = '';
      showProblem(problem, 'The lines could not be ranked', error);
    }
  }

  function show(query, lines) {
    const ranked = lines.map((line) => ({ line, cosine: dot(query, vectors.get(line)) }));
    ranked.sort((a, b) => b.cosine - a.cosine);
    byId('search-ranks').replaceChildren(...ranked.map(({ line, cosine }) => {
      const filled = element('span');
      filled.style.width = `${100 * Math.max(0, cosine)}%`;
      const figure = element('span', { className: 'cosine' }, cosine.toFixed(3));
      return element('li', {}, figure, element('span', { className: 'line' }, line), element('span', { className: 'bar' }, filled));
    }));
  }

  byId('search-file').addEventListener('change', ({ target }) => {
    if (target.files.length > 0) open(target.files[0]);
    target.value = '';
  });
  byId('search').addEventListener('submit', (event) => {
    event.preventDefault();
    if (model) rank();
  });
  const openAgain = () => source && open(source);
  return { take, openAgain };
}

/** The cosine of vectors of length 1. */
function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}
