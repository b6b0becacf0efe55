/** A tokenizer's tokens as the grammar thread takes them. */
import type { Tokenizer } from '../models/tokenizer/tokenizer.js'
import type { Vocabulary } from './grammar-protocol.js'

/** The bytes of every token, one after the other, as the matcher takes them. */
export function vocabularyOf (tokenizer: Pick<Tokenizer, 'vocabularySize' | 'tokenBytes' | 'endTokens'>): Vocabulary {
  const texts = Array.from({ length: tokenizer.vocabularySize }, (_, token) => tokenizer.tokenBytes(token))
  const ends = new Uint32Array(texts.length)
  for (const [token, { length }] of texts.entries()) ends[token] = (ends[token - 1] ?? 0) + length
  return { bytes: Buffer.concat(texts), ends, endTokens: tokenizer.endTokens }
}
