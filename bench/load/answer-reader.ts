/**
 * Reads one answer as its pieces arrive, over any transport, and times it. Knows what the server sends, not how it is
 * sent.
 */
import type { RequestSample, WireUsage } from './measurement.js'

/** A piece of an answer with text in it; the role comes first, without text. */
const hasText = (piece: string): boolean => /"content":"[^"]/.test(piece)

/** The usage of a completion, or of a stream's last chunk but one; null where there is none. */
export function usageOf (text: string): WireUsage | null {
  const frames = text.startsWith('data: ') ? text.split('\n\n').map(frame => frame.replace(/^data: /, '')) : [text]
  for (const frame of frames.reverse()) {
    if (!frame.includes('"usage":{')) continue
    return (JSON.parse(frame) as { usage: WireUsage }).usage
  }
  return null
}

export class AnswerReader {
  readonly #started = performance.now()
  readonly #gaps: number[] = []
  #firstText: number | null = null
  #last = 0

  /** Tells that a piece with text is there. */
  text (): void {
    const now = performance.now()
    if (this.#firstText === null) this.#firstText = now - this.#started
    else this.#gaps.push(now - this.#last)
    this.#last = now
  }

  /** Tells what came of a stream of server-sent events; whole answers have no pieces. */
  piece (piece: string): void {
    if (piece.includes('chat.completion.chunk') && hasText(piece)) this.text()
  }

  end (usage: WireUsage): RequestSample {
    return { latency: performance.now() - this.#started, firstText: this.#firstText, gaps: this.#gaps, usage }
  }
}
