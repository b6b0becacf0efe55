/**
 * The schema of a field that holds one or several prompts, each text or token ids, as legacy completions and embeddings
 * take it.
 */
import { Type, type Static } from 'typebox'
import type { PromptInput } from '../../serving/protocol.js'

/** Prompts of one request, at most. */
const mostPrompts = 128

const text = Type.String({ minLength: 1 })
const tokens = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 })

export const promptSchema = Type.Union([
  text,
  Type.Array(text, { minItems: 1, maxItems: mostPrompts }),
  tokens,
  Type.Array(tokens, { minItems: 1, maxItems: mostPrompts })
], { description: `a text, a list of token ids, or up to ${mostPrompts} of either` })

/** The prompts of a checked field. */
export function promptsOf (value: Static<typeof promptSchema>, addSpecialTokens: boolean): PromptInput[] {
  if (typeof value === 'string') return [{ text: value, addSpecialTokens }]
  if (typeof value[0] === 'number') return [{ tokens: value as number[] }]
  return (value as Array<string | number[]>).map(one =>
    typeof one === 'string' ? { text: one, addSpecialTokens } : { tokens: one })
}
