/** The rule that an answer ends in the right number, for prompts whose right number is known: a verifier of sums. */
import { Type } from 'typebox'
import { finalNumber } from '../../../answers/extract.js'
import { RequestError } from '../../../errors.js'
import type { RulePrompt } from './rule-thread.js'
import { defineRule } from './rule.js'

/** What was asked last. */
const question = ({ messages }: RulePrompt): string => messages.findLast(({ role }) => role === 'user')?.content ?? ''

/** 1 where the final number is the one that `answers` gives for the last user message, within `tolerance`; else 0. */
export const numericAnswer = defineRule({
  fields: {
    answers: Type.Record(Type.String(), Type.Number(), { minProperties: 1 }),
    /** Largest difference that still counts as right, absolute. Default 1e-6. */
    tolerance: Type.Optional(Type.Number({ minimum: 0 }))
  },
  members: ['outcome'],
  compile ({ answers, tolerance = 1e-6 }) {
    const known = new Map(Object.entries(answers))
    return ({ text }, prompt) => {
      const right = known.get(question(prompt))
      if (right === undefined) {
        throw new RequestError('invalid_request',
          `the reward's answers have no entry for this prompt; got ${JSON.stringify(question(prompt).slice(0, 80))}`,
          { param: 'messages' })
      }
      const given = finalNumber(text)
      return given !== null && Math.abs(given - right) <= tolerance ? 1 : 0
    }
  }
})
