/**
 * The server beside its own engine alone, in turns: `fairlead bench` draws for as many requests with prompts as long
 * and as much cached as the server has, while the server is stopped (SIGSTOP); then the server over HTTP, then over
 * WebSockets. What slows all of them down for a while leaves the ratios alone.
 */
import { execFile } from 'node:child_process'
import { cpus } from 'node:os'
import { promisify } from 'node:util'
import { program } from '../harness/server-process.js'
import type { Measurement } from './measurement.js'
import type { PlannedLoad } from './plan.js'
import { spreadOf, type Spread } from '../../src/reporting/spread.js'

/** Tokens/s of the same requests, three ways, one turn after the other. */
export interface EngineTurn { readonly level: number, readonly engine: number, readonly served: readonly Served[] }

/** What the server reached in a turn. */
export interface Served {
  readonly transport: 'http' | 'websocket'
  readonly tokensPerSecond: number
  /** CPU time of the load generator, cores. */
  readonly generatorCpu: number
}

export const turns = 3

/** The loads of a turn's second half. */
export const servedLoads = (level: number): PlannedLoad[] =>
  (['http', 'websocket'] as const).map(transport => ({ scenario: 'streaming', transport, loop: 'closed', level }))

export const servedOf = (
  { transport, outputTokensPerSecond, generatorCpu }: Measurement
): Served => ({ transport, tokensPerSecond: outputTokensPerSecond, generatorCpu })

/**
 * Tokens/s of the engine in a process of its own.
 * @param like the load it is compared with: how long prompts are, and how much of them is cached
 */
export async function engineAlone (
  { level, promptTokens, prefixHitRate }: Pick<Measurement, 'level' | 'promptTokens' | 'prefixHitRate'>,
  maxTokens: number, signal: AbortSignal
): Promise<number> {
  const args = ['bench', '--scenario', 'requests', '--batch', level, '--context', Math.round(promptTokens), '--common',
    Math.min(Math.round(promptTokens * prefixHitRate), Math.round(promptTokens) - 2), '--tokens', maxTokens, '--repeat',
    1, '--json']
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...args.map(String)],
    { signal, maxBuffer: 1 << 24 })
  return (JSON.parse(stdout) as { rows: Array<{ value: { median: number } }> }).rows[0]!.value.median
}

/**
 * The server's rate over the engine's, turn by turn: as it is, and over the rate that is left to it beside the load
 * generator, which shares the cores.
 */
export function ratiosOf (
  engineTurns: readonly EngineTurn[], transport: Served['transport'], cores = cpus().length
): { readonly plain: Spread, readonly beside: Spread, readonly generatorCpu: Spread } | null {
  const pairs = engineTurns.flatMap(({ engine, served }) =>
    served.filter(one => one.transport === transport).map(one => ({ ...one, engine })))
  if (pairs.length === 0) return null
  return {
    plain: spreadOf(pairs.map(({ tokensPerSecond, engine }) => tokensPerSecond / engine)),
    beside: spreadOf(pairs.map(({ tokensPerSecond, engine, generatorCpu }) =>
      tokensPerSecond / engine / (1 - generatorCpu / cores))),
    generatorCpu: spreadOf(pairs.map(({ generatorCpu }) => generatorCpu))
  }
}
