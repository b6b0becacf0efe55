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

const [which, ...args] = process.argv.slice(2)
await runProgram(which === 'guided' ? guidedBench : engineBench, args)
