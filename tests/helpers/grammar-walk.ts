/** Grammars without a model: which texts they accept, and random texts that they allow. */
import type { Constraint } from '../../src/policies/constraint.js'
import type { Random } from '../../src/policies/random-stream.js'
import { Grammars } from '../../src/grammar/grammars.js'
import { vocabularyOf } from '../../src/grammar/vocabulary.js'

/** Every byte, some longer tokens, an end token. */
const longer = ['{"', '":', '", "', '"}', 'true', 'null', ' the', '12', '\\"', '\\u', '00', '},{', '\n  ', 'é', '😀',
  '"]']
const tokens: Uint8Array[] = [...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...longer.map(text => Buffer.from(text))]
const endToken = tokens.length
/** What ends something, so that random texts end. */
const closing = new Set(['"', ']', '}', '"}', '"]'].map(text =>
  tokens.findIndex(token => Buffer.from(token).toString() === text)))

export const walkVocabulary = vocabularyOf({
  vocabularySize: tokens.length + 1, tokenBytes: token => tokens[token] ?? new Uint8Array(), endTokens: [endToken]
})

const isAllowed = (allowed: Int32Array, token: number): boolean => (allowed[token >> 5]! >>> (token & 31) & 1) === 1

/** Opens a grammar's text. */
export const open = (grammars: Grammars, text: string, signal: AbortSignal, caller = ''): Promise<Constraint> =>
  grammars.open({ type: 'grammar', text }, { param: 'field', caller, signal })

/** Whether a text is one that the grammar accepts. */
export async function accepts (grammars: Grammars, grammar: string, text: string): Promise<boolean> {
  const controller = new AbortController()
  try {
    const answer = (await open(grammars, grammar, controller.signal)).start()
    for (const byte of Buffer.from(text)) {
      await answer.ready()
      if (!isAllowed(answer.allowed, byte)) return false
      answer.accept(byte)
    }
    await answer.ready()
    return isAllowed(answer.allowed, endToken)
  } finally {
    controller.abort()
  }
}

/** A random text that the grammar allows to end, or null if it has not ended after so many tokens. */
export async function randomText (
  grammars: Grammars, grammar: string, random: Random, maxTokens: number
): Promise<string | null> {
  const controller = new AbortController()
  const drawn: Uint8Array[] = []
  try {
    const answer = (await open(grammars, grammar, controller.signal)).start()
    while (drawn.length < maxTokens) {
      await answer.ready()
      const allowed =
        Array.from({ length: endToken + 1 }, (_, token) => token).filter(token => isAllowed(answer.allowed, token))
      const ends = allowed.filter(token => token === endToken || closing.has(token))
      const among = ends.length > 0 && random.next() < 0.5 ? ends : allowed
      const token = among[Math.floor(random.next() * among.length)]!
      if (token === endToken) return Buffer.concat(drawn).toString()
      drawn.push(tokens[token]!)
      answer.accept(token)
    }
    return null
  } finally {
    controller.abort()
  }
}
