// The page: opens a model with the build that was chosen, and hands it to the panels.

import { hasSimd } from './trilane/index.js';
import { Model, init, initEncoder } from './trilane/worker.js';
import { byId } from './page.js';
import { clearCost, showCost } from './cost.js';
import { clearProof, showProof } from './proof.js';
import { clearText, startWriting } from './write.js';
import { offerLanes } from './lanes.js';
import { showFacts } from './facts.js';
import { startOpening } from './open.js';
import { startSearch } from './search.js';

const BUNDLED = { source: new URL('shakespeare.gguf', import.meta.url), file: 'shakespeare.gguf' };
const NATIVE = new URL('shakespeare.digest.json', import.meta.url);
const PROMPTS = { bundled: 'ROMEO:\n', other: 'Once upon a time' };

let model = null;

const builds = byId('builds');
const writing = startWriting(() => model);
const search = startSearch({ load });
const opening = startOpening({ load, opened, bundled: BUNDLED });
byId('proof-run').addEventListener('click', () => prove(null));
byId('cost-run').addEventListener('click', measure);
offerBuilds();
opening.openBundled();

/** The address can name a build, as in `?build=baseline`; otherwise the best that runs is taken. */
function offerBuilds() {
  const address = new URL(location.href);
  const named = address.searchParams.get('build');
  const [simd, baseline] = builds.querySelectorAll('input');
  simd.disabled = !hasSimd();
  (named === 'baseline' || simd.disabled ? baseline : simd).checked = true;
  builds.addEventListener('change', ({ target }) => {
    address.searchParams.set('build', target.value);
    history.replaceState(null, '', address);
    opening.openAgain();
    search.openAgain();
  });
}

function chosenBuild() {
  return builds.querySelector('input:checked').value;
}

async function load(source, options) {
  const simd = chosenBuild() === 'simd128';
  await Promise.all([init({ simd }), initEncoder({ simd })]);
  return Model.load(source, options);
}

/** Takes over a model in place of the one before it; says whether it is one that writes. */
async function opened(loaded, origin, source) {
  if (loaded.info.kind === 'encoder') {
    search.take(loaded, source);
    byId('search-title').scrollIntoView();
    return false;
  }
  await writing.stop();
  model?.dispose();
  model = loaded;
  showFacts(model.info, origin, chosenBuild());
  offerLanes(model.info, (lane) => { document.documentElement.dataset.lane = lane; });
  suggestPrompt(origin);
  clearText();
  clearProof(origin);
  clearCost();
  // What takes a moment for a small model can take minutes for a large one: that one is asked for.
  byId('proof-run').hidden = origin.isBundled;
  byId('cost-run').hidden = origin.isBundled;
  if (origin.isBundled) {
    prove(nativeDigests());
    measure();
  }
  return true;
}

function prove(native) {
  byId('proof-run').hidden = true;
  showProof(model, native);
}

function measure() {
  byId('cost-run').hidden = true;
  showCost(model);
}

/** What the native engine computed for the bundled model when the page was built. */
async function nativeDigests() {
  const response = await fetch(NATIVE);
  if (!response.ok) throw new Error(`${NATIVE}: found status ${response.status}`);
  return response.json();
}

/** A prompt that suits the model, unless another has been typed. */
function suggestPrompt({ isBundled }) {
  const prompt = byId('prompt');
  if (prompt.value !== '' && !Object.values(PROMPTS).includes(prompt.value)) return;
  prompt.value = isBundled ? PROMPTS.bundled : PROMPTS.other;
}
