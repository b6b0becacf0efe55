/** Every attack, in the order they are run. */
import type { Attack } from '../attack.js'
import { connectionAttacks } from './connections.js'
import { fuzzAttacks } from './fuzz.js'
import { promptAttacks } from './prompts.js'
import { schemaAttacks } from './schemas.js'
import { socketAttacks } from './sockets.js'

export const attacks: readonly Attack[] = [
  ...schemaAttacks, ...promptAttacks, ...socketAttacks, ...connectionAttacks,
  ...fuzzAttacks
]
