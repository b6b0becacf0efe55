/** Answers as scorers take them, read by the policy. */
import type { Sequence, States } from '../../engine/sequence.js'
import type { Answer } from '../../rewards/scorer.js'
import type { AnswerText } from '../unread-answer.js'

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
