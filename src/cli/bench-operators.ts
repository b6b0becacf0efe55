/**
 * Where the time of forward passes goes: runs scenarios once more with ONNX Runtime's profiler on and sums its records
 * by operator.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RequestError } from '../errors.js'
import type { Config } from '../settings.js'
import { loadServedModel, type LocalModel } from '../serving/served-models.js'
import { runScenarios, type BenchOptions, type ScenarioName } from './bench-scenarios.js'
import { say } from './command.js'

export interface OperatorTime {
  /** Parts of the runs, e.g. "1 private, 0 shared". */
  readonly graph: string
  readonly operator: string
  readonly callsPerRun: number
  readonly msPerRun: number
  /** Of all operators of the graph. */
  readonly share: number
}

/** A record of ONNX Runtime's profile: durations in microseconds. */
interface ProfileEvent {
  readonly cat: string, readonly name: string, readonly dur: number, readonly args?: { readonly op_name?: string }
}

/** Operators that take less are left out. */
const minShare = 0.01

/** Operators of one profile, the dearest first. */
export function operatorTimes (graph: string, events: readonly ProfileEvent[]): OperatorTime[] {
  const runs = events.filter(({ name }) => name === 'model_run').length
  const sums = new Map<string, { calls: number, us: number }>()
  for (const { cat, name, dur, args } of events) {
    if (cat !== 'Node' || !name.endsWith('_kernel_time') || args?.op_name === undefined) continue
    const sum = sums.get(args.op_name) ?? { calls: 0, us: 0 }
    sums.set(args.op_name, { calls: sum.calls + 1, us: sum.us + dur })
  }
  const total = [...sums.values()].reduce((all, { us }) => all + us, 0)
  return [...sums].map(([operator, { calls, us }]) => ({
    graph, operator, callsPerRun: calls / runs, msPerRun: us / runs / 1e3, share: us / total
  }))
    .filter(({ share }) => share >= minShare).sort((a, b) => b.msPerRun - a.msPerRun)
}

/** @throws RequestError for a model on a device, whose operators are not profiled */
export function checkProfiled ({ model: { sessions } }: LocalModel): void {
  if (sessions) return
  throw new RequestError('invalid_request', '--operators profiles the processor; this model runs on a device',
    { param: 'operators' })
}

/** @param config of a model that `checkProfiled` has let through */
export async function profileOperators (
  config: Config, names: readonly ScenarioName[], options: BenchOptions
): Promise<OperatorTime[]> {
  const directory = await mkdtemp(join(tmpdir(), 'fairlead-profile-'))
  try {
    const served = await loadServedModel(config, () => {}, { profilePrefix: join(directory, 'run') })
    try {
      const sessions = served.model.sessions!
      await runScenarios(served, names, { ...options, repeat: 1 }, name => { say(`${name} profiled`) })
      const times: OperatorTime[] = []
      for (const { graph, path } of sessions.endProfiling()) {
        times.push(...operatorTimes(graph, JSON.parse(await readFile(path, 'utf8')) as ProfileEvent[]))
      }
      return times
    } finally {
      await served.close()
    }
  } finally {
    await rm(directory, { recursive: true })
  }
}
