/**
 * Installs the peers, pinned, into a folder of their own, and puts the model into the encodings they want. What is
 * there already is kept.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '../../src/package-root.js'
import { describeInstructionSet } from '../../src/runtime/instruction-set.js'
import { installOnce, installPython, pipInstall, run } from '../../tools/child.js'

const scripts = join(packageRoot, 'bench', 'peers')
const nodeLlamaCppVersion = '3.22.1'
const quiet = { onLine: () => {} }

export type Say = (message: string) => void

/** Tells a compilation's progress, every tenth, from the lines of its build tool: "[84/193] …". */
function buildProgress (say: Say): (line: string) => void {
  let reported = 0
  return line => {
    const [, done, all] = /^\s*\[(\d+)\/(\d+)\]/.exec(line) ?? []
    const tenth = Math.floor(10 * Number(done) / Number(all))
    if (tenth > reported) say(`llama-cpp-python: ${10 * (reported = tenth)} % compiled`)
  }
}

/** What AMX processors have beside it, of what llama.cpp can use. */
const besideAmx = ['SSE42', 'AVX', 'AVX2', 'FMA', 'F16C', 'BMI2', 'AVX_VNNI', 'AVX512', 'AVX512_VBMI', 'AVX512_VNNI',
  'AVX512_BF16']

/**
 * Without llama.cpp's part for images, which takes half of the time; and without AMX, with which this version ends with
 * an illegal instruction: it loads tiles in threads that have not configured any.
 */
function buildArguments (): string {
  const withoutImages = '-DLLAVA_BUILD=OFF'
  if (!describeInstructionSet().includes('amx')) return withoutImages
  return [withoutImages, '-DGGML_NATIVE=OFF', ...besideAmx.map(feature => `-DGGML_${feature}=ON`)].join(' ')
}

/**
 * What requirements.txt pins. llama-cpp-python is compiled for this machine, which takes minutes.
 * @returns the interpreter
 */
export async function installEngines (folder: string, say: Say): Promise<string> {
  const environment = { CMAKE_BUILD_PARALLEL_LEVEL: String(availableParallelism()), CMAKE_ARGS: buildArguments() }
  return join(await installPython(join(folder, 'venv'), join(scripts, 'requirements.txt'), say,
    { environment, onLine: buildProgress(say) }, '--verbose'), 'python')
}

/** guidellm, with PyTorch, which it loads its prompts by: some gigabytes. @returns the program */
export async function installGuidellm (folder: string, say: Say): Promise<string> {
  const requirements = join(packageRoot, 'bench', 'load', 'guidellm-requirements.txt')
  return join(await installPython(join(folder, 'guidellm'), requirements, say, quiet), 'guidellm')
}

/** Best-of-n libraries, their own dependencies and those of llama-cpp-python's server. */
const proxyRequirements = join(scripts, 'proxy-requirements.txt')
/**
 * Without its dependencies: they are those of every provider and plugin it has, some gigabytes, and its best-of-n needs
 * none of them.
 */
const optillmRequirements = join(scripts, 'optillm-requirements.txt')

/** Adds what drives llama-cpp-python's server to the virtual environment. */
export async function installProxies (folder: string, python: string, say: Say): Promise<void> {
  const wanted = `${readFileSync(proxyRequirements, 'utf8')}${readFileSync(optillmRequirements, 'utf8')}`
  const marker = join(folder, 'venv', 'proxies.txt')
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return
  say(`installing ${wanted.trim().split('\n').join(', ')}`)
  await pipInstall(python, proxyRequirements, quiet)
  await pipInstall(python, optillmRequirements, quiet, '--no-deps')
  writeFileSync(marker, wanted)
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
  await installOnce(target, wanted.join('\n'), async () => {
    say(`installing ${wanted.join(', ')} into ${target}`)
    mkdirSync(target, { recursive: true })
    writeFileSync(join(target, 'package.json'), '{ "private": true }\n')
    // Its install script would look for a compiler and the network.
    await run('npm', ['install', '--prefix', target, '--no-audit', '--no-fund', '--ignore-scripts', '--omit=optional',
      ...wanted], quiet)
  })
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
  await run(python, [join(scripts, 'requantise.py'), model.path, `${target}.part`, encoding], quiet)
  renameSync(`${target}.part`, target)
  return target
}
