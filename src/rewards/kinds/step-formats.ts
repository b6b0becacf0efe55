/** How models that judge steps were trained to be asked, as data. Knows no models. */
import { Type, type Static } from 'typebox'
import { closed } from '../descriptor-parts.js'

const text = Type.String({ minLength: 1, maxLength: 200 })

/** One format. */
export const stepFormatSchema = Type.Object({
  /** What stands between the steps of an answer. */
  separator: text,
  /**
   * What the model sees. `text`: question and steps as one text, without a template. `parts`: the same, behind the
   * model's beginning token, question and each step made tokens by itself. `answer`: a chat whose answer is the steps.
   * `turns`: a chat in which each step is a user's turn, the first behind the question, and each verdict the
   * assistant's.
   */
  layout: Type.Enum(['text', 'parts', 'answer', 'turns']),
  /**
   * Written after each step; control tokens by their text, which must then be one token. It is read at the marker's
   * last token, or, in turns, before the marker, which is the verdict.
   */
  marker: text,
  /** Between question and first step, in all layouts but `answer`. Default a space. */
  afterQuestion: Type.Optional(Type.String({ maxLength: 200 })),
  /** Between a marker and the next step. Default nothing. */
  betweenSteps: Type.Optional(Type.String({ maxLength: 200 })),
  /** A system message in place of the conversation's own. */
  system: Type.Optional(Type.String({ minLength: 1, maxLength: 4000 })),
  /** Of a language model: the tokens, one each, whose probabilities are compared. */
  verdicts: Type.Optional(Type.Object({ good: text, bad: text }, closed)),
  /** Of a model with several scores: that of a correct step. */
  label: Type.Optional(Type.Integer({ minimum: 0 }))
}, closed)

export type StepFormat = Static<typeof stepFormatSchema>

/**
 * Published formats, from the models' own code: Math-Shepherd (Wang et al. 2023, arXiv 2312.08935; its model card),
 * RLHFlow's PRMs (Dong et al. 2024; math-rm/prm_evaluate.py of RLHFlow/RLHF-Reward-Modeling), Skywork-o1-Open-PRM
 * (prepare_input of SkyworkAI/skywork-o1-prm-inference; blank steps, which it judges too, are left out here) and
 * Qwen2.5-Math-PRM (Zhang et al. 2025, arXiv 2501.07301; its model card).
 */
export const stepFormats = {
  // Its verdicts are the vocabulary's ▁+ and ▁−, with a space before them.
  math_shepherd: {
    separator: '\n', layout: 'text', marker: ' ки', betweenSteps: '\n', verdicts: { good: ' +', bad: ' -' }
  },
  rlhflow: { separator: '\n\n', layout: 'turns', marker: '+', verdicts: { good: '+', bad: '-' } },
  skywork: { separator: '\n', layout: 'parts', afterQuestion: '\n', marker: '\n' },
  qwen: {
    separator: '\n\n',
    layout: 'answer',
    marker: '<extra_0>',
    system: 'Please reason step by step, and put your final answer within \\boxed{}.',
    label: 1
  }
} as const satisfies Record<string, StepFormat>

export type StepFormatName = keyof typeof stepFormats
export const stepFormatNames = Object.keys(stepFormats) as StepFormatName[]

/** The steps of an answer; what is blank is none. */
export const stepsOf = (answer: string, { separator }: StepFormat): string[] =>
  answer.split(separator).filter(step => step.trim() !== '')
