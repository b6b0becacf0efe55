/**
 * How long a linear fit takes once features are read: 5,000 pairs of random states as wide as the default model's,
 * whole answers, λ among seven by five-fold cross-validation. Seconds of CPU time, which other work on the machine
 * changes less than the clock's.
 *   node dist/scripts/fit-speed.js [--pairs 5000] [--width 576] [--prefixes] [--heads 16]
 */
import { parseArgs } from 'node:util'
import type { StateSet } from '../src/fitting/held-out-figures.js'
import { drawHeads, fitHead } from '../src/fitting/fit-head.js'
import { linearScore } from '../src/rewards/kinds/head.js'
import { normal, uniform } from '../src/statistics/random.js'

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '5000' },
    width: { type: 'string', default: '576' },
    prefixes: { type: 'boolean', default: false },
    heads: { type: 'string', default: '16' }
  }
})
const [pairs, width] = [Number(values.pairs), Number(values.width)]
const random = uniform(1)
const draw = (): number => normal(random)
const truth = Float64Array.from({ length: width }, () => draw() / Math.sqrt(width))
const answers = Array.from({ length: 2 * pairs }, () => ({ messages: [], text: '' }))
const states = answers.map(() => {
  const whole = Float32Array.from({ length: width }, draw)
  return [1, 1, 1].map(() => whole.map(value => value + 0.5 * draw())).concat(whole)
})
const quality = states.map(state => linearScore(truth, 0, state.at(-1)!) + draw())
const samples = Array.from({ length: pairs }, (_, pair) => {
  const [a, b] = [2 * pair, 2 * pair + 1]
  const [answer, against] = quality[a]! > quality[b]! ? [a, b] : [b, a]
  return { answer, against, label: 1, group: `prompt ${pair}` }
})
const set: StateSet = { kind: 'pairs', answers, states, samples, lengths: answers.map((_, index) => 20 + index % 50) }

function timed<T> (what: string, work: () => T): T {
  const before = process.cpuUsage()
  const result = work()
  const { user, system } = process.cpuUsage(before)
  console.log(`${what}: ${((user + system) / 1e6).toFixed(2)} s`)
  return result
}

const { lambda, gain } = timed(`Bradley–Terry, ${pairs} pairs × ${width}${values.prefixes ? ', with prefixes' : ''}`,
  () => fitHead(set, values.prefixes))
console.log(`λ ${lambda}, cross-validated accuracy ${gain!.toFixed(3)}`)
timed(`${values.heads} heads by Laplace`, () => drawHeads(set, values.prefixes, lambda, 0, Number(values.heads), draw))
