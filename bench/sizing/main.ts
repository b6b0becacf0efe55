/** `npm run sizing`: how many GPUs a stream of searches needs, by the cost model and a simulation. Measures nothing. */
import { plainTable, say } from '../../src/cli/command.js'
import { runProgram, type Arguments } from '../../tools/program.js'
import { refuse } from '../../src/validation.js'
import { gpuEngine, gpus } from './cost-model.js'
import { defaultOptions, planEngines, quantile, simulate, type Workload } from './simulate.js'

/** @throws RequestError for anything but a number of more than 0, or of `least` at least */
function numberOf (args: Arguments, name: string, least?: number): number {
  const value = args.number(name)
  if (Number.isFinite(value) && (least === undefined ? value > 0 : value >= least)) return value
  throw refuse(`--${name}`, `must be a number ${least === undefined ? 'above 0' : `of at least ${least}`}`,
    args.text(name))
}

function workloadOf (args: Arguments): Workload {
  const step = args.integer('step-tokens', 0)
  return {
    requestsPerMinute: numberOf(args, 'rate'),
    promptTokens: args.integer('prompt-tokens'),
    candidates: args.integer('candidates'),
    answerTokens: args.integer('answer-tokens'),
    spread: numberOf(args, 'spread', 0),
    stepTokens: step === 0 ? null : step
  }
}

async function run (args: Arguments): Promise<void> {
  const name = args.text('gpu')
  const gpu = gpus[name]
  if (!gpu) throw refuse('--gpu', `must be one of ${Object.keys(gpus).join(', ')}`, name)
  const [workload, target] = [workloadOf(args), numberOf(args, 'seconds')]
  const cost = gpuEngine(gpu, {
    parameters: numberOf(args, 'parameters') * 1e9,
    bytesPerParameter: numberOf(args, 'bytes-per-parameter'),
    kvBytesPerToken: args.integer('kv-bytes')
  })
  const requests = Math.max(400, Math.ceil(workload.requestsPerMinute * numberOf(args, 'minutes')))
  const options = { ...defaultOptions, requests }
  const count = planEngines(cost, workload, target, options)
  if (count === null) throw new Error(`no number of GPUs up to 1024 answers 95 of 100 searches within ${target} s`)
  const table = plainTable(['GPUs', 'seconds, half of them', '95 of 100', 'sequences each', 'tokens/s', 'calls/s',
    'API cores'])
  for (const tried of [count - 1, count, count + 1].filter(one => one > 0)) {
    const { latencies, batch, callsPerSecond, tokensPerSecond } = simulate(cost, tried, workload, options)
    table.push(latencies[0] === Infinity
      ? [tried, 'the queue grows']
      : [tried, ...[0.5, 0.95].map(share => quantile(latencies, share).toFixed(1)), batch.toFixed(0),
          tokensPerSecond.toFixed(0), callsPerSecond.toFixed(1), (callsPerSecond * cost.call).toFixed(2)])
  }
  say('planned from the data sheet and assumed shares of it, not measured: see docs/sizing.md')
  console.log(table.toString())
  console.log(`${count} × ${name}`)
}

await runProgram({
  command: 'npm run sizing --',
  summary: 'plan GPUs for searches: how many answer 95 of 100 within a time',
  options: {
    rate: { type: 'string', help: 'searches a minute', default: '60' },
    seconds: { type: 'string', help: 'time that 95 of 100 may take', default: '15' },
    candidates: { type: 'string', help: 'candidates of a search', default: '16' },
    'prompt-tokens': { type: 'string', help: 'tokens of a prompt', default: '500' },
    'answer-tokens': { type: 'string', help: 'mean tokens of a candidate', default: '256' },
    spread: { type: 'string', help: 'standard deviation of that, in parts of the mean', default: '0.5' },
    'step-tokens': {
      type: 'string', help: 'tokens of a step of beam search or a particle filter; 0: whole answers', default: '0'
    },
    gpu: { type: 'string', help: `one of ${Object.keys(gpus).join(', ')}`, default: 'h100' },
    parameters: { type: 'string', help: 'of the model, in billions', default: '7.6' },
    'bytes-per-parameter': { type: 'string', help: '2 for bfloat16, 1 for FP8', default: '2' },
    'kv-bytes': {
      type: 'string', help: 'keys and values of a token: 2 × layers × KV heads × head size × bytes', default: '57344'
    },
    minutes: { type: 'string', help: 'time that is simulated, of 400 searches at least', default: '10' }
  },
  run
})
