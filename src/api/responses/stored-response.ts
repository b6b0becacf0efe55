/** A response as it is kept for later requests, and as the text that it is kept as. */
import type { ResponseState, ResponseTexts } from '../../stores/responses.js'
import type { ResponseEvent, ResponseItem, ResponseObject } from './response-types.js'

/** What is known of a response at one moment. */
export interface KeptResponse {
  /** What it read, instructions apart. */
  readonly input: readonly ResponseItem[]
  readonly response: ResponseObject
  readonly isBackground: boolean
  /** Its events so far, by sequence number, if it was asked for as a stream in the background. */
  readonly events: readonly KeptText[] | null
  /** Whether it runs at another replica, which has its events until it has ended. */
  readonly runsElsewhere?: true
}

/** JSON as it is kept: outside of the heap, where it takes as many bytes as it has. */
export type KeptText = Buffer

/** Bytes that a text takes beside its own. */
const overhead = 256

export const keptText = (value: object): KeptText => Buffer.from(JSON.stringify(value))
export const bytesOf = (text: KeptText): number => text.length + overhead
const read = <T>(text: KeptText): T => JSON.parse(text.toString()) as T

export const keptEvent = (text: KeptText): ResponseEvent => read(text)

/** A text with items in it: the response with what it wrote, or an item that it read. */
interface Part { readonly text: KeptText, readonly ids: readonly string[] }

/** A response that has ended, as text. */
export class StoredResponse {
  /** Whether other requests may ask for it; else it is kept for those of one socket. */
  readonly isPublic: boolean
  readonly #response: Part
  readonly #input: readonly Part[]
  readonly #isBackground: boolean
  readonly #events: readonly KeptText[] | null

  constructor ({ input, response, isBackground, events }: KeptResponse, isPublic: boolean) {
    this.isPublic = isPublic
    this.#response = { text: keptText(response), ids: response.output.map(({ id }) => id) }
    this.#input = input.map(item => ({ text: keptText(item), ids: [item.id] }))
    this.#isBackground = isBackground
    this.#events = events
  }

  get isBackground (): boolean { return this.#isBackground }

  /** Bytes of the conversation that goes on from it. */
  get conversationBytes (): number {
    return [this.#response, ...this.#input].reduce((sum, { text }) => sum + bytesOf(text), 0)
  }

  get bytes (): number {
    return this.conversationBytes + (this.#events ?? []).reduce((sum, event) => sum + bytesOf(event), 0)
  }

  get kept (): KeptResponse {
    return {
      input: this.#input.map(({ text }) => read<ResponseItem>(text)),
      response: read<ResponseObject>(this.#response.text),
      isBackground: this.#isBackground,
      events: this.#events
    }
  }

  /** The part that holds an item; undefined where none does. */
  #partOf (id: string): Part | undefined {
    return [this.#response, ...this.#input].find(({ ids }) => ids.includes(id))
  }

  /** Which of some items it holds. */
  itemsAmong (ids: ReadonlySet<string>): string[] {
    return [this.#response, ...this.#input].flatMap(part => part.ids.filter(id => ids.has(id)))
  }

  /** Bytes that are read to find an item. */
  bytesFor (id: string): number { return bytesOf(this.#partOf(id)!.text) }

  item (id: string): ResponseItem {
    const part = this.#partOf(id)!
    return part === this.#response
      ? read<ResponseObject>(part.text).output.find(item => item.id === id)!
      : read<ResponseItem>(part.text)
  }
}

/** A response for a store that replicas share. @param bytes what it takes of its caller's */
export function textsOf ({ input, response, isBackground, events }: KeptResponse, bytes: number): ResponseTexts {
  return {
    response: JSON.stringify(response),
    input: input.map(item => JSON.stringify(item)),
    itemIds: [...new Set([...input, ...response.output].map(({ id }) => id))],
    isBackground,
    events: events && events.map(String),
    bytes
  }
}

/** What became of a response that its replica did not write to its end. */
const ended = {
  cancelled: { status: 'cancelled' },
  lost: {
    status: 'failed', error: { code: 'unavailable', message: 'The replica that ran the response is gone' }
  }
} as const

/** A response from a store that replicas share. */
export function keptOf ({ response, input, isBackground, events }: ResponseTexts, state: ResponseState): KeptResponse {
  return {
    input: input.map(item => JSON.parse(item) as ResponseItem),
    response: {
      ...JSON.parse(response) as ResponseObject, ...(state === 'cancelled' || state === 'lost' ? ended[state] : {})
    },
    isBackground,
    events: events && events.map(event => Buffer.from(event)),
    ...(state === 'running' ? { runsElsewhere: true } : {})
  }
}
