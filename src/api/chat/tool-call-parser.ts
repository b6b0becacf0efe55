/**
 * Tells text and calls of functions apart in an answer as it comes. The grammar that the answer is held to says what
 * calls look like.
 */
import type { CallForm } from '../../models/tokenizer/tool-call-format.js'

/** A piece of an answer. `call` begins one; `arguments` belong to the call begun last. */
export type Piece =
  | { readonly type: 'content', readonly text: string }
  | { readonly type: 'call', readonly name: string }
  | { readonly type: 'arguments', readonly text: string }

/** Length of the longest end of a text that a marker begins with. */
function heldBack (text: string, marker: string): number {
  for (let length = Math.min(marker.length - 1, text.length); length > 0; length--) {
    if (marker.startsWith(text.slice(-length))) return length
  }
  return 0
}

/** Length of the JSON object that a text begins with, as far as it goes. */
class ObjectEnd {
  #depth = 0
  #isText = false
  #isEscaped = false

  /** @returns where the object ends in what follows, or null if it goes on */
  read (text: string): number | null {
    for (let at = 0; at < text.length; at++) {
      const character = text[at]
      if (this.#isEscaped) this.#isEscaped = false
      else if (this.#isText && character === '\\') this.#isEscaped = true
      else if (character === '"') this.#isText = !this.#isText
      else if (!this.#isText && character === '{') this.#depth++
      else if (!this.#isText && character === '}' && --this.#depth === 0) return at + 1
    }
    return null
  }
}

/** Reads one answer, piece by piece. */
export class ToolCallReader {
  readonly #form: CallForm
  /** Whether a call may still begin in what follows. */
  #mayCall = true
  #state: 'content' | 'name' | 'arguments' | 'end' = 'content'
  #rest = ''
  #object = new ObjectEnd()
  /** Calls begun so far. */
  calls = 0

  constructor (form: CallForm) { this.#form = form }

  /** The pieces that some more text completes. */
  push (text: string): Piece[] {
    this.#rest += text
    const pieces: Piece[] = []
    for (let before = ''; before !== `${this.#state}${this.#rest.length}`;) {
      before = `${this.#state}${this.#rest.length}`
      pieces.push(...this.#next())
    }
    return pieces
  }

  /** What was held back, after the last text. */
  flush (): Piece[] {
    const text = this.#state === 'content' ? this.#rest : ''
    this.#rest = ''
    return this.#content(text)
  }

  /** What follows a call is white space, or the beginning of another call that was cut off. */
  #content (text: string): Piece[] { return text === '' || this.calls > 0 ? [] : [{ type: 'content', text }] }

  /** Takes a text away up to and with a marker; null where it has none yet. */
  #upTo (marker: string): string | null {
    const at = this.#rest.indexOf(marker)
    if (at < 0) return null
    const text = this.#rest.slice(0, at)
    this.#rest = this.#rest.slice(at + marker.length)
    return text
  }

  /** Text up to where a call begins, or may begin. */
  #text (): Piece[] {
    const { begins, isAnywhere } = this.#form
    // A form that stands alone begins the answer or does not come.
    if (!isAnywhere && this.#rest !== '' && !this.#rest.startsWith(begins)) this.#mayCall = false
    const whole = this.#mayCall ? this.#upTo(begins) : null
    if (whole !== null) {
      this.#state = 'name'
      return this.#content(whole)
    }
    const sure = this.#rest.length - (this.#mayCall ? heldBack(this.#rest, begins) : 0)
    const text = this.#rest.slice(0, sure)
    this.#rest = this.#rest.slice(sure)
    return this.#content(text)
  }

  #next (): Piece[] {
    const { beforeName, afterName, ends, isAnywhere } = this.#form
    switch (this.#state) {
      case 'content':
        return this.#text()
      case 'name': {
        const name = this.#upTo(afterName)
        if (name === null) return []
        this.#state = 'arguments'
        this.#object = new ObjectEnd()
        this.calls++
        return [{ type: 'call', name: name.slice(beforeName.length) }]
      }
      case 'arguments': {
        const end = this.#object.read(this.#rest)
        const text = this.#rest.slice(0, end ?? undefined)
        this.#rest = this.#rest.slice(text.length)
        if (end !== null) this.#state = 'end'
        return text === '' ? [] : [{ type: 'arguments', text }]
      }
      case 'end':
        if (this.#upTo(ends) !== null) {
          this.#state = 'content'
          this.#mayCall = isAnywhere
        }
        return []
    }
  }
}

/** The text and the calls of a whole answer. */
export function readToolCalls (
  text: string, form: CallForm
): { readonly content: string, readonly calls: ReadonlyArray<{ readonly name: string, readonly arguments: string }> } {
  const reader = new ToolCallReader(form)
  let content = ''
  const calls: Array<{ name: string, arguments: string }> = []
  for (const piece of [...reader.push(text), ...reader.flush()]) {
    if (piece.type === 'content') content += piece.text
    else if (piece.type === 'call') calls.push({ name: piece.name, arguments: '' })
    else calls.at(-1)!.arguments += piece.text
  }
  return { content, calls }
}
