/**
 * `npm run loadtest`: starts the compiled server on a free loopback port, or takes `--url` of one on this machine, drives it, prints a table,
 * writes JSON. Bounded in count and time; Ctrl-C leaves what was measured so far. The load generator shares the machine with the server.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { describeOptions, integerOption, integersOption, parseOptions, type Options, type Values } from '../src/cli/options.js'
import { RequestError } from '../src/errors.js'
import { packageRoot } from '../src/package-root.js'
import { httpLoad } from './http-load.js'
import { measurementOf, type Measurement } from './measurement.js'
import { tableOf, writeReport } from './report.js'
import { scenarios } from './scenarios.js'
import { websocketLoad } from './websocket-load.js'

const options: Options = {
  url: { type: 'string', help: 'server to drive; must be on this machine', default: 'one that is started for it' },
  model: { type: 'string', help: 'id of its model', default: 'smollm2-135m' },
  concurrency: { type: 'string', help: 'requests in flight, by commas', default: '1,8,32' },
  requests: { type: 'string', help: 'requests of a scenario; a quarter one by one, at least two rounds', default: '32' },
  'max-tokens': { type: 'string', help: 'tokens of an answer', default: '32' },
  'max-seconds': { type: 'string', help: 'time of a scenario, at most', default: '60' },
  out: { type: 'string', help: 'file for all figures', default: 'loadtest/out/TIME.json' }
}

/** Only this machine is a target. @throws RequestError for any other */
function checkLoopback (url: string): string {
  const hostname = URL.canParse(url) ? new URL(url).hostname : ''
  if (hostname !== 'localhost' && hostname !== '[::1]' && !hostname.startsWith('127.')) throw new RequestError('invalid_request', `--url must be of this machine, such as http://127.0.0.1:8000; got ${JSON.stringify(url)}`, { param: 'url' })
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

async function run (values: Values): Promise<void> {
  const [concurrencies, most] = [integersOption(values, 'concurrency', '1,8,32'), integerOption(values, 'requests', 32)]
  const [maxTokens, maxSeconds] = [integerOption(values, 'max-tokens', 32), integerOption(values, 'max-seconds', 60)]
  const out = String(values['out'] ?? join(packageRoot, 'loadtest', 'out', `${new Date().toISOString().replaceAll(':', '-')}.json`))
  const interrupted = new AbortController()
  process.once('SIGINT', () => { interrupted.abort() })
  const { url, server } = values['url'] === undefined ? await startServer() : { url: checkLoopback(String(values['url'])), server: null }
  const measurements: Measurement[] = []
  try {
    for (const scenario of scenarios({ model: String(values['model'] ?? 'smollm2-135m'), maxTokens, concurrencies })) {
      if (interrupted.signal.aborted) break
      // At least two rounds, so that the first, which meets an idle server, does not decide.
      const requests = Math.max(scenario.concurrency === 1 ? most / 4 : most, 2 * scenario.concurrency)
      const load = scenario.transport === 'http' ? httpLoad : websocketLoad
      const { samples, seconds } = await load(url, scenario, { requests, maxSeconds, signal: interrupted.signal })
      measurements.push(measurementOf(scenario, samples, seconds))
      console.error(`${scenario.name} at ${scenario.concurrency}: ${samples.latencies.length} requests in ${seconds.toFixed(1)} s`)
      writeReport(out, measurements, false)
    }
    writeReport(out, measurements, !interrupted.signal.aborted)
    console.log(tableOf(measurements))
    console.log(out)
  } finally {
    server?.removeAllListeners('exit')
    server?.kill('SIGTERM')
  }
}

try {
  const { values } = parseOptions({ options, mostPositionals: 0 }, process.argv.slice(2))
  if (values['help'] === true) console.log(`npm run loadtest -- [OPTIONS]\n\nLoad on a server of this machine, by HTTP, streams and WebSockets\n\n${describeOptions(options)}`)
  else await run(values)
} catch (error) {
  console.error(`loadtest: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = error instanceof RequestError ? 2 : 1
}
