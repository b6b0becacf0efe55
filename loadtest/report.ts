/** Prints measurements as a table and writes them, with the machine they were taken on, as JSON. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { dirname } from 'node:path'
import Table from 'cli-table3'
import type { Measurement, Quantiles } from './measurement.js'

const pair = (quantiles: Quantiles | null): string => quantiles ? `${quantiles.p50.toFixed(0)} / ${quantiles.p99.toFixed(0)}` : '–'

export function tableOf (measurements: readonly Measurement[]): string {
  const table = new Table({ head: ['scenario', 'at once', 'requests', 'errors', 'requests/s', 'output tokens/s', 'generated tokens/s', 'first text ms p50 / p99', 'gap ms p50 / p99', 'latency ms p50 / p99'], style: { head: [], border: [] } })
  for (const one of measurements) {
    table.push([one.scenario, one.concurrency, one.requests, one.errors, one.requestsPerSecond.toFixed(2), one.outputTokensPerSecond.toFixed(0), one.generatedTokensPerSecond.toFixed(0), pair(one.timeToFirstTextMs), pair(one.gapMs), pair(one.latencyMs)])
  }
  return table.toString()
}

/** Writes what is there; also a run that was cut short is a whole file. */
export function writeReport (path: string, measurements: readonly Measurement[], finished: boolean): void {
  mkdirSync(dirname(path), { recursive: true })
  const environment = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, platform: `${process.platform} ${process.arch}`, loadAverage: loadavg(), date: new Date().toISOString() }
  writeFileSync(path, `${JSON.stringify({ environment, finished, measurements }, null, 2)}\n`)
}
