/**
 * Lengths in Unicode code points, the unit of every offset of the API: as OpenAI, vLLM and Python count. JavaScript's
 * own are of UTF-16 code units, two for a character beyond the basic plane.
 */

/** Code points of a text; half of a surrogate pair counts as one. */
export function codePoints (text: string): number {
  let pairs = 0
  for (let at = 0; at < text.length - 1; at++) {
    if ((text.charCodeAt(at) & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00) {
      pairs++
      at++
    }
  }
  return text.length - pairs
}
