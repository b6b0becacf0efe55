/** Every rule by name, and a rule's descriptor as a source of scores. A new rule is one entry here. */
import { Type, type Static, type TProperties } from 'typebox'
import { RequestError } from '../../../errors.js'
import { membersSchema, type Normalization } from '../../descriptor-parts.js'
import type { OpenContext, RawScore, RewardSource } from '../../reward-kind.js'
import type { Answer, AnswerMember, Prompt } from '../../scorer.js'
import { bulletCount, length, wordCount } from './counts.js'
import { jsonSchema } from './json-schema-rule.js'
import { language } from './language.js'
import { numericAnswer } from './numeric-answer.js'
import { regex } from './regex.js'
import { RuleThread } from './rule-thread.js'
import type { Rule } from './rule.js'
import { bannedWords, mustMention } from './words.js'

export const rules = {
  length,
  regex,
  json_schema: jsonSchema,
  banned_words: bannedWords,
  must_mention: mustMention,
  word_count: wordCount,
  bullet_count: bulletCount,
  numeric_answer: numericAnswer,
  language
} as const satisfies Record<string, Rule>

export type RuleName = keyof typeof rules

/** Whether a rule scores from 0 to 1. */
export const scoresShare = (name: RuleName): boolean => !(rules[name] as Rule).unscaled

/** A rule's descriptor beside the family's fields; its own fields go by the rule. */
export interface RuleDescriptor {
  readonly kind: 'rule', readonly rule: RuleName, readonly members?: Static<typeof membersSchema>
}

/** Default statistics of a share: 1 becomes +1, 0 becomes −1. */
const shareNormalization: Normalization = { mean: 0.5, std: 0.5, pool: 'none: 1 is +1, 0 is −1' }

/** Fields of a rule's descriptor beside the family's. */
export function ruleFields (name: RuleName): TProperties {
  const { fields, unscaled }: Rule = rules[name]
  return {
    kind: Type.Literal('rule'),
    rule: Type.Literal(name),
    members: unscaled ? membersSchema : Type.Optional(membersSchema),
    ...fields
  }
}

const thread = new RuleThread()

/** Scores answers in the rules' thread, in order. */
async function scoreInThread (
  descriptor: string, { messages }: Prompt, answers: readonly Answer[],
  { name, request: { caller = '', signal } }: OpenContext
): Promise<RawScore[]> {
  const score = ({ text, final }: Answer): Promise<number> =>
    thread.score({ descriptor, answer: { text, tokens: [], final }, prompt: { messages } }, { caller, signal })
  try {
    return await Promise.all(answers.map(async answer => ({ raw: await score(answer) })))
  } catch (error) {
    if (signal.aborted || error instanceof RequestError) throw error
    throw new RequestError('scorer_failed', `reward "${name}": the rule ${(error as Error).message}`, { cause: error })
  }
}

/** @throws RequestError for fields that no rule can follow, and statistics of a member that the rule does not have */
export function ruleSource (descriptor: RuleDescriptor): RewardSource {
  const rule: Rule = rules[descriptor.rule]
  const fields = descriptor as unknown as Readonly<Record<string, unknown>>
  const score = rule.compile(fields)
  const text = JSON.stringify(descriptor)
  const ceiling = rule.compileCeiling?.(fields)
  const stated = Object.keys(descriptor.members ?? {}) as AnswerMember[]
  const foreign = stated.find(member => !rule.members.includes(member))
  if (foreign) {
    throw new RequestError('invalid_request',
      `members.${foreign} is not allowed: ${descriptor.rule} supports only ${rule.members.join(' and ')}`)
  }
  return {
    members: rule.unscaled ? stated : rule.members,
    incompatibility: () => null,
    open: (member, context) => ({
      normalization: descriptor.members?.[member]?.normalization ?? shareNormalization,
      layers: [],
      forks: false,
      score: (prompt, answers) => rule.instant
        ? Promise.all(answers.map(async answer => ({ raw: await score(answer, prompt) })))
        : scoreInThread(text, prompt, answers, context),
      ...(ceiling && { ceiling })
    })
  }
}
