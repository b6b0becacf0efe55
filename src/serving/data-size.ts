/** How large plain data is in memory, about. */

/** Bytes of a number, and of what holds a value. */
const numberBytes = 8
const holderBytes = 16

/** Bytes that plain data takes: texts as UTF-8, numbers, and what holds them. */
export function dataBytes (data: unknown): number {
  if (typeof data === 'string') return Buffer.byteLength(data)
  if (typeof data !== 'object' || data === null) return numberBytes
  if (ArrayBuffer.isView(data)) return data.byteLength
  // Prompts of token ids.
  if (Array.isArray(data) && typeof data[0] === 'number') return holderBytes + data.length * numberBytes
  let bytes = holderBytes
  for (const [key, value] of Object.entries(data)) bytes += (Array.isArray(data) ? 0 : key.length) + dataBytes(value)
  return bytes
}
