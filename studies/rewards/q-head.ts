/**
 * Adds a next-token member to a built-in reward, a Q-head fitted on the policy's own answers, and a section to its
 * card.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { say } from '../../src/cli/command.js'
import { drawing } from '../../src/fitting/draw-positions.js'
import { fitQHead } from '../../src/fitting/fit-q-head.js'
import { poolPrompts } from '../../src/fitting/reference-pool.js'
import { loadPrompts } from '../../src/evaluation/prompt-sets.js'
import type { QHead } from '../../src/rewards/kinds/q-head.js'
import type { Arguments } from '../../tools/program.js'
import { withPolicy } from '../setup.js'
import { sentimentPrompts } from './data.js'
import { readHead, rewardFile, writeDescriptor } from './descriptors.js'

/** What a reward's answers are drawn to: texts of the kind that it is used on. */
interface Prompts {
  readonly train: readonly string[]
  /** Set of evaluations whose first 20 prompts are asked. */
  readonly test: string
  readonly answersPerPrompt: number
  readonly trainName: string
}

const promptsOf: Readonly<Record<string, Prompts>> = {
  positive: {
    train: [...sentimentPrompts, ...poolPrompts().slice(0, 10)],
    test: 'reviews',
    answersPerPrompt: 10,
    trainName: 'the 8 review prompts and the first 10 pool prompts'
  },
  helpful: {
    train: poolPrompts().slice(10), test: 'instructions', answersPerPrompt: 6, trainName: 'the last 30 pool prompts'
  }
}

const title = '## Next tokens'
const testName = ({ test }: Prompts): string => `the first 20 of evaluation/prompts/${test}.json`

export function section ({ fit, metrics, rank, layer }: QHead, prompts: Prompts, command: string): string {
  return `${title}

A Q-head (${rank - 2} products and two linear terms of the state at layer ${layer} and the token’s embedding) foretells what each next token would do to the score, without reading it: the next_token member, on the prefix member’s scale.
Fitted on what reading the ${metrics.candidates} most probable tokens gave, ${fit.values} values in ${fit.positions} places of ${prompts.answersPerPrompt} answers each to ${prompts.trainName} (at most ${drawing.maxTokens} tokens; a third drawn by the policy, the others pulled towards or away from the reward), λ = ${fit.regularization}; made by \`${command}\`.

Rank correlation (Spearman) with what reading gives, over the ${metrics.candidates} most probable tokens of ${metrics.positions} places in answers to ${testName(prompts)}, none of them seen: **${metrics.rankCorrelation.toFixed(3)} ± ${metrics.standardError.toFixed(3)}** (standard error over prompts).
`
}

/** @param command how to make it again, for the card */
export async function trainQHead (args: Arguments, reward: string, command: string): Promise<void> {
  const prompts = promptsOf[reward]!
  const chat = (content: string) => [{ role: 'user', content }]
  await withPolicy(args, async policy => {
    const { nextToken: _, weights, ...descriptor } = readHead(reward)
    const nextToken = await fitQHead({
      policy,
      head: { ...descriptor, weights },
      prompts: prompts.train.map(chat),
      test: loadPrompts(prompts.test).slice(0, 20).map(chat),
      split: testName(prompts),
      answersPerPrompt: prompts.answersPerPrompt,
      onProgress: (done, total) => { if (done % 20 === 0 || done === total) say(`answers ${done}/${total}`) }
    })
    writeDescriptor({ ...descriptor, nextToken, weights })
    const card = rewardFile(`${reward}.md`)
    const [before] = readFileSync(card, 'utf8').split(`\n${title}`)
    writeFileSync(card, `${before!.trimEnd()}\n\n${section(nextToken, prompts, command)}`)
  })
}
