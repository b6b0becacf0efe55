/**
 * Bytes of text that a model's context can have room for, looked at before a text is tokenised: no token stands for
 * more than the longest.
 */
import { RequestError } from '../../errors.js'
import type { Tokenizer } from './tokenizer.js'

/** What texts are read with. */
interface TextModel { readonly tokenizer: Tokenizer, readonly contextLength: number }

const longestTokens = new WeakMap<Tokenizer, number>()

/** Bytes of the longest token. */
function longestToken (tokenizer: Tokenizer): number {
  const known = longestTokens.get(tokenizer)
  if (known !== undefined) return known
  let longest = 1
  for (let token = 0; token < tokenizer.vocabularySize; token++) {
    longest = Math.max(longest, tokenizer.writtenBytes(token).length)
  }
  longestTokens.set(tokenizer, longest)
  return longest
}

/** Bytes of UTF-8 that a text, or all texts of a conversation, may have. */
export const maxTextBytes = ({ tokenizer, contextLength }: TextModel): number =>
  contextLength * longestToken(tokenizer)

/** Bytes of all texts in plain data, such as messages, as UTF-8. */
export function textBytes (data: unknown): number {
  if (typeof data === 'string') return Buffer.byteLength(data)
  if (typeof data !== 'object' || data === null) return 0
  return Object.values(data).reduce((sum: number, value) => sum + textBytes(value), 0)
}

/**
 * @param data that holds the texts
 * @param param the field that it is
 * @throws RequestError context_length_exceeded
 */
export function checkTextBytes (model: TextModel, data: unknown, param: string): void {
  const [bytes, most] = [textBytes(data), maxTextBytes(model)]
  if (bytes <= most) return
  throw new RequestError('context_length_exceeded', `${param} may have ${most} bytes of text: this model's context ` +
    `length is ${model.contextLength} tokens, the longest of ${longestToken(model.tokenizer)} bytes; got ${bytes}`,
  { param })
}
