/**
 * Token guidance over strengths, by three sources of values, beside best-of-n: reward, an independent judge, measured
 * KL, fluency; and what each is worth at equal KL. Every token may be drawn (values centred, tokens outside the
 * candidates kept), so that strength 0 is the policy and KL is what guidance alone costs.
 */
import { criteria, loadJudge } from '../../src/evaluation/criteria.js'
import { standardizer } from '../../src/evaluation/pools.js'
import { distinctPairs, expectedAtBest, mean, meanOverPrompts, overPrompts } from '../../src/evaluation/statistics.js'
import type { CandidateReport } from '../../src/decoding/result.js'
import { bestOfNKl } from '../../src/decoding/selection/selection-rules.js'
import type { Line, Measured, Part } from './part.js'

const poolSize = 16

/** One configuration of guidance: a line of the table. */
interface Configuration {
  readonly name: string
  /** Configurations of one curve differ in strength only; those without are in no curve. */
  readonly curve: 'look-ahead' | 'Q-head' | 'contrast' | null
  readonly fields: Readonly<Record<string, unknown>>
  /** Answers to each prompt. */
  readonly answers: number
  readonly maxKl?: number
}

const open = { transform: 'centered', outside: 'keep' } as const
const qHead = { source: 'next_token', candidates: { top_k: 64 }, ...open }
const contrast = { toward: { system: 'You found it dull and badly made, and say so.' }, away: {} }
const maxKl = 2

const configurations: readonly Configuration[] = [
  ...[0.6, 1.1, 8].map((strength): Configuration => ({
    name: `look-ahead ${strength}`, curve: 'look-ahead', fields: { ...open, strength }, answers: 1
  })),
  ...[0.8, 1.4, 4, 16].map((strength): Configuration => ({
    name: `Q-head ${strength}`, curve: 'Q-head', fields: { ...qHead, strength }, answers: 4
  })),
  ...[0.5, 1].map((strength): Configuration => ({
    name: `contrast ${strength}`,
    curve: 'contrast',
    fields: { contrast, candidates: { top_k: 0 }, strength },
    answers: 1
  })),
  {
    name: `Q-head 16, max_kl ${maxKl}`,
    curve: null,
    fields: { ...qHead, strength: 16, max_kl: maxKl },
    answers: 1,
    maxKl
  }
]

/** One answer: its reward, the judge's score with the weight's sign, fluency, and KL, nats; of a plain answer 0. */
interface Drawn {
  readonly reward: number, readonly judge: number, readonly nll: number, readonly distinct: number, readonly kl: number
}

const measures = ['reward', 'judge', 'nll', 'distinct'] as const
type Measure = typeof measures[number]

interface Row {
  readonly pool: readonly Drawn[]
  readonly guided: Readonly<Record<string, readonly Drawn[]>>
}

function reader ({ rewards }: Pick<Measured, 'rewards'>): (text: string) => number {
  const [{ name, weight }] = rewards as readonly [Measured['rewards'][number]]
  const own = criteria[name]
  if (!own) throw new Error(`no judge belongs to reward ${name}; there is one of ${Object.keys(criteria).join(', ')}`)
  const judge = loadJudge(own.judge)
  return text => Math.sign(weight) * judge.score(text)
}

/** @param judge of a text @param reward of the whole answer */
const drawnOf = (
  judge: (text: string) => number, { text, tokens, logprob }: Pick<CandidateReport, 'text' | 'tokens' | 'logprob'>,
  reward: number, kl: number
): Drawn =>
  ({ reward, judge: judge(text), nll: -logprob / tokens, distinct: distinctPairs(text), kl })

export const guidance: Part<Row> = {
  ignoreEos: false,
  async record ({ ask, score, rewards, seed }, prompt) {
    const judge = reader({ rewards })
    const { result } = await ask(prompt, seed, { strategy: 'best_of_n', num_candidates: poolSize, rewards })
    const guided: Record<string, Drawn[]> = {}
    for (const { name, fields, answers } of configurations) {
      // Sampled concurrently, they share the engine's steps.
      guided[name] = await Promise.all(Array.from({ length: answers }, async (_, index) => {
        const { result: { candidates: [candidate], kl } } = await ask(prompt, seed + 1 + index,
          { strategy: 'token_guidance', ...fields, ...('contrast' in fields ? {} : { rewards }) })
        // Read anew by the member that best-of-n goes by: guidance itself reports the prefix member's score, on another
        // scale.
        return drawnOf(judge, candidate!, await score(prompt, candidate!.text), kl.value!)
      }))
    }
    return { pool: result.candidates.map(candidate => drawnOf(judge, candidate, candidate.score!.value, 0)), guided }
  },
  report
}

/** A point of a curve over KL: the mean of a measure over the prompts of a sample. */
interface Point { readonly kl: number, readonly value: number }

/** The value at a KL, between the points on both sides; null beyond them. */
export function atKl (points: readonly Point[], kl: number): number | null {
  const ascending = [...points].sort((a, b) => a.kl - b.kl)
  const after = ascending.findIndex(point => point.kl >= kl)
  if (after < 0 || (after === 0 && ascending[0]!.kl > kl)) return null
  if (after === 0) return ascending[0]!.value
  const [one, other] = [ascending[after - 1]!, ascending[after]!]
  return one.value + (other.value - one.value) * (kl - one.kl) / (other.kl - one.kl)
}

/** Means of what was measured of one prompt, by configuration, and for plain answers and best-of-n. */
type Means = Readonly<Record<string, Readonly<Record<Measure | 'kl', number>>>>

function meansOf ({ pool, guided }: Row, judgeScale: (value: number) => number): Means {
  const scaled = ({ judge, ...one }: Drawn): Drawn => ({ ...one, judge: judgeScale(judge) })
  const [plain, keys] = [pool.map(scaled), pool.map(one => one.reward)]
  const means: Record<string, Record<Measure | 'kl', number>> = {}
  for (const n of [1, 2, 4, 8, poolSize]) {
    means[`best_of_n ${n}`] = {
      kl: bestOfNKl(n),
      ...Object.fromEntries(measures.map(measure =>
        [measure, expectedAtBest(keys, plain.map(one => one[measure]), n)])) as Record<Measure, number>
    }
  }
  for (const [name, answers] of Object.entries(guided)) {
    means[name] = Object.fromEntries([...measures, 'kl' as const].map(measure =>
      [measure, mean(answers.map(scaled).map(one => one[measure]))])) as Record<Measure | 'kl', number>
  }
  return means
}

function curveAt (rows: readonly Means[], curve: string, measure: Measure, kl: number): number {
  const names = ['best_of_n 1', ...curve === 'best_of_n'
    ? [2, 4, 8, poolSize].map(n => `best_of_n ${n}`)
    : configurations.filter(configuration => configuration.curve === curve).map(configuration => configuration.name)]
  return atKl(names.map(name => ({
    kl: mean(rows.map(row => row[name]!.kl)), value: mean(rows.map(row => row[name]![measure]))
  })), kl) ?? NaN
}

const labels: Readonly<Record<Measure, string>> = {
  reward: 'reward', judge: 'judge', nll: 'NLL per token', distinct: 'distinct-2'
}

function report (rows: readonly Row[], { rewards }: Pick<Measured, 'rewards'>): ReturnType<Part<Row>['report']> {
  const scale = standardizer(rows.flatMap(({ pool }) => pool.map(one => one.judge)))
  const means = rows.map(row => meansOf(row, scale))
  const lines = Object.keys(means[0]!).map((name): Line => ({
    way: name === 'best_of_n 1' ? 'plain' : name,
    answers: name === 'best_of_n 1'
      ? poolSize * rows.length
      : (configurations.find(configuration => configuration.name === name)?.answers ?? 1) * rows.length,
    'KL, nats': name.startsWith('best_of_n') ? means[0]![name]!.kl : meanOverPrompts(means.map(row => row[name]!.kl)),
    ...Object.fromEntries(measures.map(measure =>
      [labels[measure], meanOverPrompts(means.map(row => row[name]![measure]))]))
  }))
  const compared = ([['Q-head', 'best_of_n'], ['look-ahead', 'best_of_n'], ['contrast', 'best_of_n'],
    ['Q-head', 'look-ahead']] as const).flatMap(([one, other]) => [4, poolSize].map((n): Line => {
    const kl = bestOfNKl(n)
    return {
      'at equal KL': `${one} less ${other}`,
      'KL, nats': kl,
      ...Object.fromEntries(measures.map(measure => [labels[measure], overPrompts(means, some =>
        curveAt(some, one, measure, kl) - curveAt(some, other, measure, kl))]))
    }
  }))
  const held = configurations.flatMap(({ name, maxKl: bound }) => bound === undefined
    ? []
    : [{
        way: name,
        answers: rows.flatMap(row => row.guided[name]!).length,
        bound,
        'largest KL of an answer': Math.max(...rows.flatMap(row => row.guided[name]!.map(one => one.kl)))
      }])
  return {
    title: 'Token guidance beside best-of-n',
    text: `Guidance by ${rewards.map(({ name, weight }) => `${name} × ${weight}`).join(
      ', '
    )} over strengths: *look-ahead* reads the answer with each of the 20 most probable tokens, *Q-head* values the 64 most probable at once, *contrast* is a system message against none (“${contrast.toward.system}”) and knows no reward. Values are centred and the other tokens kept (\`transform: centered\`, \`outside: keep\`; contrast looks at all tokens), so that no KL is spent on leaving tokens out.

*reward* is standardised and weighed; *judge* is the built-in judge that shares neither data nor features with it, in standard deviations of plain answers, in the direction of the weight. KL of guidance is measured, exact in each step along the answers drawn; that of best-of-n is its bound ln n − (n − 1)/n, which is close where rewards do not tie. Best-of-n comes from one pool of ${poolSize} a prompt by order statistics.

The second table compares curves at equal KL, those of ${['best-of-4', `best-of-${poolSize}`].join(' and ')}: between two strengths a curve is a line, and it begins with plain answers. Below the first strength that understates guidance, whose gain grows more like the square root of KL.`,
    tables: [{ name: 'strengths', lines }, { name: 'at equal KL', lines: compared }, { name: 'max_kl', lines: held }]
  }
}
