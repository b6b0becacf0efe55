/**
 * GGUF models in several files, as llama.cpp's gguf-split writes them: NAME-00001-of-00003.gguf has the metadata, each
 * file some of the tensors. The first finds the others.
 */
import { basename, dirname, join } from 'node:path'
import { refuseModel } from './decoder-tensors.js'
import { openGguf, type GgufFile } from './gguf.js'

const shardName = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/

/** The name of a model by its file's: without extension and place among shards. */
export const ggufModelName = (path: string): string =>
  shardName.exec(basename(path))?.[1] ?? basename(path, '.gguf')

/**
 * All files of a model, itself first; those of the others by their names.
 * @throws RequestError for a shard that is not the first
 */
export function shardPaths (path: string): string[] {
  const [, name, place, count] = shardName.exec(basename(path)) ?? []
  if (name === undefined || Number(count) <= 1) return [path]
  const pathOf = (shard: number): string =>
    join(dirname(path), `${name}-${String(shard).padStart(5, '0')}-of-${count}.gguf`)
  if (Number(place) !== 1) {
    throw refuseModel({ path }, `it is shard ${Number(place)} of ${Number(count)}; name the first, ${pathOf(1)}`)
  }
  return Array.from({ length: Number(count) }, (_, index) => pathOf(index + 1))
}

/** @throws RequestError for a file that is another shard than its name says, or of another number of shards */
function checkPlace (file: GgufFile, index: number, count: number): void {
  const [place, places] = [file.metadata['split.no'] ?? 0, file.metadata['split.count'] ?? 1]
  if (place !== index || places !== count) {
    throw refuseModel(file, `its name says shard ${index + 1} of ${count}, and its metadata split.no = ` +
      `${JSON.stringify(place)} and split.count = ${JSON.stringify(places)}`)
  }
}

/** Several files as one, with the metadata of the first. @throws RequestError for tensors that are twice or missing */
function joined (files: readonly GgufFile[]): GgufFile {
  const [first] = files as readonly [GgufFile, ...GgufFile[]]
  const owners = new Map<string, GgufFile>()
  for (const file of files) {
    for (const name of file.tensors.keys()) {
      if (owners.has(name)) throw refuseModel(file, `tensor ${name} is also in ${owners.get(name)!.path}`)
      owners.set(name, file)
    }
  }
  const claimed = first.metadata['split.tensors.count']
  if (claimed !== undefined && claimed !== owners.size) {
    throw refuseModel(first, `its ${files.length} shards have ${owners.size} tensors; split.tensors.count is ` +
      JSON.stringify(claimed))
  }
  const ownerOf = (name: string): GgufFile => owners.get(name) ?? first
  return {
    path: first.path,
    metadata: first.metadata,
    tensors: new Map([...owners].map(([name, file]) => [name, file.tensors.get(name)!])),
    read: name => ownerOf(name).read(name),
    readGroups: name => ownerOf(name).readGroups(name),
    close: async () => { await Promise.all(files.map(file => file.close())) }
  }
}

/**
 * Opens a GGUF model, of one file or several.
 * @param path of the file, or of the first
 * @throws RequestError naming the file and what is wrong with it
 */
export async function openShards (path: string): Promise<GgufFile> {
  const paths = shardPaths(path)
  const files: GgufFile[] = []
  try {
    for (const [index, one] of paths.entries()) {
      files.push(await openGguf(one))
      checkPlace(files[index]!, index, paths.length)
    }
    return joined(files)
  } catch (error) {
    await Promise.all(files.map(file => file.close()))
    throw error
  }
}
