/**
 * Measures helpful and positive as they are built in anew, on their test sets, and says whether the figures of their
 * cards still hold: accuracy by share of the answer read, and the controls. Writes nothing; ends with 1 where a figure
 * is further from the card's than its standard error.
 *
 *   node dist/studies/rewards/check-cards.js --data DIR [--threads N]
 */
import { say } from '../../src/cli/command.js'
import { toSamples, type Examples } from '../../src/fitting/examples.js'
import { evaluateScore, type StateSet } from '../../src/fitting/held-out-figures.js'
import { percentage } from '../../src/reporting/estimate.js'
import type { HeadDescriptor } from '../../src/rewards/descriptor.js'
import { linearScore } from '../../src/rewards/kinds/head.js'
import type { ReadablePolicy } from '../../src/rewards/readable-policy.js'
import { runProgram } from '../../tools/program.js'
import { statesOf, studyOptions, withPolicy } from '../setup.js'
import { helpfulFit, positiveFit, type FitData } from './data.js'
import { readHead } from './descriptors.js'

/** Examples with the states that a head reads of them. */
async function setOf (
  policy: ReadablePolicy, examples: Examples, { layer, fit }: HeadDescriptor, cacheDirectory: string
): Promise<StateSet> {
  const set = toSamples(examples)
  return { ...set, ...await statesOf(policy, set.answers, { layer, cacheDirectory, maxTokens: fit!.maxAnswerTokens }) }
}

/** @returns whether all figures hold */
async function check (
  policy: ReadablePolicy, cacheDirectory: string, name: string, { train, test }: FitData
): Promise<boolean> {
  const reward = readHead(name)
  const { weights, bias, metrics: recorded } = reward
  const sets = [await setOf(policy, train, reward, cacheDirectory),
    await setOf(policy, test, reward, cacheDirectory)] as const
  const found = evaluateScore(state => linearScore(weights, bias, state), ...sets, recorded!.split, true)
  let holds = true
  const compare = (what: string, given: number, card: number, error: number): void => {
    const isNear = Math.abs(given - card) <= error
    holds &&= isNear
    console.log(`${name} (${policy.format}), ${what}: ${percentage(given)}, in the card ${percentage(card)} ± ` +
      `${percentage(error)}${isNear ? '' : ': no longer true'}`)
  }
  for (const [index, { fraction, accuracy, standardError }] of found.byPrefix.entries()) {
    compare(`${100 * fraction} % of the answer`, accuracy, recorded!.byPrefix[index]!.accuracy, standardError)
  }
  const { standardError } = found.byPrefix.at(-1)!
  for (const control of ['lengthOnly', 'tfidf'] as const) {
    compare(control, found.controls[control], recorded!.controls[control], standardError)
  }
  compare('randomHead', found.controls.randomHead, recorded!.controls.randomHead, recorded!.controls.randomHeadStd)
  compare('calibrationError', found.calibrationError!, recorded!.calibrationError!, standardError)
  return holds
}

await runProgram({
  command: 'node dist/studies/rewards/check-cards.js',
  usage: '--data DIR [OPTIONS]',
  summary: 'Whether the cards of helpful and positive still hold',
  options: studyOptions,
  run: args => withPolicy(args, async (policy, cacheDirectory) => {
    const held = [await check(policy, cacheDirectory, 'positive', await positiveFit(args.text('data'))),
      await check(policy, cacheDirectory, 'helpful', await helpfulFit(args.text('data')))]
    say(held.every(Boolean) ? 'the cards hold' : 'a card no longer holds')
    if (!held.every(Boolean)) process.exitCode = 1
  })
})
