/**
 * `npm run conformance`: other people's clients and suites against a running server with the default model. Installs
 * them apart from the server's own packages, runs each, prints a line for each and ends with 1 if any failed. Knows
 * what a suite is called with, not what it checks.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { say } from '../src/cli/command.js'
import { describeOptions, parseOptions, type Options, type Values } from '../src/cli/options.js'
import { loadConfig } from '../src/config.js'
import type { SettingName } from '../src/settings.js'
import { RequestError } from '../src/errors.js'
import { packageRoot } from '../src/package-root.js'
import { startServer } from '../src/server.js'

const folder = join(packageRoot, 'conformance')
const clients = join(folder, 'clients')

/** Runs a program to its end, its output before the reader's eyes. @throws Error if it fails */
async function run (
  program: string, args: readonly string[],
  { cwd = folder, environment = {} }: { cwd?: string, environment?: Record<string, string> } = {}
): Promise<void> {
  const child = spawn(program, args,
    { cwd, env: { ...process.env, ...environment }, stdio: ['ignore', 'inherit', 'inherit'] })
  await new Promise<void>((resolve, reject) => {
    child.once('error', error => { reject(new Error(`${program} cannot be run: ${error.message}`)) })
    child.once('close',
      code => { code === 0 ? resolve() : reject(new Error(`${program} ended with code ${String(code)}`)) })
  })
}

let clientsInstalled: Promise<void> | null = null

/** The Node clients, by their own lock. */
function installClients (): Promise<void> {
  return (clientsInstalled ??= run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: clients }))
}

/** A virtual environment with what requirements.txt pins, made once. @returns the folder of its programs */
async function installPython (cacheDir: string): Promise<string> {
  const requirements = join(folder, 'requirements.txt')
  const environment = join(cacheDir, 'conformance', 'venv')
  // Written last, so that an installation that was cut short is made anew.
  const marker = join(environment, 'installed.txt')
  const wanted = readFileSync(requirements, 'utf8')
  if (!existsSync(marker) || readFileSync(marker, 'utf8') !== wanted) {
    say(`installing ${wanted.trim().split('\n').join(', ')} into ${environment}`)
    rmSync(environment, { recursive: true, force: true })
    await run('python3', ['-m', 'venv', environment])
    await run(join(environment, 'bin', 'pip'),
      ['install', '--quiet', '--disable-pip-version-check', '--requirement', requirements])
    writeFileSync(marker, wanted)
  }
  return join(environment, 'bin')
}

/** Runs something against a server of its own. */
async function withServer (
  settings: Partial<Record<SettingName, string>>, work: (address: string) => Promise<void>
): Promise<void> {
  const server = await startServer(loadConfig({ port: '0', logLevel: 'warn', ...settings }), () => {})
  try {
    await server.ready
    await work(server.address)
  } finally {
    await server.close()
  }
}

/** What a suite is given: a folder of its own, and where things are kept. */
interface Place { readonly scratch: string, readonly cacheDir: string }
type Suite = (place: Place) => Promise<void>

/** A test file of conformance/clients against a server. */
const clientSuite = (file: string): Suite => async () => {
  await installClients()
  await withServer({}, address =>
    run(process.execPath, ['--test', file], { cwd: clients, environment: { FAIRLEAD_URL: address } }))
}

/** The package as a user installs it, from the registry into an empty project. */
async function packageSuite ({ scratch }: Place): Promise<void> {
  await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', scratch], { cwd: packageRoot })
  writeFileSync(join(scratch, 'package.json'), '{"private": true, "type": "module"}')
  await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund',
    `./${readdirSync(scratch).find(name => name.endsWith('.tgz'))!}`], { cwd: scratch })
  writeFileSync(join(scratch, 'use.js'), `
    import { Fairlead } from 'fairlead'
    const fairlead = await Fairlead.start({ dataDir: 'data' })
    const { choices } = await fairlead.generate({ messages: [{ role: 'user', content: 'Hello' }], max_tokens: 8, alignment: { reward: 'positive', num_candidates: 4 } })
    console.log(choices[0].message.content, choices[0].alignment.reward)
    await fairlead.close()
  `)
  await run(process.execPath, ['use.js'], { cwd: scratch })
}

async function compatcanary (): Promise<void> {
  await installClients()
  // Its answers have no longest length: the model ends them when it likes.
  await withServer({ contextLength: '512' },
    address => run(process.execPath, ['node_modules/compatcanary/src/cli.js', 'scan', '--base-url', `${address}/v1`,
      '--model', 'smollm2-135m', '--timeout', '300', '--fail-on', 'any'], { cwd: clients }))
}

/** Logprobs of echoed prompts, as lm-evaluation-harness reads them, on a dozen pairs of sentences. */
async function lmEval ({ scratch, cacheDir }: Place): Promise<void> {
  const programs = await installPython(cacheDir)
  const tasks = join(folder, 'tasks')
  await withServer({}, address => run(join(programs, 'lm_eval'), [
    'run', '--model', 'local-completions', '--model_args',
    `model=smollm2-135m,base_url=${address}/v1/completions,num_concurrent=4,max_retries=1`,
    '--tasks', 'fairlead_agreement', '--include_path', tasks, '--output_path', join(scratch, 'results.json')
  ], { cwd: tasks, environment: { HF_HUB_OFFLINE: '1', HF_DATASETS_CACHE: join(scratch, 'data') } }))
  const file = readdirSync(scratch, { recursive: true, encoding: 'utf8' }).find(name => /results.*\.json$/.test(name))
  if (file === undefined) throw new Error('lm_eval wrote no results')
  const { results } =
    JSON.parse(readFileSync(join(scratch, file), 'utf8')) as { results: { fairlead_agreement: { 'acc,none': number } } }
  const accuracy = results.fairlead_agreement['acc,none']
  if (!(accuracy >= 0.8)) {
    throw new Error(`the likelier of two sentences was the right one in ${accuracy} of the pairs; at least 0.8 must be`)
  }
}

const checks = ['not_a_server_error', 'status_code_conformance', 'content_type_conformance',
  'response_schema_conformance', 'response_headers_conformance', 'unsupported_method', 'allow_header_conformance',
  'negative_data_rejection', 'ignored_auth']

/** Bodies made from /openapi.json, right and wrong ones. */
async function schemathesis ({ scratch, cacheDir }: Place): Promise<void> {
  const programs = await installPython(cacheDir)
  const key = 'key-of-the-conformance-suite'
  // A short context, since most bodies leave out how long the answer may be; room for lists that are longer than they
  // may be.
  await withServer({
    adminKeys: key, contextLength: '256', bodyLimitBytes: String(64 << 20), dataDir: join(scratch, 'data')
  }, address => run(join(programs, 'schemathesis'), [
    'run', `${address}/openapi.json`, '--header', `Authorization: Bearer ${key}`, '--checks', checks.join(','),
    '--phases', 'examples,coverage,fuzzing',
    '--max-examples', '20', '--continue-on-failure', '--seed', '1', '--request-timeout', '120',
    '--suppress-health-check', 'all'
  ], {
    cwd: scratch,
    environment: { SCHEMATHESIS_HOOKS: 'schemathesis_hooks', PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' }
  }))
}

const suites: Readonly<Record<string, Suite>> = {
  package: packageSuite,
  'ai-sdk': clientSuite('ai-sdk.test.js'),
  langchain: clientSuite('langchain.test.js'),
  compatcanary,
  'lm-eval': lmEval,
  schemathesis
}

const options: Options = {
  suite: { type: 'string', help: `some of ${Object.keys(suites).join(', ')}, by commas`, default: 'all' },
  'cache-dir': { type: 'string', help: 'folder for the Python suites', default: '~/.cache/fairlead' }
}

/** @throws RequestError for a suite there is not */
function chosen (values: Values): string[] {
  const names = values['suite'] === undefined ? Object.keys(suites) : String(values['suite']).split(',')
  const unknown = names.find(name => !Object.hasOwn(suites, name))
  if (unknown !== undefined) {
    throw new RequestError('invalid_request',
      `--suite must be some of ${Object.keys(suites).join(', ')}; got ${JSON.stringify(unknown)}`, { param: 'suite' })
  }
  return names
}

/** @returns whether all passed */
async function runSuites (values: Values): Promise<boolean> {
  const results: string[] = []
  let passed = true
  for (const name of chosen(values)) {
    say(`\n${name}`)
    const scratch = mkdtempSync(join(tmpdir(), 'fairlead-conformance-'))
    try {
      await suites[name]!({ scratch, cacheDir: String(values['cache-dir'] ?? loadConfig().cacheDir) })
      results.push(`passed  ${name}`)
    } catch (error) {
      passed = false
      results.push(`FAILED  ${name}: ${error instanceof Error ? error.message : String(error)}`)
    } finally {
      rmSync(scratch, { recursive: true })
    }
  }
  console.log(`\n${results.join('\n')}`)
  return passed
}

try {
  const { values } = parseOptions({ options, mostPositionals: 0 }, process.argv.slice(2))
  if (values['help'] === true) {
    console.log("npm run conformance -- [OPTIONS]\n\nOther people's clients and suites against a running " +
      `server\n\n${describeOptions(options)}`)
  } else if (!await runSuites(values)) process.exitCode = 1
} catch (error) {
  say(`conformance: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = error instanceof RequestError ? 2 : 1
}
