/**
 * Large lists as JSON, item by item: written at once they would hold up every other request of the server for as long
 * as it takes.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'

/** Characters that are written in one turn of the event loop: a few milliseconds' worth. */
const turnLength = 1 << 18

/** An object that is answered, a long list among its fields. */
interface WithData { readonly data: readonly object[] }

/** An object's JSON, its list in pieces. */
function * jsonPieces ({ data, ...others }: WithData, names: readonly string[]): Generator<string> {
  for (const [index, name] of names.entries()) {
    yield `${index === 0 ? '{' : ','}${JSON.stringify(name)}:`
    if (name !== 'data') yield JSON.stringify((others as Record<string, unknown>)[name])
    else {
      yield '['
      for (const [at, item] of data.entries()) yield (at === 0 ? '' : ',') + JSON.stringify(item)
      yield ']'
    }
  }
  yield '}'
}

/** Answers with an object as JSON, as Fastify would. */
export async function sendList<T extends WithData> (reply: FastifyReply, object: T): Promise<FastifyReply> {
  const written: Buffer[] = []
  let text = ''
  for (const piece of jsonPieces(object, Object.keys(object))) {
    text += piece
    if (text.length < turnLength) continue
    written.push(Buffer.from(text))
    text = ''
    await nextTurn()
  }
  return reply.type('application/json; charset=utf-8').send(Buffer.concat([...written, Buffer.from(text)]))
}
