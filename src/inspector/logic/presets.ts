/** Comparisons that are often wanted, made of a request: without steering, at half the strength, by profile. */
import type { StrategyForm, Values } from './form.js'
import { plain, type Draft } from './request.js'

/** A way to answer: by a profile of the model, or as the form says where there is none. */
export interface Asked { readonly draft: Draft, readonly profile: string | null }

/** A comparison; `whyNot` says why it cannot be made, null where it can. */
export interface Preset {
  readonly title: string
  readonly ways: readonly Asked[]
  readonly whyNot: string | null
}

/** The most columns that are compared. */
export const mostWays = 3

const unsteered = (draft: Draft): Asked => ({ draft: { ...draft, strategy: plain, n: 1 }, profile: null })
const asIs = (draft: Draft): Asked => ({ draft: { ...draft, n: 1 }, profile: null })

/** Rules of choice that strength has a say in; others take the best of what was drawn. */
const weighing = ['softmax', 'pessimistic', 'sample']

/** The field that says how hard a request steers: its strength where that counts, else how much it draws. */
function knobOf (form: StrategyForm, values: Values): string | null {
  const has = (name: string): boolean => form.fields.some(field => field.name === name)
  const chooser = ['selection', 'keep'].find(has)
  if (has('strength') && (chooser === undefined || weighing.includes(String(values[chooser])))) return 'strength'
  if (typeof values['poisson_mean'] === 'number') return 'poisson_mean'
  return form.main.find(name => form.fields.some(field => field.name === name && field.kind === 'integer')) ?? null
}

/**
 * The same request, steering half as hard.
 * @param resolved the values that it ran with, where it did
 * @returns null where nothing of it can be halved
 */
function halved (
  draft: Draft, form: StrategyForm, resolved: Values
): { readonly draft: Draft, readonly name: string, readonly from: number, readonly to: number } | null {
  const values = draft.fields[draft.strategy] ?? {}
  const name = knobOf(form, values)
  const field = form.fields.find(one => one.name === name)
  if (name === null || !field) return null
  // A published method sets its own strength: only a run tells it.
  const initial = values['method'] === undefined || values['method'] === null ? field.initial : undefined
  const from = values[name] ?? resolved[name] ?? initial
  if (typeof from !== 'number') return null
  const to = field.kind === 'integer' ? Math.floor(from / 2) : from / 2
  if (to === 0) return null
  const fields = { ...draft.fields, [draft.strategy]: { ...values, [name]: to } }
  return { draft: { ...draft, fields }, name, from, to }
}

function againstHalf (draft: Draft, name: string, form: StrategyForm | undefined, resolved: Values): Preset {
  const half = form ? halved(draft, form, resolved) : null
  return half
    ? {
        title: `${name} vs half its ${half.name} (${half.from} → ${half.to})`,
        ways: [asIs(draft), asIs(half.draft)],
        whyNot: null
      }
    : { title: `${name} vs half its strength`, ways: [], whyNot: 'It has no strength that can be halved.' }
}

/**
 * The presets for a request.
 * @param name what the request is called
 * @param form its strategy's; undefined for plain answers
 * @param resolved the values that it ran with; {} for one that did not run
 * @param profiles ids of the model's profiles
 */
export function presetsFor (
  draft: Draft, name: string, form: StrategyForm | undefined, resolved: Values, profiles: readonly string[]
): readonly Preset[] {
  const shown = profiles.slice(0, mostWays)
  const byProfile = shown.map((profile): Asked => ({ ...unsteered(draft), profile }))
  return [
    {
      title: `plain vs ${name}`,
      ways: [unsteered(draft), asIs(draft)],
      whyNot: draft.strategy === plain ? 'It is plain itself.' : null
    },
    againstHalf(draft, name, form, resolved),
    ...(shown.length === 0
      ? []
      : [{
          title: `${shown.length < mostWays ? 'plain vs ' : ''}profiles ${shown.map(profileName).join(', ')}`,
          ways: [...(shown.length < mostWays ? [unsteered(draft)] : []), ...byProfile],
          whyNot: null
        }])
  ]
}

/** A profile's own name, without its model's. */
export const profileName = (id: string): string => id.slice(id.lastIndexOf(':') + 1)
