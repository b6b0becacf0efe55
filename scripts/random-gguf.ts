/**
 * Writes a Llama-family GGUF file with random weights at the shape of a larger model: what `npm run bench:peers --
 * --model FILE` compares engines on where no such model is at hand. A forward pass is as fast as with any weights;
 * draws are from a nearly flat distribution, the worst case of sampling. Tokenizer and chat template are those of
 * another file.
 *
 *   node dist/scripts/random-gguf.js --shape 0.5b --out FILE.gguf [--tokenizer smollm2-135m]
 */
import { open } from 'node:fs/promises'
import { describeOptions, parseOptions, requiredOption, type Options } from '../src/cli/options.js'
import { loadConfig } from '../src/config.js'
import { RequestError } from '../src/errors.js'
import { openGguf } from '../src/models/formats/gguf.js'
import { resolveModel } from '../src/models/store/model-store.js'
import { refuse } from '../src/validation.js'
import {
  ggufEncodings, ggufHeader, tensorBytes, tensorPadding, type Metadata, type TensorShape
} from './gguf-writer.js'

interface Shape {
  readonly layers: number,
  readonly hiddenSize: number,
  readonly queryHeads: number,
  readonly kvHeads: number,
  readonly feedForwardSize: number
}

/** With tied embeddings and a vocabulary of 49,152: 491 million weights, and Llama 3.2 1B's layers: 1,074 million. */
export const shapes: Readonly<Record<string, Shape>> = {
  '0.5b': { layers: 24, hiddenSize: 1024, queryHeads: 16, kvHeads: 4, feedForwardSize: 5120 },
  '1b': { layers: 16, hiddenSize: 2048, queryHeads: 32, kvHeads: 8, feedForwardSize: 8192 }
}

const contextLength = 8192
/** Standard deviation of the weights: usual for an untrained model, and activations stay ordinary numbers. */
const deviation = 0.02
/** Values written at a time. */
const chunk = 1 << 22

/** A llama's tensors, in the order of the file: matrices in Q8_0, norms in F32. */
export function tensorsOf (
  { layers, hiddenSize, queryHeads, kvHeads, feedForwardSize }: Shape, vocabularySize: number
): TensorShape[] {
  const kv = kvHeads * hiddenSize / queryHeads
  const matrix = (name: string, rows: number, columns: number): TensorShape => ({
    name: `${name}.weight`, shape: [rows, columns], encoding: 'Q8_0'
  })
  const norm = (name: string): TensorShape => ({ name: `${name}.weight`, shape: [hiddenSize], encoding: 'F32' })
  const blocks = Array.from({ length: layers }, (_, layer) => `blk.${layer}`).flatMap(block => [
    norm(`${block}.attn_norm`),
    matrix(`${block}.attn_q`, hiddenSize, hiddenSize),
    matrix(`${block}.attn_k`, kv, hiddenSize),
    matrix(`${block}.attn_v`, kv, hiddenSize),
    matrix(`${block}.attn_output`, hiddenSize, hiddenSize),
    norm(`${block}.ffn_norm`),
    matrix(`${block}.ffn_gate`, feedForwardSize, hiddenSize),
    matrix(`${block}.ffn_up`, feedForwardSize, hiddenSize),
    matrix(`${block}.ffn_down`, hiddenSize, feedForwardSize)
  ])
  return [matrix('token_embd', vocabularySize, hiddenSize), norm('output_norm'), ...blocks]
}

/** A llama's metadata, and all that another file says of its tokenizer. */
export function metadataOf (
  { layers, hiddenSize, queryHeads, kvHeads, feedForwardSize }: Shape, name: string,
  other: Readonly<Record<string, unknown>>
): Record<string, Metadata> {
  return {
    'general.architecture': 'llama',
    'general.name': name,
    'general.file_type': 7,
    'llama.block_count': layers,
    'llama.context_length': contextLength,
    'llama.embedding_length': hiddenSize,
    'llama.feed_forward_length': feedForwardSize,
    'llama.attention.head_count': queryHeads,
    'llama.attention.head_count_kv': kvHeads,
    'llama.attention.layer_norm_rms_epsilon': { float: 1e-5 },
    'llama.rope.freq_base': { float: 100000 },
    'llama.rope.dimension_count': hiddenSize / queryHeads,
    'llama.vocab_size': (other['tokenizer.ggml.tokens'] as readonly string[]).length,
    ...Object.fromEntries(Object.entries(other).filter(([key]) =>
      key.startsWith('tokenizer.'))) as Record<string, Metadata>
  }
}

/** 32 random bits a call (Marsaglia 2003, xorshift). The same in every file. */
function randomBits (): () => number {
  let state = 0x9e3779b9
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/**
 * The scale, in half precision, that gives bytes spread evenly over −127…127 the deviation. 2^−12.8 lies among the
 * normal numbers.
 */
function halfScale (): number {
  const scale = deviation / Math.sqrt((255 ** 2 - 1) / 12)
  const exponent = Math.floor(Math.log2(scale))
  return ((exponent + 15) << 10) | Math.round((scale / 2 ** exponent - 1) * 1024)
}

/** Blocks of Q8_0: a scale, then 32 signed bytes. */
function randomBlocks (sizeBytes: number, next: () => number): Buffer {
  const { blockBytes } = ggufEncodings.Q8_0
  const bytes = Buffer.alloc(sizeBytes)
  const scale = halfScale()
  for (let block = 0; block < sizeBytes; block += blockBytes) {
    bytes.writeUInt16LE(scale, block)
    for (let at = block + 2; at < block + blockBytes; at += 4) bytes.writeUInt32LE(next(), at)
    // −128 has no counterpart, and the kernels of some engines take magnitudes.
    for (let at = block + 2; at < block + blockBytes; at++) if (bytes[at] === 128) bytes[at] = 129
  }
  return bytes
}

/** A tensor's bytes, a piece at a time: random blocks, or ones for a norm. */
function * dataOf (tensor: TensorShape, next: () => number): Generator<Buffer> {
  const size = tensorBytes(tensor)
  if (tensor.encoding === 'F32') yield Buffer.from(new Float32Array(size / 4).fill(1).buffer)
  else {
    const most = chunk / ggufEncodings.Q8_0.blockSize * ggufEncodings.Q8_0.blockBytes
    for (let done = 0; done < size; done += most) yield randomBlocks(Math.min(most, size - done), next)
  }
  yield tensorPadding(tensor)
}

/** Writes the file. @param tokenizer name of a model in the box, or path of a GGUF file */
export async function writeRandomGguf (path: string, shape: Shape, name: string, tokenizer: string): Promise<void> {
  const source = await openGguf((await resolveModel(tokenizer, { cacheDir: loadConfig().cacheDir })).path)
  const metadata = metadataOf(shape, name, source.metadata)
  await source.close()
  const tensors = tensorsOf(shape, metadata['llama.vocab_size'] as number)
  const next = randomBits()
  const file = await open(path, 'w')
  try {
    await file.writeFile(ggufHeader(metadata, tensors))
    for (const tensor of tensors) for (const bytes of dataOf(tensor, next)) await file.writeFile(bytes)
  } finally {
    await file.close()
  }
}

const options: Options = {
  shape: { type: 'string', help: `one of ${Object.keys(shapes).join(', ')}` },
  out: { type: 'string', help: 'path of the .gguf file to write' },
  tokenizer: {
    type: 'string', help: 'model whose tokenizer it has: a name in models/, or a GGUF file', default: 'smollm2-135m'
  }
}

async function main (args: readonly string[]): Promise<void> {
  const { values } = parseOptions({ options, maxPositionals: 0 }, args)
  if (values['help'] === true) {
    return console.log('node dist/scripts/random-gguf.js --shape SHAPE --out FILE\n\nwrites a model of random ' +
      `weights\n\n${describeOptions(options)}`)
  }
  const [shape, out] = [requiredOption(values, 'shape'), requiredOption(values, 'out')]
  if (!Object.hasOwn(shapes, shape)) throw refuse('--shape', `must be one of ${Object.keys(shapes).join(', ')}`, shape)
  if (!out.endsWith('.gguf')) throw refuse('--out', 'must be the path of a .gguf file', out)
  await writeRandomGguf(out, shapes[shape]!, `random ${shape}`,
    String(values['tokenizer'] ?? options['tokenizer']!.default))
}

if (import.meta.filename === process.argv[1]) {
  main(process.argv.slice(2)).catch((error: unknown) => {
    console.error(error instanceof RequestError ? error.message : error)
    process.exitCode = 1
  })
}
