/** A vLLM of this machine's own. Knows no checks. */
import { EngineProcess } from '../engine-process.js'

export interface VllmOptions {
  /** Python of an environment with vLLM. */
  readonly python: string
  /** Folder of the model, and what it is called. */
  readonly model: string
  readonly name: string
  /** Folder of head descriptors for the plugin; none where it is not to be there. */
  readonly rewards?: string
  readonly flags?: readonly string[]
  /** Absent: any that is free. */
  readonly port?: number
  /** Whether it plans and computes in one process with one thread; else as vLLM's CPU build starts by itself. */
  readonly inOneProcess?: boolean
}

/** What every start says: on CPUs blocks are of 128 tokens otherwise, and a prompt read in parts can end the engine. */
const commonFlags = ['--dtype', 'float32', '--max-model-len', '2048', '--max-num-seqs', '32', '--enforce-eager',
  '--block-size', '32', '--max-num-batched-tokens', '16384', '--enable-prompt-tokens-details', '--enable-scale-out']

/**
 * One thread, bound to no core, in the process that plans. As its CPU build starts by itself, all engines of a machine
 * bind a process with their threads to the same cores, all but one, and both processes wait spinning: on two cores a
 * tiny model took 6.5 times as long so.
 */
const oneProcess = {
  flags: ['--distributed-executor-backend', 'uni'],
  environment: { VLLM_ENABLE_V1_MULTIPROCESSING: '0', VLLM_CPU_OMP_THREADS_BIND: 'nobind', OMP_NUM_THREADS: '1' }
}

/** A gauge or counter of its `/metrics`, all its labels together; NaN where it has none. */
export async function figureOf (engine: EngineProcess, name: string): Promise<number> {
  const lines = (await engine.get('/metrics')).split('\n').filter(line => line.startsWith(`vllm:${name}{`))
  return lines.length === 0 ? NaN : lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

/** Starts it and waits until it answers. @throws Error with what it said, if it does not */
export const startVllm = (
  { python, model, name, rewards, flags = [], port, inOneProcess = false }: VllmOptions
): Promise<EngineProcess> =>
  EngineProcess.start({
    kind: 'vLLM',
    name,
    ...port === undefined ? {} : { port },
    program: python,
    args: port => ['-m', 'vllm.entrypoints.openai.api_server', '--host', '127.0.0.1', '--port', String(port),
      '--model', model, '--served-model-name', name, ...commonFlags, '--kv-cache-memory-bytes', String(256 << 20),
      ...inOneProcess ? oneProcess.flags : [], ...flags],
    environment: {
      ...inOneProcess ? oneProcess.environment : {},
      VLLM_NO_USAGE_STATS: '1',
      // Compiled once: each of its processes would compile all that it imports, half a minute of a core.
      PYTHONDONTWRITEBYTECODE: '',
      HF_HUB_OFFLINE: '1',
      TRANSFORMERS_OFFLINE: '1',
      VLLM_PLUGINS: rewards === undefined ? '' : 'fairlead',
      ...rewards === undefined ? {} : { FAIRLEAD_REWARDS: rewards }
    }
  })
