/** The form that a run is asked for with, made of the schemas that the server checks requests by. */
import { useId } from 'preact/hooks'
import { Fields, type FieldErrors } from './fields.js'
import { plain, type Draft, type Weighted } from '../logic/request.js'
import { rewards as rewardList } from '../server/connection.js'
import { headless, misfit, modelRewards } from '../state/model.js'
import { sampling, strategies } from '../state/run.js'

interface AskProps {
  readonly draft: Draft
  readonly errors: FieldErrors
  readonly onChange: (changes: Partial<Draft>) => void
  /** Whether prompt, seed and lengths are given elsewhere. */
  readonly onlyHow?: boolean
}

interface TextProps {
  readonly label: string
  readonly value: string
  readonly rows: number
  readonly name: string
  readonly error: string | undefined
  readonly onInput: (value: string) => void
}

function Text ({ label, value, rows, name, error, onInput }: TextProps) {
  const id = useId()
  return (
    <div class='field'>
      <label for={id}>{label}</label>
      <textarea
        id={id} rows={rows}
        value={value} dir='auto'
        data-field={name} aria-invalid={error !== undefined}
        onInput={event => { onInput(event.currentTarget.value) }}
      />
      {error !== undefined && <p class='error' role='alert'>{error}</p>}
    </div>
  )
}

interface NumberProps {
  readonly label: string
  readonly name: string
  readonly value: number | null
  readonly placeholder?: string
  readonly error: string | undefined
  readonly onChange: (value: number | null) => void
}

function NumberField ({ label, name, value, placeholder = '', error, onChange }: NumberProps) {
  const id = useId()
  return (
    <div class='field'>
      <label for={id}>{label}</label>
      <input
        id={id} type='number'
        data-field={name} placeholder={placeholder}
        value={value ?? ''}
        aria-invalid={error !== undefined}
        onInput={event => {
          const { value: text } = event.currentTarget
          onChange(text === '' ? null : Number(text))
        }}
      />
      {error !== undefined && <p class='error' role='alert'>{error}</p>}
    </div>
  )
}

interface RewardsProps {
  readonly rewards: readonly Weighted[]
  readonly error: string | undefined
  readonly onChange: (rewards: readonly Weighted[]) => void
}

function Rewards ({ rewards, error, onChange }: RewardsProps) {
  const known = modelRewards.value.map(({ id }) => id)
  const unfit = rewardList.value.filter(one => !known.includes(one.id))
  const replace = (index: number, one: Weighted): void => {
    onChange(rewards.map((old, at) => at === index ? one : old))
  }
  const free = known.find(name => !rewards.some(one => one.name === name))
  return (
    <fieldset class='rewards'>
      <legend>Reward</legend>
      {rewards.map((one, index) => (
        <div class='reward-row' key={index}>
          <select
            aria-label={`Reward ${index + 1}`} data-field='reward'
            value={one.name}
            onChange={event => { replace(index, { ...one, name: event.currentTarget.value }) }}
          >
            {[...new Set([...known, one.name])].map(name => <option key={name} value={name}>{name}</option>)}
            {unfit.filter(({ id }) => id !== one.name)
              .map(other => <option key={other.id} value={other.id} disabled>{other.id} ({misfit(other)})</option>)}
          </select>
          <span aria-hidden='true'>×</span>
          <input
            type='number' step='any'
            aria-label={`Weight of ${one.name}`} value={one.weight}
            onChange={event => { replace(index, { ...one, weight: Number(event.currentTarget.value) }) }}
          />
          <button
            type='button' class='quiet'
            aria-label={`Remove ${one.name}`} disabled={rewards.length === 1}
            onClick={() => { onChange(rewards.filter((_, at) => at !== index)) }}
          >✕
          </button>
        </div>
      ))}
      {error !== undefined && <p class='error' role='alert'>{error}</p>}
      {headless.value !== null && <p class='small'>{headless.value}</p>}
      {free !== undefined && (
        <button type='button' class='link' onClick={() => { onChange([...rewards, { name: free, weight: 1 }]) }}>
          + another reward
        </button>
      )}
    </fieldset>
  )
}

function Strategy ({ draft, errors, onChange }: AskProps) {
  const id = useId()
  const form = strategies.value.find(({ name }) => name === draft.strategy)
  return (
    <>
      <div class='field'>
        <label for={id}>Strategy</label>
        <select
          id={id} data-field='strategy'
          value={draft.strategy}
          onChange={event => { onChange({ strategy: event.currentTarget.value }) }}
        >
          <option value={plain}>plain (no steering)</option>
          {strategies.value.map(({ name }) => <option key={name} value={name}>{name}</option>)}
        </select>
      </div>
      {form && (
        <Fields
          key={form.name} fields={form.fields}
          main={form.main} values={draft.fields[form.name] ?? {}}
          errors={errors} more='more'
          onChange={values => { onChange({ fields: { ...draft.fields, [form.name]: values } }) }}
        />
      )}
      {draft.strategy === plain
        ? <NumberField
            label='answers (n)' name='n'
            value={draft.n} error={errors.get('n')}
            onChange={n => { onChange({ n: n ?? 1 }) }}
          />
        : <Rewards
            rewards={draft.rewards} error={errors.get('reward') ?? errors.get('rewards')}
            onChange={rewards => { onChange({ rewards }) }}
          />}
    </>
  )
}

export function AskForm (props: AskProps) {
  const { draft, errors, onChange, onlyHow = false } = props
  return (
    <>
      {!onlyHow && (
        <>
          <Text
            label='System (optional)' name='system'
            value={draft.system} rows={1}
            error={undefined}
            onInput={system => { onChange({ system }) }}
          />
          <Text
            label='Prompt' name='messages'
            value={draft.prompt} rows={3}
            error={errors.get('messages')}
            onInput={prompt => { onChange({ prompt }) }}
          />
          {draft.beginning !== '' &&
            <Text
              label='The answer begins with' name='beginning'
              value={draft.beginning} rows={2}
              error={errors.get('continue_final_message')} onInput={beginning => { onChange({ beginning }) }}
            />}
        </>
      )}
      <Strategy {...props} />
      {!onlyHow && (
        <div class='pair'>
          <NumberField
            label='max tokens' name='max_tokens'
            value={draft.maxTokens} error={errors.get('max_tokens')}
            onChange={maxTokens => { onChange({ maxTokens: maxTokens ?? 64 }) }}
          />
          <NumberField
            label='seed' name='seed'
            value={draft.seed} placeholder='random'
            error={errors.get('seed')}
            onChange={seed => { onChange({ seed }) }}
          />
        </div>
      )}
      <Fields
        fields={sampling.value} main={[]}
        values={draft.sampling} errors={errors}
        more='sampling'
        onChange={values => { onChange({ sampling: values }) }}
      />
    </>
  )
}
