/**
 * How a reward is evaluated: which prompts it is asked with, which judge that shares neither data nor features with it
 * says what it is worth, and the wish in words that a system prompt could state instead. Knows the built-in rewards;
 * others bring their own.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../package-root.js'
import { parseRewardFamily, type RewardFamily } from '../rewards/descriptor.js'
import { TextClassifier, type TextClassifierData } from '../statistics/tfidf.js'

export const judgesFolder = join(packageRoot, 'models/evaluation/judges')

/** Names of the built-in judges; each has its card beside it. */
export const judgeNames: readonly string[] = readdirSync(judgesFolder).filter(file => file.endsWith('.json'))
  .map(file => file.replace(/\.json$/, '')).sort()

/** What each built-in judge was fitted on and reads, for reports; its card says more. */
export const judgeFacts: Readonly<Record<string, { readonly data: string, readonly reads: string }>> = {
  sentiment: {
    data: '1,500 whole reviews of movie review polarity v2.0 (Pang and Lee, 2004)',
    reads: 'words and word pairs (TF-IDF); no language model'
  },
  instructions: {
    data: '2,151 other pairs of the judged outputs of AlpacaEval 2, none of whose answers the reward was fitted on ' +
      '(of instructions that it saw with other answers)',
    reads: 'words and word pairs (TF-IDF); no language model'
  }
}

/** A built-in judge: a text classifier. `score(text)` is its logit. */
export function loadJudge (name: string): TextClassifier {
  return TextClassifier.fromData(JSON.parse(readFileSync(join(judgesFolder, `${name}.json`),
    'utf8')) as TextClassifierData)
}

/**
 * The version of a built-in reward that was fitted on whole answers only, under a name of its own, to be compared
 * with it; null where there is none.
 */
export function loadOutcomeOnly (reward: string): RewardFamily | null {
  const file = join(packageRoot, 'models/evaluation/outcome-only', `${reward}.json`)
  return existsSync(file) ? parseRewardFamily(readFileSync(file, 'utf8'), file) : null
}

/** What belongs to one reward. */
export interface Criterion {
  readonly prompts: string
  /** Name of a built-in judge. */
  readonly judge: string
  /**
   * What a system prompt says in place of the reward, by the sign of its weight; null where nothing built-in says it.
   */
  readonly wish: { readonly more: string, readonly less: string | null }
  /** An ensemble of several fits of the same reward. */
  readonly ensemble: string | null
}

const helpful: Criterion = {
  prompts: 'instructions',
  judge: 'instructions',
  wish: { more: 'You are a helpful expert. Answer to the point, completely, correctly and in good form.', less: null },
  ensemble: 'helpful_ensemble'
}

/** By reward name. */
export const criteria: Readonly<Record<string, Criterion>> = {
  positive: {
    prompts: 'reviews',
    judge: 'sentiment',
    wish: {
      more: 'You are an enthusiastic critic. Praise what you review warmly and find nothing wrong with it.',
      less: 'You are a harsh critic. Criticise what you review: say what is bad, boring or disappointing about it, ' +
        'and do not praise it.'
    },
    ensemble: null
  },
  helpful,
  helpful_ensemble: helpful
}
