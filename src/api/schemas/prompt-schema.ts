/**
 * The schema of a field that holds one or several prompts, each text or token ids, as legacy completions and embeddings
 * take it.
 */
import { Type, type Static } from 'typebox'
import type { PromptInput } from '../../serving/protocol.js'

const text = Type.String({ minLength: 1 })
const tokens = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 })

/** @param most prompts of one request */
export const promptSchema = (most: number) => Type.Union([
  text,
  Type.Array(text, { minItems: 1, maxItems: most }),
  tokens,
  Type.Array(tokens, { minItems: 1, maxItems: most })
], { description: `a text, a list of token ids, or up to ${most} of either` })

/** The prompts of a checked field. */
export function promptsOf (value: Static<ReturnType<typeof promptSchema>>, addSpecialTokens: boolean): PromptInput[] {
  if (typeof value === 'string') return [{ text: value, addSpecialTokens }]
  if (typeof value[0] === 'number') return [{ tokens: value as number[] }]
  return (value as Array<string | number[]>).map(one =>
    typeof one === 'string' ? { text: one, addSpecialTokens } : { tokens: one })
}
