// The page: opens a model, hands it to the panels, and switches between the builds.

import { Model } from './trilane/worker.js';
import { byId } from './page.js';
import { clearCost, showCost } from './cost.js';
import { clearProof, showProof } from './proof.js';
import { clearText, startWriting } from './write.js';
import { offerLanes } from './lanes.js';
import { showFacts } from './facts.js';
import { startOpening } from './open.js';

const BUNDLED = { source: new URL('shakespeare.gguf', import.meta.url), file: 'shakespeare.gguf' };
const NATIVE = new URL('shakespeare.digest.json', import.meta.url);
const PROMPTS = { bundled: 'ROMEO:\n', other: 'Once upon a time' };

let model = null;

const writing = startWriting(() => model);
const opening = startOpening({ load, opened, bundled: BUNDLED });
chooseBuild();
byId('proof-run').addEventListener('click', () => prove(null));
byId('cost-run').addEventListener('click', measure);
opening.openBundled();

function load(source, options) {
  const build = byId('builds').querySelector('input:checked')?.value;
  return Model.load(source, { ...options, build });
}

/** Takes over a model in place of the one before it. */
async function opened(loaded, origin) {
  await writing.stop();
  model?.dispose();
  model = loaded;
  const { info } = model;
  showFacts(info, origin);
  offerLanes(info, (lane) => { document.documentElement.dataset.lane = lane; });
  byId('builds').querySelector(`[value="${info.build}"]`).checked = true;
  suggestPrompt(origin);
  clearText(true);
  clearProof(origin);
  clearCost();
  // What takes a moment for a small model can take minutes for a large one: that one is asked for.
  byId('proof-run').hidden = origin.isBundled;
  byId('cost-run').hidden = origin.isBundled;
  if (!origin.isBundled) return;
  const response = await fetch(NATIVE);
  await prove(await response.json());
  await measure();
}

async function prove(native) {
  byId('proof-run').hidden = true;
  await showProof(model, native);
}

async function measure() {
  byId('cost-run').hidden = true;
  await showCost(model);
}

/** A prompt that suits the model, unless one has been typed. */
function suggestPrompt({ isBundled }) {
  const prompt = byId('prompt');
  const suggestions = Object.values(PROMPTS);
  if (prompt.value !== '' && !suggestions.includes(prompt.value)) return;
  prompt.value = isBundled ? PROMPTS.bundled : PROMPTS.other;
}

/** The address can name a build, as in `?build=baseline`; the switch opens the model again in it. */
function chooseBuild() {
  const address = new URL(location.href);
  for (const input of byId('builds').querySelectorAll('input')) {
    input.checked = input.value === address.searchParams.get('build');
    input.addEventListener('change', () => {
      address.searchParams.set('build', input.value);
      history.replaceState(null, '', address);
      opening.openAgain();
    });
  }
}
