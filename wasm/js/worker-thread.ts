import { serve } from './thread.js';

serve({
  post: (message, transfer) => self.postMessage(message, { transfer }),
  listen(take) {
    self.onmessage = ({ data }) => take(data);
  },
});
