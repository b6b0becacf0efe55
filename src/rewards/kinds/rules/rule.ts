/** What a rule is: a score that follows from an answer's text or tokens alone. It needs no model and costs nothing. */
import type { Static, TObject, TProperties } from 'typebox'
import type { AnswerMember } from '../../scorer.js'
import type { RuleAnswer, RulePrompt } from './rule-thread.js'

/** The raw score of one answer. */
export type RuleScore = (answer: RuleAnswer, prompt: RulePrompt) => number | Promise<number>

/** One rule. Its raw score is the share of its checks that hold, 0 to 1, unless `unscaled`. */
export interface Rule {
  /** Fields of its descriptors beside the family's own and `kind`, `rule`, `members`. */
  readonly fields: TProperties
  /** What it can judge: some verdicts make no sense before the answer ends. */
  readonly members: readonly AnswerMember[]
  /** True where raw scores have no scale of their own, so that a descriptor must bring statistics. */
  readonly unscaled?: true
  /** True where a score takes no time, whatever the text: it is computed where it is asked for. */
  readonly instant?: true
  /**
   * The rule of one descriptor.
   * @throws RequestError naming the field, the rule and the value, for what the schema cannot say
   */
  compile (fields: Readonly<Record<string, unknown>>): RuleScore
  /**
   * The ceiling of one descriptor: an upper bound of a text's raw score, whatever is appended to it. Absent where there
   * is none before the end.
   */
  compileCeiling? (fields: Readonly<Record<string, unknown>>): (text: string) => number
}

/** A rule whose `compile` and `compileCeiling` see its fields with their types. */
export function defineRule<F extends TProperties> (rule: Omit<Rule, 'fields' | 'compile' | 'compileCeiling'> & {
  readonly fields: F,
  compile (fields: Static<TObject<F>>): RuleScore,
  compileCeiling? (fields: Static<TObject<F>>): (text: string) => number
}): Rule {
  const { compile, compileCeiling, ...rest } = rule
  return {
    ...rest,
    compile: fields => compile(fields as Static<TObject<F>>),
    ...(compileCeiling && { compileCeiling: fields => compileCeiling(fields as Static<TObject<F>>) })
  }
}
