/** The time, as transformers' `strftime_now` writes it: Python's strftime in the C locale, local time. */
import { fail } from './values.js'

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October',
  'November', 'December']

const padded = (value: number, size = 2): string => String(value).padStart(size, '0')

/** @throws TemplateError for a place in the format that is not known */
export function strftime (date: Date, format: string): string {
  const hour = date.getHours()
  const dayOfYear = Math.round((Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) -
    Date.UTC(date.getFullYear(), 0, 0)) / 86_400_000)
  const values: Readonly<Record<string, () => string>> = {
    a: () => days[date.getDay()]!.slice(0, 3),
    A: () => days[date.getDay()]!,
    b: () => months[date.getMonth()]!.slice(0, 3),
    B: () => months[date.getMonth()]!,
    d: () => padded(date.getDate()),
    F: () => strftime(date, '%Y-%m-%d'),
    H: () => padded(hour),
    I: () => padded(hour % 12 || 12),
    j: () => padded(dayOfYear, 3),
    m: () => padded(date.getMonth() + 1),
    M: () => padded(date.getMinutes()),
    p: () => hour < 12 ? 'AM' : 'PM',
    S: () => padded(date.getSeconds()),
    T: () => strftime(date, '%H:%M:%S'),
    y: () => padded(date.getFullYear() % 100),
    Y: () => padded(date.getFullYear(), 4),
    '%': () => '%'
  }
  return format.replaceAll(/%(-?)([\s\S]?)/g, (whole, bare: string, name: string) => {
    const text = values[name]?.() ?? fail(`strftime_now: ${whole} is not supported`)
    return bare === '' ? text : text.replace(/^0+(?=.)/, '')
  })
}
