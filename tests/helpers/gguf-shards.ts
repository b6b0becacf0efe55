/** A GGUF file of float32 tensors cut into shards, as llama.cpp's gguf-split does. */
import { writeFileSync } from 'node:fs'
import { ggufHeader, tensorPadding, type Metadata, type TensorShape } from '../../scripts/gguf-writer.js'
import { openGguf } from '../../src/models/formats/gguf.js'
import { tinyMetadata } from './tiny-gguf.js'

/**
 * Writes the shards of a tiny Llama file beside it.
 * @param more put in place of metadata of a shard
 * @returns paths of the shards, the first of which has no tensors
 */
export async function writeShards (
  path: string, count: number, more: (shard: number) => Readonly<Record<string, Metadata>> = () => ({})
): Promise<string[]> {
  const file = await openGguf(path)
  const names = [...file.tensors.keys()]
  const paths: string[] = []
  for (let shard = 0; shard < count; shard++) {
    const tensors: Array<TensorShape & { readonly data: Buffer }> = []
    for (const [index, name] of names.entries()) {
      if (index % (count - 1) + 1 !== shard) continue
      const data = Buffer.from((await file.read(name)).buffer)
      tensors.push({ name, shape: file.tensors.get(name)!.shape, encoding: 'F32', data })
    }
    const sizes =
      { layers: 2, hiddenSize: 64, queryHeads: 4, kvHeads: 2, feedForwardSize: 128, contextLength: 512 }
    const metadata = {
      ...shard === 0 ? tinyMetadata('llama', sizes) : {},
      'split.no': shard,
      'split.count': count,
      'split.tensors.count': names.length,
      ...more(shard)
    }
    const places = [shard + 1, count].map(place => String(place).padStart(5, '0'))
    paths.push(path.replace(/\.gguf$/, `-${places.join('-of-')}.gguf`))
    writeFileSync(paths[shard]!, Buffer.concat([ggufHeader(metadata, tensors),
      ...tensors.flatMap(tensor => [tensor.data, tensorPadding(tensor)])]))
  }
  await file.close()
  return paths
}
