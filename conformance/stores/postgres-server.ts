/**
 * A real PostgreSQL of Debian's for tests, in folders of its own: the one that is installed, or the packages put into
 * the cache without being installed. It wants a password, and forgets everything when it is removed.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { installOnce, run } from '../../tools/child.js'
import { freePort } from '../../bench/harness/free-port.js'

/** Debian 12's, and what its programs need that may not be there. */
const packages = ['postgresql-15', 'postgresql-client-15', 'libpq5', 'libldap-2.5-0', 'libxml2', 'libicu72',
  'libsasl2-2']

/** Nobody: the database refuses to be run by root. */
const nobody = 65534

interface Programs { readonly bin: string, readonly environment: NodeJS.ProcessEnv }

/** The newest in a folder where Debian puts them; null where there is none. */
function programsIn (root: string): string | null {
  const versions = join(root, 'usr/lib/postgresql')
  const [newest] = existsSync(versions)
    ? readdirSync(versions).sort((a, b) => Number(b) - Number(a)).filter(version =>
      existsSync(join(versions, version, 'bin/postgres')))
    : []
  return newest === undefined ? null : join(versions, newest, 'bin')
}

async function download (folder: string): Promise<void> {
  const files = `${folder}-packages`
  rmSync(files, { recursive: true, force: true })
  mkdirSync(files, { recursive: true })
  await run('apt-get', ['download', ...packages], { cwd: files, onLine: () => {} })
  for (const file of readdirSync(files)) await run('dpkg', ['-x', join(files, file), folder])
  rmSync(files, { recursive: true })
}

/** @param ofCache take those of the cache, whether or not some are installed */
async function findPrograms (ofCache: boolean): Promise<Programs> {
  const installed = ofCache ? null : programsIn('/')
  if (installed !== null) return { bin: installed, environment: process.env }
  // Root's home is closed to those who run it.
  const cache = process.getuid!() === 0 ? '/var/cache' : join(homedir(), '.cache')
  const folder = join(cache, 'fairlead', 'conformance', 'postgres')
  await installOnce(folder, packages.join(' '), () => download(folder))
  const libraries = join(folder, 'usr/lib', process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu')
  return { bin: programsIn(folder)!, environment: { ...process.env, LD_LIBRARY_PATH: libraries } }
}

export class PostgresServer {
  readonly port: number
  readonly #programs: Programs
  readonly #folder: string
  #process: ChildProcess | null = null
  #databases = 0

  private constructor (programs: Programs, folder: string, port: number) {
    this.#programs = programs
    this.#folder = folder
    this.port = port
  }

  /** Makes an empty one and starts it. */
  static async create (ofCache = process.env['POSTGRES_OF_CACHE'] === '1'): Promise<PostgresServer> {
    const folder = mkdtempSync(join(tmpdir(), 'fairlead-postgres-'))
    const server = new PostgresServer(await findPrograms(ofCache), folder, await freePort())
    writeFileSync(join(folder, 'password'), 'a password')
    if (process.getuid!() === 0) for (const path of [folder, join(folder, 'password')]) chownSync(path, nobody, nobody)
    const [code] = await once(server.#spawn('initdb', '-D', join(folder, 'data'), '-U', 'fairlead', '-E', 'UTF8',
      '--locale=C', '--no-sync', '-A', 'scram-sha-256', '--pwfile', join(folder, 'password')), 'close')
    if (code !== 0) throw new Error(`initdb ended with code ${String(code)}`)
    await server.start()
    return server
  }

  #spawn (program: string, ...args: string[]): ChildProcess {
    const { bin, environment } = this.#programs
    return spawn(join(bin, program), args, {
      cwd: this.#folder,
      env: environment,
      // What it writes would only be read where something is wrong.
      stdio: ['ignore', 'ignore', process.env['POSTGRES_LOG'] === '1' ? 'inherit' : 'ignore'],
      ...(process.getuid!() === 0 ? { uid: nobody, gid: nobody } : {})
    })
  }

  url (database = 'postgres'): string {
    return `postgresql://fairlead:a%20password@127.0.0.1:${this.port}/${database}`
  }

  /** Starts it, and waits until it answers. */
  async start (): Promise<void> {
    this.#process = this.#spawn('postgres', '-D', join(this.#folder, 'data'), '-p', String(this.port),
      '-h', '127.0.0.1', '-k', this.#folder, '-F')
    while (!await this.#answers()) {
      if (this.#process.exitCode !== null) throw new Error('postgres has ended; POSTGRES_LOG=1 shows why')
    }
  }

  async #answers (): Promise<boolean> {
    return await this.query('SELECT 1').then(() => true, () => false)
  }

  /** What a statement of the tests' own brings. */
  async query (sql: string, database?: string): Promise<Array<Record<string, any>>> {
    const client = new pg.Client({ connectionString: this.url(database) })
    try {
      await client.connect()
      return (await client.query(sql)).rows as Array<Record<string, any>>
    } finally {
      await client.end()
    }
  }

  /** An empty database. @returns its address */
  async database (): Promise<string> {
    const name = `test_${++this.#databases}`
    await this.query(`CREATE DATABASE ${name}`)
    return this.url(name)
  }

  /** Ends it as a crash would. */
  async stop (): Promise<void> {
    if (!this.#process || this.#process.exitCode !== null) return
    const closed = once(this.#process, 'close')
    this.#process.kill('SIGQUIT')
    await closed
  }

  async remove (): Promise<void> {
    await this.stop()
    rmSync(this.#folder, { recursive: true })
  }
}
