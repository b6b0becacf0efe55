/**
 * `npm run masked -- KIND COMMAND`: runs a command with ONNX Runtime seeing a lesser x86-64 processor than there is, at
 * full speed. Its CPUID instructions are replaced in a copy of the library, and answered by `cpumask.c`, which is
 * preloaded. For developers, on Linux x64; needs gcc and objdump.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { packageRoot } from '../src/package-root.js'

/**
 * Bits that a kind of processor does not have: leaf.subleaf.register=mask. Source: Intel's manual, volume 2A, CPUID.
 */
const amx = '7.0.d=3400000'
const vnni = ['7.0.c=800', '7.1.a=10', '7.1.d=430']
const avx512 = ['7.0.b=dc230000', '7.0.c=5842', '7.0.d=3c00100', '7.1.a=30', '7.1.d=430']
const kinds: Readonly<Record<string, { readonly about: string, readonly mask: readonly string[] }>> = {
  avx512: { about: 'AVX-512 without VNNI: Skylake-X', mask: [amx, ...vnni] },
  'avx-vnni': {
    about: 'AVX2 and AVX-VNNI: Alder Lake',
    mask: [...avx512.filter(one => !one.startsWith('7.1.a')), '7.1.a=20']
  },
  avx2: { about: 'AVX2: Haswell to Comet Lake, Zen 1 to 3', mask: avx512 },
  avx: { about: 'AVX: Sandy Bridge', mask: ['1.0.c=1000', '7.0.b=dc230020', ...avx512.slice(1)] }
}

/** Where the instructions of an ELF file's segments lie: [virtual address, offset in the file, size]. */
function segments (library: Buffer): Array<readonly [address: number, offset: number, size: number]> {
  const long = (at: number): number => Number(library.readBigUInt64LE(at))
  const [start, entry, count] = [long(32), library.readUInt16LE(54), library.readUInt16LE(56)]
  const isLoaded = (at: number): boolean => library.readUInt32LE(at) === 1
  return Array.from({ length: count }, (_, index) => start + index * entry).filter(isLoaded)
    .map(at => [long(at + 16), long(at + 8), long(at + 32)])
}

/** A library with each CPUID instruction (0F A2) replaced by UD2 (0F 0B). */
function withoutCpuid (path: string): Buffer {
  const library = readFileSync(path)
  const options = ['-d', '--no-show-raw-insn', '-j', '.text']
  const code = execFileSync('objdump', [...options, path], { encoding: 'utf8', maxBuffer: 2 ** 31 - 1 })
  const parts = segments(library)
  let replaced = 0
  for (const [, address] of code.matchAll(/^\s*([0-9a-f]+):\s+cpuid\s*$/gm)) {
    const at = Number.parseInt(address!, 16)
    const [start, offset] = parts.find(([start, , size]) => start <= at && at < start + size)!
    if (library.readUInt16LE(at - start + offset) !== 0xA20F) {
      throw new Error(`there is no CPUID instruction at ${address!} of ${path}`)
    }
    library.writeUInt16LE(0x0B0F, at - start + offset)
    replaced++
  }
  if (replaced === 0) throw new Error(`${path} has no CPUID instruction to replace`)
  return library
}

/** Makes what is preloaded and the library it answers for, once for each version of them. */
function prepare (): { readonly preload: string, readonly library: string } {
  const source = join(packageRoot, 'processors', 'cpumask.c')
  const runtime = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
  const original = join(runtime, 'bin', 'napi-v6', 'linux', 'x64', 'libonnxruntime.so.1')
  const stamp = [source, original].map(path => `${statSync(path).size}-${statSync(path).mtimeMs}`).join('-')
  const folder = join(tmpdir(), `fairlead-cpumask-${stamp}`)
  const [preload, library] = [join(folder, 'libcpumask.so'), join(folder, basename(original))]
  if (!existsSync(library)) {
    mkdirSync(folder, { recursive: true })
    execFileSync('gcc', ['-O2', '-Wall', '-shared', '-fPIC', '-o', preload, source, '-ldl'], { stdio: 'inherit' })
    writeFileSync(`${library}.part`, withoutCpuid(original))
    renameSync(`${library}.part`, library)
  }
  return { preload, library }
}

const [kind, ...command] = process.argv.slice(2)
const chosen = kind === undefined ? undefined : kinds[kind]
if (!chosen || command.length === 0) {
  const list = Object.entries(kinds).map(([name, { about }]) => `  ${name.padEnd(10)}${about}`).join('\n')
  console.error(`npm run masked -- KIND COMMAND\n\nKIND is one of\n${list}`)
  process.exit(2)
}
if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.error('CPUID can be masked on Linux x64 only')
  process.exit(2)
}
const { preload, library } = prepare()
const env = { ...process.env, LD_PRELOAD: preload, CPUMASK_LIBRARY: library, CPUMASK: chosen.mask.join() }
process.exit(spawnSync(command[0]!, command.slice(1), { stdio: 'inherit', env }).status ?? 1)
