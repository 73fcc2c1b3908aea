/** Bytes of a value of each type; the types of texts and arrays have none of their own. */
const BYTES = [1, 1, 2, 2, 4, 4, 4, 1, NaN, NaN, 8, 8, 8];

const [STRING, ARRAY] = [8, 9];

/** `GGUF`, version and number of tensors lie before the number of keys. */
const [MAGIC, KEYS_AT] = [[0x47, 0x47, 0x55, 0x46], 16];

/**
 * `general.architecture` of a GGUF file that begins with these bytes; `undefined` while too few have
 * come to tell, `null` when there is none. Whether the file is valid is the engine's matter.
 */
export function architecture(head: Uint8Array): string | null | undefined {
  if (MAGIC.some((byte, i) => i < head.length && byte !== head[i])) return null;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  let at = KEYS_AT;
  const u32 = () => view.getUint32((at += 4) - 4, true);
  const u64 = () => Number(view.getBigUint64((at += 8) - 8, true));
  const jump = (bytes: number) => void (at += bytes);
  const text = () => {
    const start = at + 8;
    at = start + u64();
    if (at > head.length) throw new RangeError();
    return new TextDecoder().decode(head.subarray(start, at));
  };
  /** Goes behind a value; says whether its type is known. */
  const skip = (type: number): boolean => {
    if (type === STRING) jump(u64());
    else if (type === ARRAY) {
      const [element, count] = [u32(), u64()];
      if (element !== STRING) jump(count * (BYTES[element] ?? NaN));
      else for (let i = 0; i < count; i++) jump(u64());
    } else jump(BYTES[type] ?? NaN);
    return !Number.isNaN(at);
  };
  try {
    for (let left = u64(); left > 0; left--) {
      const [key, type] = [text(), u32()];
      if (key === 'general.architecture') return type === STRING ? text() : null;
      if (!skip(type)) return null;
    }
    return null;
  } catch (error) {
    // Read beyond the end.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
