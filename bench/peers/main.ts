/**
 * `npm run bench:peers` and `npm run bench:guided`: Fairlead beside other engines, with the same model file, prompts
 * and cores, in turns. Installs the peers on first use, outside the repository. Prints a table, and writes JSON on
 * request.
 *
 *   node dist/bench/peers/main.js engines|guided [OPTIONS]
 */
import { runProgram } from '../../tools/program.js'
import { engineBench } from './engine-bench.js'
import { guidedBench } from './guided-bench.js'

const benches = new Map([['engines', engineBench], ['guided', guidedBench]])
const [which = '', ...args] = process.argv.slice(2)
const bench = benches.get(which)
if (bench) await runProgram(bench, args)
else {
  console.error(`first comes what is compared: ${[...benches.keys()].join(' or ')}; got ${JSON.stringify(which)}`)
  process.exitCode = 2
}
