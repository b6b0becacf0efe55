/** Answers as scorers take them, read by no model. */
import type { Answer } from '../rewards/scorer.js'

/** What is known of an answer without reading it. */
export type AnswerText = Pick<Answer, 'text' | 'tokens' | 'final'>

const unread = (): never => { throw new Error('the answer was not read: the reward declared no layers') }

/** An answer that no model reads: rules, readers of texts and remote scorers look at its text and tokens only. */
export const unreadAnswer = (
  answer: AnswerText
): Answer => ({ ...answer, get states () { return unread() }, after: unread })
