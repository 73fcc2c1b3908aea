// Opening a model: the bundled one, a chosen file or a dropped one, with progress and cancel.

import { byId, bytes, clearProblem, showProblem } from './page.js';

const problem = byId('load-problem');

/**
 * Lets the page open models. `load(source, options)` loads one, `opened(model, origin, source)`
 * takes it over and says whether it is in the place of the one before it, where a model that cannot
 * be loaded leaves that one.
 */
export function startOpening({ load, opened, bundled }) {
  let running = null;
  let last = null;

  async function open(source, origin) {
    running?.abort();
    const mine = new AbortController();
    running = mine;
    clearProblem(problem);
    showLoading(origin.file);
    try {
      const onProgress = (progress) => running === mine && showProgress(origin.file, progress);
      const model = await load(source, { onProgress, signal: mine.signal });
      if (running !== mine) model.dispose();
      else if (await opened(model, origin, source)) last = { source, origin };
    } catch (error) {
      if (running === mine && !mine.signal.aborted) {
        const now = last ? `${last.origin.file} stays open.` : '';
        showProblem(problem, 'The file could not be opened', error, now);
      }
    } finally {
      if (running === mine) {
        running = null;
        byId('loading').hidden = true;
        byId('bundled').hidden = last?.origin.isBundled ?? false;
      }
    }
  }

  const openFile = (file) => open(file, { file: file.name, isBundled: false });
  const openBundled = () => open(bundled.source, { file: bundled.file, isBundled: true });
  const openAgain = () => (last ? open(last.source, last.origin) : openBundled());
  byId('load-cancel').addEventListener('click', () => running?.abort());
  byId('bundled').addEventListener('click', openBundled);
  byId('file').addEventListener('change', ({ target }) => {
    if (target.files.length > 0) openFile(target.files[0]);
    target.value = '';
  });
  listenForDrops(openFile);
  return { openBundled, openAgain };
}

function showLoading(file) {
  const bar = byId('load-progress');
  bar.removeAttribute('value');
  byId('load-label').textContent = `Loading ${file}`;
  byId('loading').hidden = false;
}

function showProgress(file, { loaded, total }) {
  const bar = byId('load-progress');
  if (total) bar.value = loaded / total;
  const all = total ? ` of ${bytes(total)}` : '';
  byId('load-label').textContent = `Loading ${file}: ${bytes(loaded)}${all}`;
}

/** The page is one large place to drop a file on. */
function listenForDrops(openFile) {
  const veil = byId('drop');
  const hasFile = (event) => event.dataTransfer?.types.includes('Files');
  addEventListener('dragover', (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  addEventListener('drop', (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    veil.hidden = true;
    const [file] = event.dataTransfer.files;
    if (file) openFile(file);
  });
}
