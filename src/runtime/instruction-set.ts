/**
 * Which instructions the processor says it has, of those that matrix kernels are chosen by. For people to read: what
 * the kernels compute is found by the self-test (`models/self-test/`), since what a system says need not be what a
 * library sees, in a container, a virtual machine or an emulator.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { loadLibrary } from './native-library.js'

/** Names as Linux has them, by architecture, the most telling first. */
const telling: Readonly<Record<string, readonly string[]>> = {
  x64: ['amx_int8', 'avx512_vnni', 'avx_vnni', 'avx512f', 'avx2', 'avx', 'sse4_1'],
  arm64: ['sve', 'i8mm', 'asimddp', 'asimd']
}

/** Numbers of IsProcessorFeaturePresent (winnt.h). */
const windowsFeatures: Readonly<Record<string, number>> = {
  avx512f: 41, avx2: 40, avx: 39, sse4_1: 37, asimddp: 43, asimd: 19
}

/** Names of `sysctl hw.optional.arm` (Apple's documentation of instruction set characteristics). */
const appleFeatures: Readonly<Record<string, string>> = { i8mm: 'FEAT_I8MM', asimddp: 'FEAT_DotProd', asimd: 'AdvSIMD' }

function featuresHere (): ReadonlySet<string> {
  if (process.platform === 'linux') {
    const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))
    return new Set(flags?.[1]?.split(/\s+/) ?? [])
  }
  if (process.platform === 'darwin') {
    const text = execFileSync('/usr/sbin/sysctl', ['hw.optional'], { encoding: 'utf8' })
    const isListed = (name: string): boolean => new RegExp(`${name}: 1$`, 'm').test(text)
    return new Set(Object.entries(appleFeatures).filter(([, name]) => isListed(name)).map(([name]) => name))
  }
  const isPresent = loadLibrary('kernel32.dll').func('int IsProcessorFeaturePresent(uint32_t feature)')
  const present = Object.entries(windowsFeatures).filter(([, feature]) => isPresent(feature) !== 0)
  return new Set(present.map(([name]) => name))
}

/** e.g. "x64: avx512_vnni, avx512f, avx2, avx, sse4_1"; the architecture alone where the system does not say more. */
export function describeInstructionSet (): string {
  try {
    const features = featuresHere()
    const here = (telling[process.arch] ?? []).filter(name => features.has(name))
    return here.length === 0 ? process.arch : `${process.arch}: ${here.join(', ')}`
  } catch {
    return process.arch
  }
}
