/** Widths of columns that somebody sets. */

/** What a column may have, px. */
export interface Limits { readonly least: number, readonly most: number, readonly initial: number }

/** A width in its limits, whole pixels; the initial one for what is no number. */
export const clampWidth = (px: number, { least, most, initial }: Limits): number =>
  Number.isFinite(px) ? Math.round(Math.max(least, Math.min(most, px))) : initial

/** A width as it was kept; the initial one where none was. */
export const keptWidth = (text: string | null, limits: Limits): number =>
  clampWidth(text === null || text.trim() === '' ? NaN : Number(text), limits)
