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
  const { name } = laneNamed(lane);
  const status = byId('write-status');
  clearText(true);
  byId('given').textContent = prompt;
  byId('bytes').textContent = bytes(model.info.bytesPerToken[lane]);
  status.textContent = `Writing at ${name}…`;
  const progress = new Progress();
  try {
    const options = { lane, temperature, topP, maxTokens, seed, signal };
    for await (const piece of model.generate(prompt, options)) progress.add(piece);
    status.textContent = `${counted(progress.count, 'token')} at ${name}.`;
  } catch (error) {
    status.textContent = signal.aborted ? `Stopped after ${counted(progress.count, 'token')}.` : '';
    if (!signal.aborted) showProblem(problem, 'The text could not be written', error);
  } finally {
    progress.paint();
  }
}

/** The text so far and its speed, on the page once a frame. */
class Progress {
  count = 0;
  #unseen = '';
  #first = 0;
  #isAsked = false;

  add(piece) {
    const now = performance.now();
    if (this.count === 0) this.#first = now;
    this.count += 1;
    this.#unseen += piece;
    this.rate = (1000 * (this.count - 1)) / (now - this.#first);
    if (this.#isAsked) return;
    this.#isAsked = true;
    requestAnimationFrame(() => {
      this.#isAsked = false;
      this.paint();
    });
  }

  paint() {
    const text = byId('text');
    const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 4;
    byId('written').append(this.#unseen);
    this.#unseen = '';
    if (isAtEnd) text.scrollTop = text.scrollHeight;
    byId('count').textContent = number(this.count);
    if (this.rate > 0) byId('rate').textContent = number(this.rate);
  }
}
