/** Programs run to their end, and virtual environments of Python made with them. Knows none of them. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** Lines of output that are told of a program that fails. */
const lastLines = 12

export interface RunOptions {
  readonly cwd?: string
  /** Added to this process's own. */
  readonly environment?: Readonly<Record<string, string>>
  /** Told each line it prints; without it output is before the reader's eyes. */
  readonly onLine?: (line: string) => void
}

/** Runs a program to its end. @throws Error with its last lines, if it fails */
export async function run (
  program: string, args: readonly string[], { cwd, environment = {}, onLine }: RunOptions = {}
): Promise<void> {
  const output = onLine ? 'pipe' as const : 'inherit' as const
  const child = spawn(program, args, {
    ...cwd === undefined ? {} : { cwd }, env: { ...process.env, ...environment }, stdio: ['ignore', output, output]
  })
  const last: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue
    createInterface(stream).on('line', line => {
      if (last.push(line) > lastLines) last.shift()
      onLine?.(line)
    })
  }
  await new Promise<void>((resolve, reject) => {
    child.once('error', error => { reject(new Error(`${program} cannot be run: ${error.message}`)) })
    child.once('close', code => {
      if (code === 0) resolve()
      else reject(new Error([`${program} ${args.join(' ')} ended with code ${String(code)}`, ...last].join('\n')))
    })
  })
}

/**
 * Makes something once for each version of what is wanted; an installation that was cut short is made anew.
 * @param folder it lies in, emptied before @param wanted goes into its marker when it is whole
 */
export async function installOnce (folder: string, wanted: string, install: () => Promise<void>): Promise<void> {
  const marker = join(folder, 'installed.txt')
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return
  rmSync(folder, { recursive: true, force: true })
  await install()
  writeFileSync(marker, wanted)
}

/** Installs what a file pins. @param flags of pip, beside it */
export const pipInstall = (
  python: string, requirements: string, options: RunOptions = {}, ...flags: string[]
): Promise<void> =>
  run(python, ['-m', 'pip', 'install', '--disable-pip-version-check', ...flags, '--requirement', requirements], options)

/** A virtual environment with what a file pins. @returns its folder of programs */
export async function installPython (
  folder: string, requirements: string, say: (message: string) => void, options: RunOptions = {}, ...flags: string[]
): Promise<string> {
  const wanted = readFileSync(requirements, 'utf8')
  const programs = join(folder, 'bin')
  await installOnce(folder, wanted, async () => {
    say(`installing ${wanted.trim().split('\n').join(', ')} into ${folder}`)
    await run('python3', ['-m', 'venv', folder], options)
    await pipInstall(join(programs, 'python'), requirements, options, ...flags)
  })
  return programs
}
