/** How long a request lasts, and the KV it takes before it begins. */
import { setMaxListeners } from 'node:events'
import type { Engine } from '../engine/engine.js'
import type { Need, Reservation } from '../engine/kv/reservation.js'
import type { Room } from '../rewards/reward-kind.js'
import type { RewardModel } from '../rewards/reward-models.js'

/** Ends whatever the request opened, when it ends or its caller leaves. */
export function requestScope (signal: AbortSignal): { signal: AbortSignal, end: () => void } {
  const controller = new AbortController()
  // Every sequence of the request listens.
  setMaxListeners(0, controller.signal)
  const leave = (): void => { controller.abort(signal.reason) }
  if (signal.aborted) leave()
  else signal.addEventListener('abort', leave, { once: true })
  return {
    signal: controller.signal,
    end: () => {
      signal.removeEventListener('abort', leave)
      controller.abort(new Error('the request has ended'))
    }
  }
}

/**
 * What a request needs in one model: rooms of several rewards side by side, all of the longest one's length, as far as
 * there is KV at all.
 */
function needIn ({ engine }: RewardModel, rooms: readonly Room[], priority: number): Need {
  const tokens = Math.max(...rooms.map(room => room.tokens))
  const sequences = rooms.reduce((sum, room) => sum + room.sequences, 0)
  return {
    sequences: Math.max(1, Math.min(sequences, Math.floor(engine.maxKvTokens / tokens))),
    promptTokens: 0,
    answerTokens: tokens,
    sharesPrompt: false,
    priority
  }
}

/**
 * Adds those in the models of rewards to what is held, always in one order, so that no two requests wait for each
 * other.
 */
async function reserveRooms (
  held: Reservation[], rooms: readonly Room[], priority: number, signal: AbortSignal
): Promise<void> {
  const models = [...new Set(rooms.map(({ model }) => model))].sort((a, b) => a.order - b.order)
  for (const model of models) {
    held.push(await model.engine.reserve(needIn(model, rooms.filter(room => room.model === model), priority), signal))
  }
}

/** What a request needs of the policy, with the rooms of rewards that read through it once more; null if nothing. */
function needOfPolicy (need: Need | null, rooms: readonly Room[]): Need | null {
  const besideTokens = rooms.reduce((sum, { sequences, tokens }) => sum + sequences * tokens, 0)
  return need || besideTokens > 0
    ? { sequences: 0, promptTokens: 0, answerTokens: 0, sharesPrompt: false, ...need, besideTokens }
    : null
}

/**
 * Reserves a request's KV in the policy's engine, then in those of its rewards' models.
 * @param need null where the policy writes and reads nothing itself
 * @throws at once what `Engine.reserve` throws for the policy
 */
export function reserveAll (
  policy: Engine, need: Need | null, rooms: readonly Room[], signal: AbortSignal
): Promise<Reservation> {
  const held: Reservation[] = []
  const release = (): void => { for (const reservation of held) reservation.release() }
  const isPolicys = ({ model }: Room): boolean => model.engine === policy
  const needed = needOfPolicy(need, rooms.filter(isPolicys))
  const first =
    needed ? policy.reserve(needed, signal).then(reservation => { held.push(reservation) }) : Promise.resolve()
  return first.then(() => reserveRooms(held, rooms.filter(room => !isPolicys(room)), need?.priority ?? 0,
    signal)).then(() => ({ release }), (error: unknown) => {
    release()
    throw error
  })
}
