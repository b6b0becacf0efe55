/** Journals made for tests: candidates of given texts, in a given number of steps. */
import type { Entry, Head } from '../../src/journal/entries.js'

const head = (strategy: string): Head => ({
  journal: 1,
  id: 'run_test',
  created: 1796169600,
  server: '0.1.0',
  model: 'tiny',
  fingerprint: 'fl_test',
  request: {
    model: 'tiny',
    messages: [{ role: 'user', content: 'Say something.' }],
    max_tokens: 8,
    alignment: { strategy, reward: 'length' }
  }
})

const usage = {
  prompt_tokens: 4,
  cached_tokens: 0,
  computed_prompt_tokens: 4,
  completion_tokens: 8,
  generated_tokens: 16,
  returned_tokens: 8,
  discarded_tokens: 8,
  reward_tokens: 0,
  reward_cached_tokens: 0,
  forward_passes: 8,
  accepted_drafts: 0,
  rejected_drafts: 0
}

const start = (strategy: string): Entry => ({
  t: 1,
  start: {
    seed: 1, strategy, resolved: {}, rewards: [['length', 'outcome', 'v', 1]], prompt: 4, dropped: 0
  }
})

const done = (t: number, chosen: number): Entry[] => [
  { t, select: { chosen: [chosen], rule: 'argmax' } },
  { t, done: { kl: { value: null, kind: null }, stopped_by: null, warnings: [], details: {}, usage } }
]

/** Answers side by side, given by their words; the first is chosen. */
export function lanes (answers: ReadonlyArray<readonly string[]>, strategy = 'best_of_n'): Entry[] {
  const longest = Math.max(...answers.map(({ length }) => length))
  const grown = Array.from({ length: longest }, (_, at): Entry => ({
    t: 10 + at * 20,
    grow: answers.flatMap((words, index) =>
      at < words.length ? [[index, [words[at]!], [-1 - (index + at) % 3]] as const] : [])
  }))
  const scored = Array.from({ length: Math.ceil(longest / 8) }, (_, at): Entry => ({
    t: 10 + Math.min(longest, at * 8 + 8) * 20,
    score: answers.map((_, index) => [index, Math.sin(index + at), [[0, Math.sin(index + at)]]])
  }))
  const end = 20 + longest * 20
  return [
    head(strategy), { t: 0, queued: 0 }, start(strategy),
    { t: 5, open: answers.map((_, index) => [index, null, 0, 0]) },
    ...[...grown, ...scored].sort((a, b) => ('t' in a ? a.t : 0) - ('t' in b ? b.t : 0)),
    { t: end, end: answers.map((words, index) => [index, 'length', -words.length]) }, ...done(end, 0)
  ]
}

/** A beam search: two beams, each step forked from the first. */
export function beams (steps: number): Entry[] {
  const entries: Entry[] = [head('beam_search'), { t: 0, queued: 0 }, start('beam_search'),
    { t: 5, open: [[0, null, 0, 0], [1, null, 0, 0]] }]
  for (let n = 1; n <= steps; n++) {
    const t = n * 50
    entries.push({ t, grow: [[0, [` a${n}`], [-1]], [n, [` b${n}`], [-2]]] },
      { t, score: [[0, n / 2, [[0, n / 2]]], [n, -n / 3, [[0, -n / 3]]]] }, { t, step: { n, kept: [0], dropped: [n] } },
      { t, end: [[n, 'dropped', -2, n]] })
    if (n < steps) entries.push({ t: t + 1, open: [[n + 1, 0, n, 3 * n]] })
  }
  return [...entries, { t: steps * 50 + 2, end: [[0, 'stop', -steps]] }, ...done(steps * 50 + 3, 0)]
}

const words = [' the', ' lighthouse', ' keeper', ' watches', ' a', ' wild', ' sea', ' never', ' ends', ',', '.', ' I']

/**
 * A large run: answers side by side of so many tokens each, each token with its text and ln π, told four at a time, as
 * many a second as a fast machine draws; scored every 16 tokens.
 */
export function wide (candidates: number, tokens: number): Entry[] {
  const all = Array.from({ length: candidates }, (_, index) => index)
  const [told, msPerToken] = [4, 30]
  const entries: Entry[] = [head('best_of_n'), { t: 0, queued: 0 }, start('best_of_n'),
    { t: 5, open: all.map(index => [index, null, 0, 0]) }]
  for (let at = 0; at < tokens; at += told) {
    const t = 10 + (at + told) * msPerToken
    entries.push({
      t,
      grow: all.map(index => [index, Array.from({ length: told }, (_, place) => words[(index + at + place) % 12]!),
        Array.from({ length: told }, (_, place) => -((index * 7 + at * 3 + place) % 50) / 10)])
    })
    if ((at + told) % 16 > 0) continue
    const reward = (index: number): number => Math.sin(index + at / 64)
    entries.push({ t, score: all.map(index => [index, reward(index), [[0, reward(index)]]]) })
  }
  const end = 20 + tokens * msPerToken
  return [...entries, { t: end, end: all.map(index => [index, 'length', -tokens]) }, ...done(end, 0)]
}
