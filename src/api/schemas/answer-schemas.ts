/** What endpoints of several rooms answer. */
import { Type, type Static, type TSchema } from 'typebox'
import { listOf, orNull } from '../alignment/alignment-types.js'

export const listObject = <T extends TSchema>(data: T) =>
  Type.Object({ object: Type.Literal('list'), data: listOf(data) })

export const errorObject = Type.Object({
  error: Type.Object({
    message: Type.String(),
    type: Type.String(),
    param: orNull(Type.String()),
    code: orNull(Type.String())
  })
})

export const deletedObject = Type.Object({ id: Type.String(), object: Type.String(), deleted: Type.Literal(true) })

/** What is answered when something was deleted. @param object its kind */
export const deleted = (id: string, object: string): Static<typeof deletedObject> => ({ id, object, deleted: true })
