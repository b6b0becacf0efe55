/**
 * `npm run conformance`: other people's clients and suites against a running server with the default model. Installs
 * them apart from the server's own packages, runs each, prints a line for each and ends with 1 if any failed. Knows
 * what a suite is called with, not what it checks.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { say } from '../src/cli/command.js'
import { namesOption, type Options } from '../src/cli/options.js'
import { loadConfig } from '../src/config.js'
import { packageRoot } from '../src/package-root.js'
import { installPython, run } from '../tools/child.js'
import { messageOf, runProgram, type Arguments } from '../tools/program.js'
import { llamaServerSuite } from './llama-server/suite.js'
import { vllmDefaultSuite, vllmFaultsSuite, vllmSuite } from './vllm/suite.js'
import { withFairlead } from './with-fairlead.js'

const folder = join(packageRoot, 'conformance')
const clients = join(folder, 'clients')

let clientsInstalled: Promise<void> | null = null

/** The Node clients, by their own lock. */
function installClients (): Promise<void> {
  return (clientsInstalled ??= run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: clients }))
}

/** What requirements.txt pins. @returns the folder of its programs */
const installSuites = (cacheDir: string): Promise<string> =>
  installPython(join(cacheDir, 'conformance', 'venv'), join(folder, 'requirements.txt'), say, {}, '--quiet')

/** What a suite is given: a folder of its own, and where things are kept. */
interface Place { readonly scratch: string, readonly cacheDir: string }
type Suite = (place: Place) => Promise<void>

/** A test file of conformance/clients against a server. */
const clientSuite = (file: string): Suite => async () => {
  await installClients()
  await withFairlead({}, address =>
    run(process.execPath, ['--test', file], { cwd: clients, environment: { FAIRLEAD_URL: address } }))
}

async function compatcanary (): Promise<void> {
  await installClients()
  // Its answers have no longest length: the model ends them when it likes.
  await withFairlead({ contextLength: '512' },
    address => run(process.execPath, ['node_modules/compatcanary/src/cli.js', 'scan', '--base-url', `${address}/v1`,
      '--model', 'smollm2-135m', '--timeout', '300', '--fail-on', 'any'], { cwd: clients }))
}

/** Logprobs of echoed prompts, as lm-evaluation-harness reads them, on a dozen pairs of sentences. */
async function lmEval ({ scratch, cacheDir }: Place): Promise<void> {
  const programs = await installSuites(cacheDir)
  const tasks = join(folder, 'tasks')
  await withFairlead({}, address => run(join(programs, 'lm_eval'), [
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

/** openai-python: what was answered is sent back, the ends of ranges, many inputs. */
async function openaiPython ({ cacheDir }: Place): Promise<void> {
  const programs = await installSuites(cacheDir)
  await withFairlead({}, address => run(join(programs, 'python'), [join(folder, 'openai_python.py')],
    { environment: { FAIRLEAD_URL: address, PYTHONDONTWRITEBYTECODE: '1' } }))
}

const checks = ['not_a_server_error', 'status_code_conformance', 'content_type_conformance',
  'response_schema_conformance', 'response_headers_conformance', 'unsupported_method', 'allow_header_conformance',
  'negative_data_rejection', 'ignored_auth']

/** Bodies made from /openapi.json, right and wrong ones. */
async function schemathesis ({ scratch, cacheDir }: Place): Promise<void> {
  const programs = await installSuites(cacheDir)
  const key = 'key-of-the-conformance-suite'
  // A short context, since most bodies leave out how long the answer may be; room for lists that are longer than they
  // may be.
  await withFairlead({
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
  'ai-sdk': clientSuite('ai-sdk.test.js'),
  langchain: clientSuite('langchain.test.js'),
  'openai-python': openaiPython,
  programs: clientSuite('programs.test.js'),
  compatcanary,
  'lm-eval': lmEval,
  schemathesis,
  'llama-server': llamaServerSuite,
  vllm: vllmSuite,
  'vllm-faults': vllmFaultsSuite,
  'vllm-default': vllmDefaultSuite
}

const options: Options = {
  suite: { type: 'string', help: `some of ${Object.keys(suites).join(', ')}, by commas`, default: 'all' },
  'cache-dir': { type: 'string', help: 'folder for the Python suites', default: '~/.cache/fairlead' }
}

/** Prints a line for each; ends with 1 if any failed. */
async function runSuites (args: Arguments): Promise<void> {
  const results: string[] = []
  for (const name of namesOption(args.values, 'suite', Object.keys(suites))) {
    say(`\n${name}`)
    const scratch = mkdtempSync(join(tmpdir(), 'fairlead-conformance-'))
    try {
      await suites[name]!({ scratch, cacheDir: String(args.values['cache-dir'] ?? loadConfig().cacheDir) })
      results.push(`passed  ${name}`)
    } catch (error) {
      process.exitCode = 1
      results.push(`FAILED  ${name}: ${messageOf(error)}`)
    } finally {
      rmSync(scratch, { recursive: true })
    }
  }
  console.log(`\n${results.join('\n')}`)
}

await runProgram({
  command: 'npm run conformance --',
  summary: "Other people's clients and suites against a running server",
  options,
  run: runSuites
})
