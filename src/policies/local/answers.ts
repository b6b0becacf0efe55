/** Answers as scorers take them: read by the policy, or by no model. */
import type { Sequence, States } from '../../engine/sequence.js'
import type { Answer } from '../../rewards/scorer.js'

type AnswerText = Pick<Answer, 'text' | 'tokens' | 'final'>

/** The states after one token more, run on a fork. */
async function statesAfter (sequence: Sequence, token: number): Promise<States> {
  const fork = sequence.fork()
  try {
    fork.append(token)
    return await fork.output()
  } finally {
    fork.close()
  }
}

/**
 * @param sequence of the policy: prompt and answer, all of it fed
 * @param states its own
 */
export const readAnswer = (
  answer: AnswerText, sequence: Sequence, states: States
): Answer => ({ ...answer, states, after: token => statesAfter(sequence, token) })

const unread = (): never => { throw new Error('the answer was not read: the reward declared no layers') }

/** An answer that no model reads: rules, readers of texts and remote scorers look at its text and tokens only. */
export const unreadAnswer = (
  answer: AnswerText
): Answer => ({ ...answer, get states () { return unread() }, after: unread })
