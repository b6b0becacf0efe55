/**
 * `npm run loadtest`: starts the compiled server on a free loopback port, or takes `--url` of one on this machine, drives it, prints a table,
 * writes JSON. Bounded in count and time; Ctrl-C leaves what was measured so far. The load generator shares the machine with the server.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { packageRoot } from '../src/package-root.js'
import { httpLoad } from './http-load.js'
import { measurementOf, type Measurement } from './measurement.js'
import { tableOf, writeReport } from './report.js'
import { scenarios } from './scenarios.js'
import { websocketLoad } from './websocket-load.js'

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    model: { type: 'string', default: 'smollm2-135m' },
    requests: { type: 'string', default: '32' },
    'max-seconds': { type: 'string', default: '60' },
    'max-tokens': { type: 'string', default: '32' },
    concurrency: { type: 'string', default: '1,8,32' },
    out: { type: 'string', default: join(packageRoot, 'loadtest', 'out', `${new Date().toISOString().replaceAll(':', '-')}.json`) }
  }
})

/** Only this machine is a target. */
function checkLoopback (url: string): string {
  const { hostname } = new URL(url)
  if (hostname !== 'localhost' && hostname !== '[::1]' && !hostname.startsWith('127.')) throw new Error(`--url must be on this machine; got ${url}`)
  return url
}

/** Starts a server and gives its address when it is ready. */
async function startServer (): Promise<{ url: string, server: ChildProcess }> {
  const server = spawn(process.execPath, [join(packageRoot, 'dist/src/cli/main.js'), 'serve', '--port', '0', '--log-level', 'warn'], { stdio: ['ignore', 'inherit', 'pipe'] })
  return new Promise((resolve, reject) => {
    let said = ''
    server.stderr!.on('data', (chunk: Buffer) => {
      said += String(chunk)
      const address = /listening on (http:\/\/\S+)/.exec(said)?.[1]
      if (address !== undefined && /^ready$/m.test(said)) resolve({ url: address, server })
    })
    server.once('exit', code => { reject(new Error(`the server ended with code ${code}: ${said}`)) })
  })
}

const interrupted = new AbortController()
process.once('SIGINT', () => { interrupted.abort() })

const { url, server } = options.url === undefined ? await startServer() : { url: checkLoopback(options.url), server: null }
const measurements: Measurement[] = []
try {
  const limits = { maxSeconds: Number(options['max-seconds']), signal: interrupted.signal }
  for (const scenario of scenarios({ model: options.model, maxTokens: Number(options['max-tokens']), concurrencies: options.concurrency.split(',').map(Number) })) {
    if (interrupted.signal.aborted) break
    // At least two rounds, so that the first, which meets an idle server, does not decide.
    const requests = Math.max(scenario.concurrency === 1 ? Number(options.requests) / 4 : Number(options.requests), 2 * scenario.concurrency)
    const load = scenario.transport === 'http' ? httpLoad : websocketLoad
    const { samples, seconds } = await load(url, scenario, { requests, ...limits })
    measurements.push(measurementOf(scenario, samples, seconds))
    console.error(`${scenario.name} at ${scenario.concurrency}: ${samples.latencies.length} requests in ${seconds.toFixed(1)} s`)
    writeReport(options.out, measurements, false)
  }
  writeReport(options.out, measurements, !interrupted.signal.aborted)
  console.log(tableOf(measurements))
  console.log(options.out)
} finally {
  server?.removeAllListeners('exit')
  server?.kill('SIGTERM')
}
