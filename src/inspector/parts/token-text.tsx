/**
 * An answer by token: tinted by what was recorded, walked by keys, each token with what was there to choose from. Of a
 * long one only tokens in sight are elements, the others plain text.
 */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { decimal, percent, tokenText, visible } from '../logic/formats.js'
import type { Token } from '../logic/lineages.js'
import { shadeClass } from '../logic/geometry.js'
import { outstanding, tintScale } from '../logic/tints.js'
import { useBlocksInSight } from './in-sight.js'

interface TokenTextProps {
  readonly tokens: readonly Token[]
  readonly figures: ReadonlyArray<number | null>
  /** What the figures are; '' for none. */
  readonly figureName: string
  /** Goes on from another token; absent where nothing can be asked. */
  readonly onContinue?: (at: number, piece: string) => void
}

/** White space that is a token of its own is shown; in words it stays as it is. */
const shown = (piece: string): string =>
  /^\s*$/.test(piece) ? `${tokenText(piece)}${piece.includes('\n') ? '\n' : ''}` : visible(piece)

/** Tokens that are drawn, or not, together, and the longest answer of which all are. */
const [blockSize, mostDrawn] = [64, 256]

/** Whether a token's text can be gone on from: it has some, and is no part of a character. */
const isWhole = (piece: string): boolean => piece !== '' && !piece.startsWith('bytes:')

interface DetailProps extends Omit<TokenTextProps, 'tokens' | 'figures'> {
  readonly token: Token
  readonly at: number
  readonly figure: number | null
  readonly onClose: () => void
}

function Alternatives ({ token: { guided }, at, onContinue }: Pick<DetailProps, 'token' | 'at' | 'onContinue'>) {
  if (!guided || guided[7].length === 0) return null
  const [, , , taken, , , rest, choices] = guided
  return (
    <table class='alternatives'>
      <thead>
        <tr><th scope='col'>token</th><th scope='col'>policy</th><th scope='col'>guided</th><th scope='col'>value</th>
          {onContinue && <td />}
        </tr>
      </thead>
      <tbody>
        {choices.map(([piece, lnPolicy, value, lnGuided], place) => (
          <tr key={place} class={place === taken ? 'taken' : ''}>
            <th scope='row'>{tokenText(piece)}{place === taken && <span class='sr-only'> (taken)</span>}</th>
            <td class='number'>{percent(Math.exp(lnPolicy))}</td>
            <td class='number'>
              <meter min={0} max={1} value={Math.exp(lnGuided)} aria-hidden='true' />{' '}
              {percent(Math.exp(lnGuided))}
            </td>
            <td class='number'>{decimal(value)}</td>
            {onContinue && (
              <td>
                {place !== taken && isWhole(piece) &&
                  <button
                    type='button' class='small' aria-label={`Continue from “${tokenText(piece)}”: go on`}
                    onClick={() => { onContinue(at, piece) }}
                  >go on
                  </button>}
              </td>
            )}
          </tr>
        ))}
      </tbody>
      {rest > 0 && <caption>{percent(rest)} of the policy is on other tokens</caption>}
    </table>
  )
}

function TokenDetail ({ token, at, figure, figureName, onContinue, onClose }: DetailProps) {
  const { piece, lnPolicy, guided } = token
  const element = useRef<HTMLDivElement>(null)
  useEffect(() => { element.current!.focus() }, [at])
  return (
    <div
      ref={element} role='dialog'
      aria-label={`Token ${at}: ${tokenText(piece)}`} tabIndex={-1}
      class='token-detail'
      onKeyDown={event => {
        if (event.key !== 'Escape') return
        event.stopPropagation()
        onClose()
      }}
    >
      <div class='dialog-head'>
        <strong class='mono'>{tokenText(piece)}</strong><span class='muted'>token {at}</span>
        <button
          type='button' class='quiet'
          aria-label='Close the token'
          onClick={onClose}
        >✕
        </button>
      </div>
      <dl class='facts'>
        {lnPolicy !== null && (
          <div><dt>policy</dt><dd>{percent(Math.exp(lnPolicy))} (ln π {decimal(lnPolicy)})</dd></div>
        )}
        {figure !== null && <div><dt>{figureName}</dt><dd>{decimal(figure)}</dd></div>}
        {guided && guided[4] !== null && <div><dt>KL of this step</dt><dd>{decimal(guided[4])} nats</dd></div>}
        {guided && guided[5] < 1 && <div><dt>strength left by max_kl</dt><dd>{percent(guided[5])}</dd></div>}
      </dl>
      <Alternatives token={token} at={at} {...(onContinue ? { onContinue } : {})} />
      {onContinue && at > 0 &&
        <button type='button' onClick={() => { onContinue(at, '') }}>Draw on from before “{tokenText(piece)}”</button>}
    </div>
  )
}

export function TokenText ({ tokens, figures, figureName, onContinue }: TokenTextProps) {
  const [current, setCurrent] = useState(0)
  const [open, setOpen] = useState<number | null>(null)
  const group = useRef<HTMLDivElement>(null)
  const takesFocus = useRef(false)
  const isLong = tokens.length > mostDrawn
  const blocks = Math.ceil(tokens.length / blockSize)
  const inSight = useBlocksInSight(group, isLong ? blocks : 0)
  const marked = outstanding(figures)
  const scale = tintScale(figures)
  const focus = (at: number): void => {
    takesFocus.current = true
    setCurrent(Math.max(0, Math.min(tokens.length - 1, at)))
  }
  // A token out of sight is there to be focused only after it was drawn.
  useLayoutEffect(() => {
    if (!takesFocus.current) return
    takesFocus.current = false
    group.current!.querySelector<HTMLElement>(`[data-token="${current}"]`)?.focus()
  })
  const close = (): void => {
    const at = open
    setOpen(null)
    if (at !== null) focus(at)
  }
  const drawn = ({ piece }: Token, at: number) => (
    <span
      key={at} role='button'
      data-token={at} tabIndex={at === current ? 0 : -1}
      // What is read is what is seen: never the characters that only their names show.
      aria-label={shown(piece).trim() +
        `${figures[at] === null || figures[at] === undefined ? '' : `, ${figureName} ${decimal(figures[at])}`}`}
      class={`token ${figures[at] === null ? '' : shadeClass(figures[at] ?? null, scale)}` +
        `${marked[at] ? ' marked' : ''}${open === at ? ' open' : ''}`}
      onClick={() => {
        setCurrent(at)
        setOpen(at)
      }}
    >{shown(piece)}
    </span>
  )
  const block = (number: number) => {
    const first = number * blockSize
    const own = tokens.slice(first, first + blockSize)
    const isDrawn = !isLong || inSight.has(number) || number === Math.floor(current / blockSize)
    return (
      <span key={number} data-block={number}>
        {isDrawn ? own.map((token, at) => drawn(token, first + at)) : own.map(({ piece }) => shown(piece)).join('')}
      </span>
    )
  }
  const onKeyDown = (event: KeyboardEvent): void => {
    const moves: Readonly<Record<string, number>> = {
      ArrowRight: current + 1, ArrowLeft: current - 1, Home: 0, End: tokens.length - 1
    }
    if (event.key === 'Enter' || event.key === ' ') setOpen(current)
    else if (event.key in moves) focus(moves[event.key]!)
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  const chosen = open === null ? undefined : tokens[open]
  return (
    <div class='token-text'>
      <div
        ref={group} role='group'
        aria-label='answer by token'
        dir='auto' class='tokens'
        onKeyDown={onKeyDown}
      >
        {Array.from({ length: blocks }, (_, number) => block(number))}
      </div>
      {chosen && open !== null && (
        <TokenDetail
          token={chosen} at={open}
          figure={figures[open] ?? null} figureName={figureName}
          onClose={close}
          {...(onContinue ? { onContinue } : {})}
        />
      )}
    </div>
  )
}
