/** The vocabulary, chat template and random numbers of tiny models, whatever file they are written to. */

export const chatTemplate = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + " +
  "message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' " +
  '}}{% endif %}'

/** GPT-2's printable stand-in of each byte. */
function byteTokens (): string[] {
  const printable = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) ||
    byte >= 174
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++))
}

export const controlTokens = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
export const merges = ['t h', 'Ġ t', 'a n', 'i n', 'th e']

/** The vocabulary: three control tokens, 256 bytes, a few merged ones. 264 tokens. */
export const tinyVocabulary = [...controlTokens, ...byteTokens(), ...merges.map(merge => merge.replace(' ', ''))]

/** Numbers in (−½, ½) from a seed. */
export function noise (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32 - 0.5
  }
}
