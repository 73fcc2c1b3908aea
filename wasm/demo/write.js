// Going on with a prompt: the form, the text as it comes, its speed.

import { byId, bytes, clearProblem, counted, number, showProblem } from './page.js';
import { chosenLane, laneNamed } from './lanes.js';

const form = byId('write');
const button = byId('generate');
const problem = byId('write-problem');
const status = byId('write-status');
const OPTIONS = ['temperature', 'top-p', 'max-tokens', 'seed'];

/** Why a text ended, where it was not the number of tokens. */
const ENDS = { text: '; the model ended the text', context: '; its context is full' };

/** Lets the form write with whatever model `current()` gives; `stop` waits until it has stopped. */
export function startWriting(current) {
  let running = null;
  let done = Promise.resolve();

  async function submit() {
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
  }

  function stop() {
    running?.abort();
    return done;
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
  });
  byId('prompt').addEventListener('keydown', (event) => {
    const isAsked = event.key === 'Enter' && (event.ctrlKey || event.metaKey);
    if (isAsked && !running && !button.disabled) submit();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') stop();
  });
  return { stop };
}

/** Makes room for another text, which can be asked for from now on. */
export function clearText() {
  button.disabled = false;
  clearProblem(problem);
  for (const id of ['given', 'written', 'write-status']) byId(id).textContent = '';
  for (const id of ['rate', 'count', 'bytes']) byId(id).textContent = '–';
}

/** Whether every option can be used; says so where one cannot. */
function isValid() {
  const wrong = OPTIONS.map(byId).find((input) => !input.validity.valid);
  if (!wrong) return true;
  const whole = wrong.step === '1' ? 'whole ' : '';
  showProblem(problem, `${wrong.labels[0].textContent} cannot be used as it is`, {
    message: `It must be a ${whole}number from ${wrong.min} to ${wrong.max}.`,
  });
  wrong.focus();
  return false;
}

/** Writes one text. */
async function write(model, signal) {
  const prompt = byId('prompt').value;
  const lane = chosenLane();
  const [temperature, topP, maxTokens, seed] = OPTIONS.map((id) => byId(id).valueAsNumber);
  const { name } = laneNamed(lane);
  clearText();
  byId('given').textContent = prompt;
  byId('bytes').textContent = bytes(model.info.bytesPerToken[lane]);
  status.textContent = `Writing at ${name}…`;
  const generation = model.generate(prompt, { lane, temperature, topP, maxTokens, seed, signal });
  let unseen = '';
  const show = () => {
    append(unseen);
    unseen = '';
    showStats(generation.stats);
  };
  const showSoon = oncePerFrame(show);
  try {
    for await (const piece of generation) {
      unseen += piece;
      showSoon();
    }
    const { tokens, end } = generation.stats;
    status.textContent = `${counted(tokens, 'token')} at ${name}${ENDS[end] ?? ''}.`;
  } catch (error) {
    const { tokens } = generation.stats;
    status.textContent = signal.aborted ? `Stopped after ${counted(tokens, 'token')}.` : '';
    if (!signal.aborted) showProblem(problem, 'The text could not be written', error);
  }
  show();
}

/** Adds to the text, and keeps its end in sight if it was. */
function append(text) {
  const place = byId('text');
  const isAtEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 4;
  byId('written').append(text);
  if (isAtEnd) place.scrollTop = place.scrollHeight;
}

function showStats({ tokens, tokensPerSecond }) {
  byId('count').textContent = number(tokens);
  if (tokensPerSecond > 0) byId('rate').textContent = number(tokensPerSecond);
}

/** A function that has `paint` called with the next frame, once however often it was asked for. */
function oncePerFrame(paint) {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      paint();
    });
  };
}
