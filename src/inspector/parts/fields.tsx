/** Controls of fields that come from schemas; help is the schema's description. */
import { useId, useState } from 'preact/hooks'
import { textOf, valueOf, withValue, type Field, type Values } from '../logic/form.js'

/** An error of the server about a field, by the field's name. */
export type FieldErrors = ReadonlyMap<string, string>

interface ControlProps {
  readonly field: Field
  readonly value: unknown
  readonly error: string | undefined
  readonly onChange: (value: unknown) => void
}

const rangeOf = ({ min, max }: Field): string =>
  min === undefined && max === undefined ? '' : ` (${min ?? ''} to ${max ?? ''})`

function Control ({ field, value, error, onChange }: ControlProps) {
  const id = useId()
  const [wrong, setWrong] = useState<string | null>(null)
  const text = textOf(field, value)
  const fallback = textOf(field, field.initial)
  const changed = value !== undefined
  const take = (given: string): void => {
    try {
      onChange(valueOf(field, given))
      setWrong(null)
    } catch (problem) {
      setWrong((problem as Error).message)
    }
  }
  const message = wrong ?? error
  const shared = {
    id, 'data-field': field.name, 'aria-describedby': `${id}-help`, 'aria-invalid': message !== undefined
  }
  return (
    <div class='field'>
      <label for={id}>
        {field.name}{changed && <span class='changed' title='changed'> •</span>}
        {changed && <button type='button' class='link' onClick={() => { onChange(undefined) }}>reset</button>}
      </label>
      {field.kind === 'choice' || field.kind === 'boolean'
        ? (
          <select {...shared} value={text || fallback} onChange={event => { take(event.currentTarget.value) }}>
            {field.initial === undefined && <option value=''>–</option>}
            {field.mayBeNull && <option value=''>none</option>}
            {(field.choices ?? ['true', 'false']).map(one => <option key={one} value={one}>{one}</option>)}
          </select>
          )
        : (
          <input
            {...shared} type='text'
            spellcheck={false} value={text}
            placeholder={fallback || 'none'}
            inputMode={field.kind === 'integer' ? 'numeric' : field.kind === 'number' ? 'decimal' : 'text'}
            onChange={event => { take(event.currentTarget.value) }}
          />
          )}
      {message !== undefined && <p class='error' role='alert'>{message}</p>}
      <p class='help' id={`${id}-help`}>{field.description}{rangeOf(field)}</p>
    </div>
  )
}

interface FieldsProps {
  readonly fields: readonly Field[]
  /** Fields that are always shown. */
  readonly main: readonly string[]
  readonly values: Values
  readonly errors: FieldErrors
  readonly more: string
  readonly onChange: (values: Values) => void
}

/** Fields, those at their defaults folded away. */
export function Fields ({ fields, main, values, errors, more, onChange }: FieldsProps) {
  const isShown = ({ name }: Field): boolean => main.includes(name) || name in values || errors.has(name)
  const control = (field: Field) => (
    <Control
      key={field.name} field={field}
      value={values[field.name]} error={errors.get(field.name)}
      onChange={value => { onChange(withValue(values, field, value)) }}
    />
  )
  const folded = fields.filter(field => !isShown(field))
  return (
    <>
      {fields.filter(isShown).map(control)}
      {folded.length > 0 && (
        <details>
          <summary>{more} ({folded.length})</summary>
          {folded.map(control)}
        </details>
      )}
    </>
  )
}
