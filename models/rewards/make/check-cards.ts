/**
 * Measures helpful and positive as they lie in the box anew, on their test sets, and says whether the figures of their
 * cards still hold: accuracy by share of the answer read, and the controls. Writes nothing; ends with 1 where a figure
 * is further from the card's than its standard error.
 *
 *   node dist/models/rewards/make/check-cards.js --data DIR [--threads N]
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../../../src/package-root.js'
import type { HeadDescriptor } from '../../../src/rewards/descriptor.js'
import { evaluateScore, type StateSet } from '../../../src/fitting/held-out-figures.js'
import { toSamples, type Examples } from '../../../src/fitting/examples.js'
import { extractFeatures } from '../../../src/fitting/features.js'
import { linearScore } from '../../../src/rewards/kinds/head.js'
import type { ReadablePolicy } from '../../../src/rewards/readable-policy.js'
import { helpfulFit } from './helpful-data.js'
import { positiveFit } from './positive-data.js'
import { log, logProgress, makeArguments, withPolicy } from './setup.js'

const args = makeArguments()

/** Examples with the states that a head reads of them. */
async function statesOf (
  policy: ReadablePolicy, examples: Examples, { layer, pooling, fit }: HeadDescriptor, cacheDirectory: string
): Promise<StateSet> {
  const set = toSamples(examples)
  const tokens = set.answers.map(({ text }) => policy.answerTokens(text))
  const items = set.answers.map(({ messages }, index) => ({
    promptTokens: policy.promptTokens(messages), answerTokens: tokens[index]!.slice(0, fit!.maxAnswerTokens)
  }))
  const features = await extractFeatures(policy, items, {
    layers: [layer],
    pooling,
    cacheDirectory,
    onProgress: (done, total) => { logProgress({ phase: 'features', done, total }) }
  })
  return { ...set, states: features.get(layer)!, lengths: tokens.map(({ length }) => length) }
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

async function check (
  policy: ReadablePolicy, cacheDirectory: string, name: string, train: Examples, test: Examples
): Promise<boolean> {
  const reward =
    JSON.parse(await readFile(join(packageRoot, 'models/rewards', `${name}.json`), 'utf8')) as HeadDescriptor
  const { weights, bias, metrics: told } = reward
  const sets = [await statesOf(policy, train, reward, cacheDirectory),
    await statesOf(policy, test, reward, cacheDirectory)] as const
  const found = evaluateScore(state => linearScore(weights, bias, state), ...sets, told!.split, true)
  let holds = true
  const compare = (what: string, given: number, card: number, error: number): void => {
    const isNear = Math.abs(given - card) <= error
    holds &&= isNear
    console.log(`${name} (${policy.format}), ${what}: ${percent(given)}, in the card ${percent(card)} ± ` +
      `${percent(error)}${isNear ? '' : ': no longer true'}`)
  }
  for (const [index, { fraction, accuracy, standardError }] of found.byPrefix.entries()) {
    compare(`${100 * fraction} % of the answer`, accuracy, told!.byPrefix[index]!.accuracy, standardError)
  }
  const { standardError } = found.byPrefix.at(-1)!
  for (const control of ['lengthOnly', 'tfidf'] as const) {
    compare(control, found.controls[control], told!.controls[control], standardError)
  }
  compare('randomHead', found.controls.randomHead, told!.controls.randomHead, told!.controls.randomHeadStd)
  compare('calibrationError', found.calibrationError!, told!.calibrationError!, standardError)
  return holds
}

await withPolicy(args, async (policy, cacheDirectory) => {
  const positive = await positiveFit(args.data)
  const helpful = await helpfulFit(args.data)
  const held = [
    await check(policy, cacheDirectory, 'positive', positive.train, positive.test),
    await check(policy, cacheDirectory, 'helpful', helpful.train, helpful.test)
  ]
  log(held.every(Boolean) ? 'the cards hold' : 'a card no longer holds')
  if (!held.every(Boolean)) process.exitCode = 1
})
