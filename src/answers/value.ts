/**
 * The value of a text that is one number: decimals, thousands, fractions, mixed numbers, powers of ten, roots and π, as
 * plain text and as LaTeX write them; a currency before it, a unit behind it. Sums are no number: `5-10` is a range.
 */
import { braced, withoutTypesetting } from './notation.js'

/** One decimal, with or without commas between thousands; not its sign. */
const decimal = String.raw`(?:\d{1,3}(?:,\d{3})+(?!,?\d)|\d+)(?:\.\d+)?|\.\d+`

/** Longer texts are no number. */
const maxLength = 200

/** Words that an answer may give behind a number without saying more (Lewkowycz et al. 2022, appendix D.1, and SI). */
const units = new Set(('%,percent,°,degree,degrees,dollar,dollars,cent,cents,usd,eur,euro,euros,pound,pounds,unit,' +
  'units,point,points,mm,cm,m,km,meter,meters,metre,metres,kilometers,inch,inches,ft,foot,feet,yard,yards,mile,miles,' +
  'mg,g,gm,kg,gram,grams,kilograms,ml,l,liter,liters,litres,s,sec,second,seconds,min,minute,minutes,h,hour,hours,day,' +
  'days,week,weeks,month,months,year,years,mph,km/h,m/s,c,f,square,cubic,sq,way,ways,digits,integers,students,' +
  'people,times').split(','))

const scales: Readonly<Record<string, number>> = { thousand: 1e3, million: 1e6, billion: 1e9, trillion: 1e12 }

/** Reads a value from left to right; every method leaves `at` behind what it read, and gives null where it cannot. */
class Reader {
  readonly #text: string
  at = 0

  constructor (text: string) { this.#text = text }

  get rest (): string { return this.#text.slice(this.at) }

  /** What a pattern matches here, white space before it skipped. */
  take (pattern: RegExp): string | null {
    const sticky = new RegExp(`\\s*(?:${pattern.source})`, 'y')
    sticky.lastIndex = this.at
    const found = sticky.exec(this.#text)
    if (!found) return null
    this.at = sticky.lastIndex
    return found[0].trim()
  }

  /** sign product (/ product)? */
  quotient (): number | null {
    const sign = this.take(/[-+]?/) === '-' ? -1 : 1
    this.take(/[$€£¥]/)
    const above = this.#product()
    if (above === null) return null
    if (this.take(/\/|\\div(?![a-z])|÷/) === null) return sign * above
    const below = this.#product()
    return below === null || below === 0 ? null : sign * above / below
  }

  #product (): number | null {
    let product = this.#power()
    while (product !== null) {
      const operator = this.take(/\\(?:times|cdot)(?![a-z])|[×·*]|(?=\\sqrt|\\pi(?![a-z])|[π√])/)
      if (operator === null) return product
      const factor = this.#power()
      product = factor === null ? null : product * factor
    }
    return product
  }

  #power (): number | null {
    const base = this.#base()
    if (base === null || this.take(/\^|\*\*/) === null) return base
    const exponent = this.#argument(/-?\d+/)
    return exponent === null ? null : base ** exponent
  }

  #base (): number | null {
    const digits = this.take(new RegExp(`(?:${decimal})(?:e[-+]?\\d+)?`))
    if (digits !== null) return this.#mixed(Number(digits.replaceAll(',', '')), digits)
    if (this.take(/\\frac(?![a-z])/) !== null) return this.#fraction()
    if (this.take(/\\pi(?![a-z])|π/) !== null) return Math.PI
    if (this.take(/\\sqrt(?![a-z[])|√/) !== null) return this.#root()
    return this.take(/(?=\{)/) === null ? null : this.#group()
  }

  /** A whole number may have a fraction behind it. */
  #mixed (whole: number, digits: string): number | null {
    if (!/^\d+$/.test(digits)) return whole
    if (this.take(/\\frac(?![a-z])/) !== null) {
      const part = this.#fraction()
      return part === null ? null : whole + part
    }
    const part = /^\s+(\d+)\s*\/\s*(\d+)/.exec(this.rest)
    if (!part || Number(part[2]) === 0) return whole
    this.at += part[0].length
    return whole + Number(part[1]) / Number(part[2])
  }

  #fraction (): number | null {
    const [above, below] = [this.#argument(/\d/), this.#argument(/\d/)]
    return above === null || below === null || below === 0 ? null : above / below
  }

  #root (): number | null {
    const radicand = this.#argument(/\d+/)
    return radicand === null || radicand < 0 ? null : Math.sqrt(radicand)
  }

  /** In braces, or a bare number of the given form. */
  #argument (bare: RegExp): number | null {
    if (this.take(/(?=\{)/) !== null) return this.#group()
    const digits = this.take(bare)
    return digits === null ? null : Number(digits)
  }

  #group (): number | null {
    const inside = braced(this.#text, this.at)
    if (inside === null) return null
    this.at += inside.length + 2
    return exactly(inside)
  }
}

/** The value of a text that is nothing but a value. */
function exactly (text: string): number | null {
  const reader = new Reader(text)
  const value = reader.quotient()
  return value !== null && reader.rest.trim() === '' ? value : null
}

/** A text's last words while they are units, taken off. @returns the factor that a word such as "million" stands for */
function withoutUnits (text: string): { readonly bare: string, readonly scale: number } {
  const found = /^(.*?[\d}πi])\s*([%°a-z][%°a-z/^²³ \d]*)$/.exec(text)
  const words = found?.[2]!.split(/\s+/).map(word => word.replace(/(?:\^[23]|[²³])$/, '')) ?? []
  const [first = '', ...others] = words
  const scale = scales[first] ?? 1
  const named = scale === 1 ? words : others
  return found && named.every(word => units.has(word)) ? { bare: found[1]!, scale } : { bare: text, scale: 1 }
}

/** Digits that are one number exactly, however many: no zeros that say nothing. Null where they are not. */
function exactDecimal (text: string): string | null {
  const found = /^([-+]?)(\d{1,3}(?:,\d{3})+|\d+)?(?:\.(\d*))?$/.exec(text)
  if (!found || (!found[2] && !found[3])) return null
  const whole = (found[2] ?? '0').replaceAll(',', '').replace(/^0+(?=\d)/, '')
  const part = (found[3] ?? '').replace(/0+$/, '')
  const digits = part === '' ? whole : `${whole}.${part}`
  return found[1] === '-' && digits !== '0' ? `-${digits}` : digits
}

/** Fewer digits than a double has, so that equal values reached in two ways are written alike. */
const sharedDigits = 12

/**
 * The number that a text is, `x = ` before it and a unit behind it aside, in one spelling for all ways to write it: all
 * the digits of a decimal, twelve of a computed one, and `%` where it is a percentage. Null where it is no number.
 */
export function numberText (text: string): string | null {
  if (text.length > maxLength) return null
  const plain = withoutTypesetting(text).trim().toLowerCase().replaceAll(/^\$+|[$.]+$/g, '').trim()
  const right = /^(?:[a-z](?:_\{?\w+\}?)?\s*|[^=a-z]+)=([^=]+)$/.exec(plain)?.[1]!.trim() ?? plain
  const { bare, scale } = withoutUnits(right)
  const percent = /(?:%|percent)$/.test(right) ? '%' : ''
  const digits = exactDecimal(bare.replace(/^([-+]?)\s*[$€£¥]\s*/, '$1'))
  if (digits !== null && scale === 1) return digits + percent
  const value = exactly(bare)
  if (value === null || !Number.isFinite(value)) return null
  return String(Number((value * scale).toPrecision(sharedDigits)) + 0) + percent
}
