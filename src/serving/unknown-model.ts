/** The error for a name that no model has. */
import { RequestError } from '../errors.js'

/** @param names those there are */
export function unknownModel (name: string, names: readonly string[]): RequestError {
  return new RequestError('model_not_found',
    `The model ${JSON.stringify(name)} does not exist; this server has ${names.join(', ')}`, { param: 'model' })
}
