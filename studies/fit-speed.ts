/**
 * How long a linear fit takes once features are read: 5,000 pairs of random states as wide as the default model's,
 * whole answers, λ among seven by five-fold cross-validation. Seconds of CPU time, which other work on the machine
 * changes less than the clock's.
 *   node dist/studies/fit-speed.js [--pairs 5000] [--width 576] [--prefixes] [--heads 16]
 */
import type { Options } from '../src/cli/options.js'
import { drawHeads, fitHead } from '../src/fitting/fit-head.js'
import type { StateSet } from '../src/fitting/held-out-figures.js'
import { linearScore } from '../src/rewards/kinds/head.js'
import { normal, uniform } from '../src/statistics/random.js'
import { runProgram } from '../tools/program.js'

const options: Options = {
  pairs: { type: 'string', help: 'pairs', default: '5000' },
  width: { type: 'string', help: 'numbers of a state', default: '576' },
  prefixes: { type: 'boolean', help: 'prefixes of answers, too' },
  heads: { type: 'string', help: 'heads drawn around the fit', default: '16' }
}

function randomSet (pairs: number, width: number, draw: () => number): StateSet {
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
  return { kind: 'pairs', answers, states, samples, lengths: answers.map((_, index) => 20 + index % 50) }
}

function timed<T> (what: string, work: () => T): T {
  const before = process.cpuUsage()
  const result = work()
  const { user, system } = process.cpuUsage(before)
  console.log(`${what}: ${((user + system) / 1e6).toFixed(2)} s`)
  return result
}

await runProgram({
  command: 'node dist/studies/fit-speed.js',
  summary: 'How long a linear fit takes once features are read',
  options,
  async run (args) {
    const [pairs, width, prefixes, heads] =
      [args.integer('pairs'), args.integer('width'), args.flag('prefixes'), args.integer('heads')]
    const random = uniform(1)
    const draw = (): number => normal(random)
    const set = randomSet(pairs, width, draw)
    const { lambda, gain } = timed(`Bradley–Terry, ${pairs} pairs × ${width}${prefixes ? ', with prefixes' : ''}`,
      () => fitHead(set, prefixes))
    console.log(`λ ${lambda}, cross-validated accuracy ${gain!.toFixed(3)}`)
    timed(`${heads} heads by Laplace`, () => drawHeads(set, prefixes, lambda, 0, heads, draw))
  }
})
