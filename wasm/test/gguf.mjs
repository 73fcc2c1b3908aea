// A small llama with float weights, written from the format's description.

const [U32, F32, STRING, ARRAY, I32] = [4, 6, 8, 9, 5];

/** Bytes of a GGUF file; weights from a linear congruential sequence. */
export function tinyModel({ dim = 32, hidden = 48, layers = 2, heads = 4, kvHeads = 2, context = 48 } = {}) {
  const letters = [...'abcdefghijklmnopqrstuvwxyz', '▁', 'é', 'th', 'he', 'the', '▁the'];
  const hex = (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
  const tokens = ['<unk>', '<s>', '</s>', ...Array.from({ length: 256 }, (_, i) => hex(i)), ...letters];
  const types = tokens.map((_, i) => (i === 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1));
  const metadata = [
    ['general.architecture', STRING, 'llama'],
    ['general.name', STRING, 'tiny'],
    ['llama.embedding_length', U32, dim],
    ['llama.feed_forward_length', U32, hidden],
    ['llama.block_count', U32, layers],
    ['llama.attention.head_count', U32, heads],
    ['llama.attention.head_count_kv', U32, kvHeads],
    ['llama.attention.layer_norm_rms_epsilon', F32, 1e-5],
    ['llama.context_length', U32, context],
    ['tokenizer.ggml.model', STRING, 'llama'],
    ['tokenizer.ggml.tokens', ARRAY, [STRING, tokens]],
    ['tokenizer.ggml.scores', ARRAY, [F32, tokens.map((_, i) => (i < 259 ? 0 : -i))]],
    ['tokenizer.ggml.token_type', ARRAY, [I32, types]],
  ];
  const kv = Math.floor(dim / heads) * kvHeads;
  const tensors = [['token_embd', dim, tokens.length]];
  for (let layer = 0; layer < layers; layer++) {
    const part = (name, ...dims) => tensors.push([`blk.${layer}.${name}`, ...dims]);
    part('attn_norm', dim);
    part('attn_q', dim, dim);
    part('attn_k', dim, kv);
    part('attn_v', dim, kv);
    part('attn_output', dim, dim);
    part('ffn_norm', dim);
    part('ffn_gate', dim, hidden);
    part('ffn_up', dim, hidden);
    part('ffn_down', hidden, dim);
  }
  tensors.push(['output_norm', dim], ['output', dim, tokens.length]);

  const file = new Writer();
  file.bytes(new TextEncoder().encode('GGUF'));
  file.u32(3);
  file.u64(tensors.length);
  file.u64(metadata.length);
  for (const [key, type, value] of metadata) {
    file.string(key);
    file.u32(type);
    file.value(type, value);
  }
  let offset = 0;
  for (const [name, ...dims] of tensors) {
    file.string(`${name}.weight`);
    file.u32(dims.length);
    dims.forEach((length) => file.u64(length));
    file.u32(0);
    file.u64(offset);
    offset += Math.ceil((dims.reduce((a, b) => a * b, 4)) / 32) * 32;
  }
  let state = 7;
  for (const [name, ...dims] of tensors) {
    file.pad(32);
    for (let i = dims.reduce((a, b) => a * b, 1); i > 0; i--) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const chance = state / 2 ** 31 - 1;
      file.f32(name.endsWith('norm') ? 1 + chance / 8 : chance / 2);
    }
  }
  file.pad(32);
  return file.done();
}

class Writer {
  #view = new DataView(new ArrayBuffer(1 << 20));
  #at = 0;

  bytes(bytes) {
    new Uint8Array(this.#view.buffer).set(bytes, this.#at);
    this.#at += bytes.length;
  }

  u32(value) {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  u64(value) {
    this.#view.setBigUint64(this.#at, BigInt(value), true);
    this.#at += 8;
  }

  f32(value) {
    this.#view.setFloat32(this.#at, value, true);
    this.#at += 4;
  }

  string(text) {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    this.bytes(bytes);
  }

  value(type, value) {
    if (type === U32 || type === I32) this.u32(value);
    else if (type === F32) this.f32(value);
    else if (type === STRING) this.string(value);
    else {
      const [element, values] = value;
      this.u32(element);
      this.u64(values.length);
      values.forEach((value) => this.value(element, value));
    }
  }

  pad(alignment) {
    this.#at = Math.ceil(this.#at / alignment) * alignment;
  }

  done() {
    return new Uint8Array(this.#view.buffer.slice(0, this.#at));
  }
}
