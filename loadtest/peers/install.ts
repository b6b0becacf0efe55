/**
 * Installs the peers, pinned, into a folder of their own, and puts the model into the encodings they want. What is
 * there already is kept.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { packageRoot } from '../../src/package-root.js'

const scripts = join(packageRoot, 'loadtest', 'peers')
const nodeLlamaCppVersion = '3.22.1'
/** Written last, so that an installation that was cut short is made anew. */
const marker = 'installed.txt'

export type Say = (message: string) => void

/** Runs a program to its end. @param onLine told each line it prints @throws Error with its last lines, if it fails */
async function run (program: string, args: readonly string[], { environment = {}, onLine = () => {} }: {
  environment?: Record<string, string>, onLine?: (line: string) => void
} = {}): Promise<void> {
  const child = spawn(program, args, { env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] })
  const last: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', line => {
      last.push(line)
      if (last.length > 12) last.shift()
      onLine(line)
    })
  }
  await new Promise<void>((resolve, reject) => {
    child.once('error', error => { reject(new Error(`${program} cannot be run: ${error.message}`)) })
    child.once('close', code => {
      code === 0
        ? resolve()
        : reject(new Error(`${program} ${args.join(' ')} ended with code ${String(code)}:\n${last.join('\n')}`))
    })
  })
}

/** Whether a folder holds a whole installation of what is wanted; else it is emptied. */
function isInstalled (folder: string, wanted: string): boolean {
  const file = join(folder, marker)
  if (existsSync(file) && readFileSync(file, 'utf8') === wanted) return true
  rmSync(folder, { recursive: true, force: true })
  return false
}

/** Tells a compilation's progress, every tenth, from the lines of its build tool: "[84/193] …". */
function buildProgress (say: Say): (line: string) => void {
  let told = 0
  return line => {
    const [, done, all] = /^\s*\[(\d+)\/(\d+)\]/.exec(line) ?? []
    const tenth = Math.floor(10 * Number(done) / Number(all))
    if (tenth > told) say(`llama-cpp-python: ${10 * (told = tenth)} % compiled`)
  }
}

/** A virtual environment with what a file pins. @returns its interpreter */
async function installEnvironment (
  environment: string, requirements: string, say: Say,
  { build = {}, onLine = () => {} }: { build?: Record<string, string>, onLine?: (line: string) => void } = {}
): Promise<string> {
  const wanted = readFileSync(requirements, 'utf8')
  const python = join(environment, 'bin', 'python')
  if (isInstalled(environment, wanted)) return python
  say(`installing ${wanted.trim().split('\n').join(', ')} into ${environment}`)
  await run('python3', ['-m', 'venv', environment])
  await run(python, ['-m', 'pip', 'install', '--disable-pip-version-check', '--verbose', '--requirement', requirements],
    { environment: build, onLine })
  writeFileSync(join(environment, marker), wanted)
  return python
}

/**
 * What requirements.txt pins. llama-cpp-python is compiled for this machine, which takes minutes.
 * @returns the interpreter
 */
export async function installPython (folder: string, say: Say): Promise<string> {
  // Without its part for images, which takes half of the time.
  const build = { CMAKE_BUILD_PARALLEL_LEVEL: String(availableParallelism()), CMAKE_ARGS: '-DLLAVA_BUILD=OFF' }
  return installEnvironment(join(folder, 'venv'), join(scripts, 'requirements.txt'), say,
    { build, onLine: buildProgress(say) })
}

/** guidellm, with PyTorch, which it loads its prompts by: some gigabytes. @returns the program */
export async function installGuidellm (folder: string, say: Say): Promise<string> {
  return join(await installEnvironment(join(folder, 'guidellm'),
    join(packageRoot, 'loadtest', 'guidellm-requirements.txt'), say), '..', 'guidellm')
}

/** Best-of-n libraries, their own dependencies and those of llama-cpp-python's server. */
const proxyRequirements = join(scripts, 'proxy-requirements.txt')
/**
 * Without its dependencies: they are those of every provider and plugin it has, some gigabytes, and its best-of-n needs
 * none of them.
 */
const optillm = 'optillm==0.4.0'

/** Adds what drives llama-cpp-python's server to the virtual environment. */
export async function installProxies (folder: string, python: string, say: Say): Promise<void> {
  const wanted = `${readFileSync(proxyRequirements, 'utf8')}${optillm}\n`
  const file = join(folder, 'venv', 'proxies.txt')
  if (existsSync(file) && readFileSync(file, 'utf8') === wanted) return
  say(`installing ${wanted.trim().split('\n').join(', ')}`)
  const pip = [python, '-m', 'pip', 'install', '--disable-pip-version-check'] as const
  await run(pip[0], [...pip.slice(1), '--requirement', proxyRequirements])
  await run(pip[0], [...pip.slice(1), '--no-deps', optillm])
  writeFileSync(file, wanted)
}

/** The packages with node-llama-cpp's compiled code for a CPU, by platform. */
const nodeLlamaCppBinaries = new Map([['linux-x64', 'linux-x64'], ['linux-arm64', 'linux-arm64'],
  ['darwin-x64', 'mac-x64'], ['darwin-arm64', 'mac-arm64-metal']])

/** The one for this machine: all the optional packages together, those for graphics cards among them, are 700 MB. */
function nodeLlamaCppBinary (): string {
  const name = nodeLlamaCppBinaries.get(`${process.platform}-${process.arch}`)
  if (name === undefined) {
    throw new Error(`node-llama-cpp has no compiled package for ${process.platform} ${process.arch}; leave it out ` +
      'with --engines')
  }
  return `@node-llama-cpp/${name}`
}

/** node-llama-cpp as compiled by its authors. @returns the folder that node_modules is in */
export async function installNodeLlamaCpp (folder: string, say: Say): Promise<string> {
  const target = join(folder, 'node-llama-cpp')
  const wanted = ['node-llama-cpp', nodeLlamaCppBinary()].map(name => `${name}@${nodeLlamaCppVersion}`)
  if (isInstalled(target, wanted.join('\n'))) return target
  say(`installing ${wanted.join(', ')} into ${target}`)
  mkdirSync(target, { recursive: true })
  writeFileSync(join(target, 'package.json'), '{ "private": true }\n')
  // Its install script would look for a compiler and the network.
  await run('npm',
    ['install', '--prefix', target, '--no-audit', '--no-fund', '--ignore-scripts', '--omit=optional', ...wanted])
  writeFileSync(join(target, marker), wanted.join('\n'))
  return target
}

/** The model in another encoding, made by llama.cpp from the file as it is. @returns its path */
export async function requantise (
  folder: string, python: string, model: { readonly path: string, readonly sha256: string }, encoding: 'Q8_0' | 'Q4_0',
  say: Say
): Promise<string> {
  const target = join(folder, 'models', `${model.sha256.slice(0, 16)}-${encoding}.gguf`)
  if (existsSync(target)) return target
  say(`writing the model as ${encoding}`)
  mkdirSync(join(folder, 'models'), { recursive: true })
  await run(python, [join(scripts, 'requantise.py'), model.path, `${target}.part`, encoding])
  renameSync(`${target}.part`, target)
  return target
}
