/**
 * Model names → files on disk: downloads from a manifest's sources in order, checks size and SHA-256, keeps the file in
 * the cache. A file under its final name is whole: it gets there by a rename after the check.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { RequestError } from '../../errors.js'
import type { Variant } from '../formats/adapted-model.js'
import { ggufModelName, shardPaths } from '../formats/gguf-shards.js'
import { adapterFiles } from '../formats/lora-adapter.js'
import { checkpointFiles } from '../formats/hugging-face.js'
import { listManifests, type Manifest } from './manifest.js'
import { describeSource, fetchSource, type SourceFetcher } from './sources.js'

export interface StoreOptions {
  readonly cacheDir: string
  /** Receives progress messages for people to read. */
  readonly onProgress?: (message: string) => void
  readonly signal?: AbortSignal
  readonly fetchSource?: SourceFetcher
}

export interface ResolvedModel {
  readonly id: string
  readonly path: string
  readonly sha256: string
  /** When the file was written, seconds since the epoch. */
  readonly created: number
}

/** SHA-256 of a file, hexadecimal. */
export async function sha256OfFile (path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

async function check (path: string, manifest: Manifest): Promise<void> {
  const { size } = await stat(path)
  if (size !== manifest.sizeBytes) throw new Error(`the file has ${size} bytes; expected ${manifest.sizeBytes}`)
  const sha256 = await sha256OfFile(path)
  if (sha256 !== manifest.sha256) throw new Error(`the file's SHA-256 is ${sha256}; expected ${manifest.sha256}`)
}

async function syncToDisk (path: string): Promise<void> {
  const file = await open(path, 'r+')
  await file.sync()
  await file.close()
}

/** What went wrong, in one line: pip's is the last on stderr. */
function reason (error: unknown): string {
  const { stderr, message, cause } = error as { stderr?: string, message?: string, cause?: { message?: string } }
  const lastLine = stderr?.trim().split('\n').at(-1)
  return lastLine || [message?.split('\n')[0], cause?.message].filter(Boolean).join(': ')
}

const cachedPath = (cacheDir: string, manifest: Manifest): string =>
  join(cacheDir, 'models', manifest.sha256.slice(0, 16), manifest.file)

/** The file of a model that was fetched before, by its size; null where it must be fetched first. */
export async function cachedFile (manifest: Manifest, cacheDir: string): Promise<string | null> {
  const path = cachedPath(cacheDir, manifest)
  return existsSync(path) && (await stat(path)).size === manifest.sizeBytes ? path : null
}

/**
 * Fetches a model into the cache, whatever is there already, and gives its path.
 * @throws RequestError that lists every source tried and why it failed
 */
export async function pullModel (
  manifest: Manifest, { cacheDir, onProgress = () => {}, signal, fetchSource: fetcher = fetchSource }: StoreOptions
): Promise<string> {
  const target = cachedPath(cacheDir, manifest)
  await mkdir(join(target, '..'), { recursive: true })
  const failures: string[] = []
  for (const source of manifest.sources) {
    const partial = `${target}.${process.pid}.${randomBytes(4).toString('hex')}.part`
    const where = describeSource(source)
    onProgress(`${manifest.id}: fetching ${(manifest.sizeBytes / 1e6).toFixed(0)} MB from ${where}`)
    let shown = 0
    const onBytes = (done: number): void => {
      const percent = Math.floor(done / manifest.sizeBytes * 10) * 10
      if (percent > shown) onProgress(`${manifest.id}: ${shown = percent} %`)
    }
    try {
      await fetcher(source, partial, { onBytes, signal })
      await check(partial, manifest)
      await syncToDisk(partial)
      await rename(partial, target)
      onProgress(`${manifest.id}: ready`)
      return target
    } catch (error) {
      await rm(partial, { force: true })
      if (signal?.aborted) throw signal.reason
      failures.push(`${where}: ${reason(error)}`)
      onProgress(`${manifest.id}: ${failures.at(-1)}`)
    }
  }
  throw new RequestError('unavailable', `model ${manifest.id} could not be downloaded. Tried ` +
    `${failures.join('; ')}. A path to a local GGUF file or checkpoint works, too.`, { param: 'model' })
}

/** The name of a model that is given by a built-in name or a path: its file's or folder's own. */
export const modelName = ggufModelName

/** The manifest of a built-in model. @throws RequestError naming those there are */
export function findManifest (name: string): Manifest {
  const manifests = listManifests()
  const manifest = manifests.find(one => one.id === name)
  if (!manifest) {
    throw new RequestError('model_not_found',
      `unknown model ${JSON.stringify(name)}; available are ${manifests.map(one => one.id).join(', ')}, and paths ` +
        'to GGUF files and Hugging Face checkpoint folders', { param: 'model' })
  }
  return manifest
}

/** SHA-256 of a folder's files: of their names and sums. */
async function sha256OfFolder (folder: string, files: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const name of files) {
    const path = join(folder, name)
    // A device or a pipe would never end.
    if (!(await stat(path).catch(() => null))?.isFile()) {
      throw new RequestError('model_not_found', `file not found: ${path}`, { param: 'model' })
    }
    hash.update(`${name} ${await sha256OfFile(path)}\n`)
  }
  return hash.digest('hex')
}

async function describe (path: string, id: string, sha256: string): Promise<ResolvedModel> {
  return { id, path, sha256, created: Math.floor((await stat(path)).mtimeMs / 1000) }
}

/**
 * The file of a model: a path of a GGUF file, the first where there are several, or of a folder in Hugging Face's
 * layout, as it is; a name from the cache, fetched on first use.
 * @throws RequestError for an unknown name, a missing file, or sources that all failed
 */
export async function resolveModel (nameOrPath: string, options: StoreOptions): Promise<ResolvedModel> {
  if (nameOrPath.endsWith('.gguf')) {
    if (!existsSync(nameOrPath) || !(await stat(nameOrPath)).isFile()) {
      throw new RequestError('model_not_found', `file not found: ${nameOrPath}`, { param: 'model' })
    }
    const shards = shardPaths(nameOrPath)
    const sum = shards.length === 1
      ? await sha256OfFile(nameOrPath)
      : await sha256OfFolder(dirname(nameOrPath), shards.map(shard => basename(shard)))
    return describe(nameOrPath, modelName(nameOrPath), sum)
  }
  if (existsSync(nameOrPath) && (await stat(nameOrPath)).isDirectory()) {
    return describe(nameOrPath, modelName(nameOrPath),
      await sha256OfFolder(nameOrPath, await checkpointFiles(nameOrPath)))
  }
  const manifest = findManifest(nameOrPath)
  const path = await cachedFile(manifest, options.cacheDir) ?? await pullModel(manifest, options)
  return describe(path, manifest.id, manifest.sha256)
}

/**
 * Where a model's tokenizer and chat template are: as `resolveModel`, and of a folder only those files are needed.
 * @throws RequestError as `resolveModel` does
 */
export async function resolveTexts (nameOrPath: string, options: StoreOptions): Promise<{ readonly path: string }> {
  if (existsSync(nameOrPath)) return { path: nameOrPath }
  return await resolveModel(nameOrPath, options)
}

/**
 * A model made into a variant: the file is the base's, name and SHA-256 are of its own.
 * @throws RequestError for an adapter that is not there
 */
export async function resolveVariant (base: ResolvedModel, { layers, adapter }: Variant): Promise<ResolvedModel> {
  const id = [base.id, ...(layers === undefined ? [] : [`${layers} layers`]),
    ...(adapter === undefined ? [] : [basename(adapter)])].join(' + ')
  const sums = [base.sha256, layers ?? '', adapter === undefined ? '' : await sha256OfFolder(adapter, adapterFiles)]
  return { ...base, id, sha256: createHash('sha256').update(sums.join(' ')).digest('hex') }
}
