/** The independent judge of evaluations: a text classifier that shares neither data nor model with the rewards it judges. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../../src/package-root.js'
import { TextClassifier, type TextClassifierData } from '../../../src/rewards/tfidf.js'

/** Where the sentiment judge lies; `train-judge.ts` writes it, `judge.md` is its card. */
export const judgeFile = join(packageRoot, 'models/rewards/make/judge.json')

/** The sentiment judge: `probability(text)` that a text is positive. */
export function loadJudge (): TextClassifier {
  return TextClassifier.fromData(JSON.parse(readFileSync(judgeFile, 'utf8')) as TextClassifierData)
}
