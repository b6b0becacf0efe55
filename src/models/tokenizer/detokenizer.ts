/** Tokens → text as they come: holds back the bytes of an unfinished character. Knows no stop strings. */
import type { Tokenizer } from './tokenizer.js'

/** How many bytes a UTF-8 character has, by its first byte; 0 for a byte that begins none. */
function characterLength (first: number): number {
  if (first < 0x80) return 1
  if (first >= 0xC2 && first < 0xE0) return 2
  if (first >= 0xE0 && first < 0xF0) return 3
  return first >= 0xF0 && first < 0xF5 ? 4 : 0
}

/** Number of bytes at the end that may be the beginning of a character. */
function unfinished (bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!
    if ((byte & 0xC0) === 0x80) continue
    return characterLength(byte) > back ? back : 0
  }
  return 0
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A token's text; bytes that are no text by themselves as `bytes:\xe2\x80`. */
export function pieceText (bytes: Uint8Array): string {
  try {
    return strict.decode(bytes)
  } catch {
    return `bytes:${Array.from(bytes, byte => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`
  }
}

/** Turns one answer's tokens to text. The pushed texts and the flushed one together are the decoded whole. */
export class IncrementalDetokenizer {
  readonly #tokenBytes: Tokenizer['tokenBytes']
  #held = new Uint8Array()

  constructor (tokenBytes: Tokenizer['tokenBytes']) {
    this.#tokenBytes = tokenBytes
  }

  /** Text that this token completes; may be empty. */
  push (token: number): string {
    const bytes =
      this.#held.length === 0 ? this.#tokenBytes(token) : Buffer.concat([this.#held, this.#tokenBytes(token)])
    const end = bytes.length - unfinished(bytes)
    const text = decoder.decode(bytes.subarray(0, end))
    this.#held = Uint8Array.from(bytes.subarray(end))
    return text
  }

  /** Text still held back, as replacement characters. */
  flush (): string {
    const text = decoder.decode(this.#held)
    this.#held = new Uint8Array()
    return text
  }

  fork (): IncrementalDetokenizer {
    const copy = new IncrementalDetokenizer(this.#tokenBytes)
    copy.#held = this.#held
    return copy
  }
}
