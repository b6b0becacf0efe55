/**
 * Adds a next-token member to a reward in the box, a Q-head fitted on the policy's own answers, and a section to its
 * card. Run it after the script that makes the reward.
 *
 *   node dist/models/rewards/make/train-q-head.js --reward positive|helpful [--model NAME|PATH] [--threads N]
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../../../src/package-root.js'
import type { HeadDescriptor } from '../../../src/rewards/descriptor.js'
import { drawing } from '../../../src/fitting/draw-positions.js'
import { fitQHead } from '../../../src/fitting/fit-q-head.js'
import type { QHead } from '../../../src/rewards/kinds/q-head.js'
import { log, makeArguments, withPolicy, writeDescriptor } from './setup.js'

interface Prompts {
  readonly train: readonly string[],
  readonly test: readonly string[],
  readonly answersPerPrompt: number,
  readonly trainName: string,
  readonly testName: string
}

const readJson = async (file: string): Promise<string[]> =>
  JSON.parse(await readFile(join(packageRoot, 'models', file), 'utf8')) as string[]

/** What each reward's answers are drawn to: texts of the kind that it is used on. */
const promptsOf: Readonly<Record<string, () => Promise<Prompts>>> = {
  positive: async () => ({
    train: [...await readJson('rewards/make/sentiment-prompts.json'),
      ...(await readJson('rewards/make/pool-prompts.json')).slice(0, 10)],
    test: (await readJson('evaluation/prompts/reviews.json')).slice(0, 20),
    answersPerPrompt: 10,
    trainName: 'the 8 review prompts and the first 10 pool prompts',
    testName: 'the first 20 of evaluation/prompts/reviews.json'
  }),
  helpful: async () => ({
    train: (await readJson('rewards/make/pool-prompts.json')).slice(10),
    test: (await readJson('evaluation/prompts/instructions.json')).slice(0, 20),
    answersPerPrompt: 6,
    trainName: 'the last 30 pool prompts',
    testName: 'the first 20 of evaluation/prompts/instructions.json'
  })
}

const title = '## Next tokens'

function section (
  { fit, metrics, rank, layer }: QHead, { trainName, testName, answersPerPrompt }: Prompts, command: string
): string {
  return `${title}

A Q-head (${rank - 2} products and two linear terms of the state at layer ${layer} and the token’s embedding) foretells what each next token would do to the score, without reading it: the next_token member, on the prefix member’s scale.
Fitted on what reading the ${metrics.candidates} most probable tokens gave, ${fit.values} values in ${fit.positions} places of ${answersPerPrompt} answers each to ${trainName} (at most ${drawing.maxTokens} tokens; a third drawn by the policy, the others pulled towards or away from the reward), λ = ${fit.regularization}; made by \`${command}\`.

Rank correlation (Spearman) with what reading gives, over the ${metrics.candidates} most probable tokens of ${metrics.positions} places in answers to ${testName}, none of them seen: **${metrics.rankCorrelation.toFixed(3)} ± ${metrics.standardError.toFixed(3)}** (standard error over prompts).
`
}

const args = makeArguments()
const choose = promptsOf[args.reward]
if (!choose) {
  throw new Error(`--reward must be one of ${Object.keys(promptsOf).join(', ')}; got ${JSON.stringify(args.reward)}`)
}
const prompts = await choose()
await withPolicy(args, async policy => {
  const file = join(packageRoot, 'models/rewards', `${args.reward}.json`)
  const { nextToken: _, weights, ...descriptor } = JSON.parse(await readFile(file, 'utf8')) as HeadDescriptor
  const chat = (content: string) => [{ role: 'user', content }]
  const nextToken = await fitQHead({
    policy,
    head: { ...descriptor, weights },
    prompts: prompts.train.map(chat),
    test: prompts.test.map(chat),
    split: prompts.testName,
    answersPerPrompt: prompts.answersPerPrompt,
    onProgress: (done, total) => { if (done % 20 === 0 || done === total) log(`answers ${done}/${total}`) }
  })
  await writeDescriptor({ ...descriptor, nextToken, weights })
  const card = file.replace(/json$/, 'md')
  const [before] = (await readFile(card, 'utf8')).split(`\n${title}`)
  await writeFile(card, `${before!.trimEnd()}\n\n` +
    `${section(nextToken, prompts, `node dist/models/rewards/make/train-q-head.js --reward ${args.reward}`)}`)
})
