import { parentPort } from 'node:worker_threads';
import './node.js';
import { serve } from './thread.js';

serve({
  post: (message, transfer) => parentPort?.postMessage(message, transfer as ArrayBuffer[]),
  listen: (take) => void parentPort?.on('message', take),
});
