// Going on with a prompt: the form, the text as it comes, its speed.

import { byId, bytes, clearProblem, counted, number, showProblem } from './page.js';
import { chosenLane, laneNamed } from './lanes.js';

const form = byId('write');
const button = byId('generate');
const problem = byId('write-problem');
const OPTIONS = ['temperature', 'top-p', 'max-tokens', 'seed'];

/** Lets the form write with whatever model `current()` gives. */
export function startWriting(current) {
  let running = null;
  let done = Promise.resolve();
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (running) {
      running.abort();
      return;
    }
    clearProblem(problem);
    if (!isValid()) return;
    running = new AbortController();
    button.textContent = 'Stop';
    form.classList.add('busy');
    done = write(current(), running.signal);
    await done;
    running = null;
    button.textContent = 'Generate';
    form.classList.remove('busy');
  });
  byId('prompt').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !running) form.requestSubmit();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') running?.abort();
  });
  return {
    stop() {
      running?.abort();
      return done;
    },
  };
}

/** Takes away the last text, and says whether a new one can be asked for. */
export function clearText(isReady) {
  button.disabled = !isReady;
  clearProblem(problem);
  byId('given').textContent = '';
  byId('written').textContent = '';
  byId('write-status').textContent = '';
  for (const id of ['rate', 'count', 'bytes']) byId(id).textContent = '–';
}

function isValid() {
  const wrong = OPTIONS.map(byId).find((input) => !input.validity.valid);
  if (!wrong) return true;
  const { min, max } = wrong;
  const name = wrong.labels[0].textContent;
  showProblem(problem, `${name} cannot be used as it is`, {
    message: wrong.validity.badInput || wrong.validity.valueMissing
      ? 'It must be a number.'
      : `It must be a number from ${min} to ${max}${wrong.step === '1' ? ', without a fraction' : ''}.`,
  });
  wrong.focus();
  return false;
}

async function write(model, signal) {
  const prompt = byId('prompt').value;
  const lane = chosenLane();
  const [temperature, topP, maxTokens, seed] = OPTIONS.map((id) => byId(id).valueAsNumber);
  const status = byId('write-status');
  const written = byId('written');
  clearText(true);
  byId('given').textContent = prompt;
  byId('bytes').textContent = bytes(model.info.bytesPerToken[lane]);
  status.textContent = 'Reading the prompt…';
  const begin = performance.now();
  let first = 0;
  let count = 0;
  const showRates = () => {
    const seconds = (performance.now() - first) / 1000;
    byId('count').textContent = number(count);
    if (count > 1 && seconds > 0) byId('rate').textContent = number((count - 1) / seconds);
  };
  try {
    const pieces = model.generate(prompt, { lane, temperature, topP, maxTokens, seed, signal });
    for await (const piece of pieces) {
      if (count === 0) {
        first = performance.now();
        status.textContent = `Writing at ${laneNamed(lane).name}…`;
      }
      count += 1;
      written.append(piece);
      showRates();
    }
    status.textContent = `${counted(count, 'token')} at ${laneNamed(lane).name}.`;
  } catch (error) {
    if (!signal.aborted) {
      status.textContent = '';
      showProblem(problem, 'The text could not be written', error);
      return;
    }
    status.textContent = `Stopped after ${counted(count, 'token')}.`;
  }
}
