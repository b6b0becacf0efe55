/** Figures with their confidence intervals, in words. Knows numbers, not what they mean. */

/** A figure with the ends of its 95 % confidence interval, infinite where there is none. */
export interface Estimate { readonly value: number, readonly low: number, readonly high: number }

const signed = (value: number): string =>
  `${value < 0 && value.toFixed(2) !== '-0.00' ? '−' : '+'}${Math.abs(value).toFixed(2)}`

/** A figure and, where it has one, its interval, each shown by `show`. */
const bracketed = ({ value, low, high }: Estimate, show: (value: number) => string, unit = ''): string =>
  `${show(value)}${unit}${Number.isFinite(low) ? ` [${show(low)}, ${show(high)}]` : ''}`

/** `+0.42 [+0.30, +0.55]` */
export const interval = (estimate: Estimate): string => bracketed(estimate, signed)

/** `1.42 [1.30, 1.55]` */
export const range = (estimate: Estimate, digits = 2): string => bracketed(estimate, value => value.toFixed(digits))

/** `92 % [80, 101]`; – for a share of nothing. */
export const percent = (estimate: Estimate): string =>
  Number.isFinite(estimate.value) ? bracketed(estimate, share => (100 * share).toFixed(0), ' %') : '–'

/** An estimate that may not be there; – then. */
export const maybe = (estimate: Estimate | null, show: (estimate: Estimate) => string = interval): string =>
  estimate === null ? '–' : show(estimate)

/** `92.3 %` */
export const percentage = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`
