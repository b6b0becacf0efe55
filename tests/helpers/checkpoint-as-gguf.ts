/** A tiny checkpoint in Hugging Face's layout as a GGUF file. */
import { writeFileSync } from 'node:fs'
import { ggufHeader, tensorPadding, type Metadata, type TensorShape } from '../../scripts/gguf-writer.js'
import { ropeFactorsTensor } from '../../src/models/formats/decoder-tensors.js'
import { openCheckpoint } from '../../src/models/formats/checkpoint.js'
import { tinyMetadata } from './tiny-gguf.js'

/**
 * Writes the weights of a tiny checkpoint to a GGUF file beside its folder, as llama.cpp's converter does: rows of
 * queries and keys in pairs in Llama's.
 * @param more added to, or put in place of, the metadata
 * @returns its path
 */
export async function asGguf (folder: string, more: Readonly<Record<string, Metadata>> = {}): Promise<string> {
  const { file, config } = await openCheckpoint(folder)
  const { family, headSize, hiddenSize, layers, queryHeads, kvHeads, feedForwardSize, contextLength } = config
  const tensors: Array<TensorShape & { readonly data: Buffer }> = []
  for (const [tensor, { shape }] of file.tensors) {
    const values = await file.read(tensor)
    const paired = family === 'llama' && /attn_[qk]\.weight$/.test(tensor)
    const sourceOf = (at: number): number => {
      const [row, column] = [Math.floor(at / hiddenSize), at % hiddenSize]
      const [head, within] = [Math.floor(row / headSize), row % headSize]
      return (head * headSize + (within % 2) * headSize / 2 + (within >> 1)) * hiddenSize + column
    }
    const data = paired ? values.map((_, at) => values[sourceOf(at)]!) : values
    tensors.push({ name: tensor, shape, encoding: 'F32', data: Buffer.from(data.buffer) })
  }
  if (config.ropeDivisors) {
    const data = Buffer.from(Float32Array.from(config.ropeDivisors).buffer)
    tensors.push({ name: ropeFactorsTensor, shape: [config.ropeDivisors.length], encoding: 'F32', data })
  }
  await file.close()
  const metadata = tinyMetadata(family, { layers, hiddenSize, queryHeads, kvHeads, feedForwardSize, contextLength })
  const path = `${folder}.gguf`
  writeFileSync(path, Buffer.concat([ggufHeader({
    ...metadata, [`${family}.attention.key_length`]: headSize, [`${family}.attention.value_length`]: headSize, ...more
  }, tensors), ...tensors.flatMap(tensor => [tensor.data, tensorPadding(tensor)])]))
  return path
}
