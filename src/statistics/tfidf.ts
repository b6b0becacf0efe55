/**
 * Bag-of-words texts and a linear classifier on them: the control that a reward must beat, and the independent judge of
 * evaluations. Knows words, no model.
 */
import { fitLogistic, sigmoid, type LinearFit, type Rows } from './linear-fit.js'

/** A sparse vector: ascending indices and their values. */
export interface SparseVector { readonly indices: Int32Array, readonly values: Float64Array }

/** Words (two characters or more, lower case, with inner apostrophes) and pairs of neighbours. */
export function terms (text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}][\p{L}\p{N}']*[\p{L}\p{N}]/gu) ?? []
  return [...words, ...words.slice(1).map((word, index) => `${words[index]!} ${word}`)]
}

/** Weighs terms: (1 + ln count) · idf, scaled to length 1. idf = ln((1 + N)/(1 + df)) + 1. */
export class TfidfVectorizer {
  /** Term → index. */
  readonly vocabulary: ReadonlyMap<string, number>
  readonly idf: Float64Array

  constructor (vocabulary: ReadonlyMap<string, number>, idf: Float64Array) {
    this.vocabulary = vocabulary
    this.idf = idf
  }

  /** Learns the terms that at least `minDocuments` (default 2) of the texts hold. */
  static fit (texts: readonly string[], minDocuments = 2): TfidfVectorizer {
    const documents = new Map<string, number>()
    for (const text of texts) {
      for (const term of new Set(terms(text))) documents.set(term, (documents.get(term) ?? 0) + 1)
    }
    const kept = [...documents].filter(([, count]) => count >= minDocuments)
    const idf = Float64Array.from(kept, ([, count]) => Math.log((1 + texts.length) / (1 + count)) + 1)
    return new TfidfVectorizer(new Map(kept.map(([term], index) => [term, index])), idf)
  }

  /** The text as a vector; unknown terms are left out. Zero terms give an empty vector. */
  transform (text: string): SparseVector {
    const counts = new Map<number, number>()
    for (const term of terms(text)) {
      const index = this.vocabulary.get(term)
      if (index !== undefined) counts.set(index, (counts.get(index) ?? 0) + 1)
    }
    const indices = Int32Array.from(counts.keys()).sort()
    const values = Float64Array.from(indices, index => (1 + Math.log(counts.get(index)!)) * this.idf[index]!)
    const length = Math.hypot(...values) || 1
    return { indices, values: values.map(value => value / length) }
  }
}

/** a − b. */
export function subtract (a: SparseVector, b: SparseVector): SparseVector {
  const sums = new Map<number, number>()
  for (const [i, index] of a.indices.entries()) sums.set(index, a.values[i]!)
  for (const [i, index] of b.indices.entries()) sums.set(index, (sums.get(index) ?? 0) - b.values[i]!)
  const indices = Int32Array.from(sums.keys()).sort()
  return { indices, values: Float64Array.from(indices, index => sums.get(index)!) }
}

/** Rows of a fit over sparse vectors. */
export function sparseRows (vectors: readonly SparseVector[], width: number): Rows {
  return {
    count: vectors.length,
    width,
    dot: (row, weights) => sparseDot(vectors[row]!, weights),
    addTo (row, scale, target) {
      const { indices, values } = vectors[row]!
      for (let i = 0; i < indices.length; i++) target[indices[i]!]! += scale * values[i]!
    }
  }
}

/** vector · weights. */
export function sparseDot ({ indices, values }: SparseVector, weights: Float64Array): number {
  let sum = 0
  for (let i = 0; i < indices.length; i++) sum += values[i]! * weights[indices[i]!]!
  return sum
}

/** λ of the text classifiers: best of four by cross-validation on 1,500 film reviews; scikit-learn's C = 6.7 there. */
const textLambda = 1e-4

/** A labelled text, or a pair: `text` against another, label +1 where it is the better one. */
export interface TextSample { readonly text: string, readonly against: string | null, readonly label: number }

/** TF-IDF with a logistic fit. */
export class TextClassifier {
  readonly #vectorizer: TfidfVectorizer
  readonly #fit: LinearFit

  constructor (vectorizer: TfidfVectorizer, fit: LinearFit) {
    this.#vectorizer = vectorizer
    this.#fit = fit
  }

  /**
   * Fits on labelled texts, or on pairs (Bradley–Terry on the difference of the two vectors, no intercept: such scores
   * compare answers, their zero means nothing).
   */
  static fit (samples: readonly TextSample[]): TextClassifier {
    const texts = new Set(samples.flatMap(({ text, against }) => against === null ? [text] : [text, against]))
    const vectorizer = TfidfVectorizer.fit([...texts])
    const vectors = samples.map(({ text, against }) => against === null
      ? vectorizer.transform(text)
      : subtract(vectorizer.transform(text), vectorizer.transform(against)))
    const rows = sparseRows(vectors, vectorizer.vocabulary.size)
    const intercept = samples.every(sample => sample.against === null)
    return new TextClassifier(vectorizer,
      fitLogistic(rows, samples.map(sample => sample.label), { lambda: textLambda, intercept }))
  }

  /** The logit. */
  score (text: string): number {
    return sparseDot(this.#vectorizer.transform(text), this.#fit.weights) + this.#fit.intercept
  }

  /** σ(logit): the chance of label +1. */
  probability (text: string): number {
    return sigmoid(this.score(text))
  }

  /**
   * The classifier cut to the terms whose weight · idf is largest, as plain data: [term, idf, weight] each. Cutting
   * changes the length that vectors are scaled to, so check its accuracy, not the full one's.
   */
  toData (maxTerms: number): TextClassifierData {
    const { vocabulary, idf } = this.#vectorizer
    const all = [...vocabulary].map(([term, index]) =>
      [term, round(idf[index]!), round(this.#fit.weights[index]!)] as const)
    const kept = all.sort((a, b) => Math.abs(b[1] * b[2]) - Math.abs(a[1] * a[2])).slice(0, maxTerms)
    return { intercept: round(this.#fit.intercept), terms: kept }
  }

  static fromData ({ intercept, terms: entries }: TextClassifierData): TextClassifier {
    const vectorizer = new TfidfVectorizer(new Map(entries.map(([term], index) => [term, index])),
      Float64Array.from(entries, ([, idf]) => idf))
    return new TextClassifier(vectorizer, { weights: Float64Array.from(entries, ([, , weight]) => weight), intercept })
  }
}

/** A classifier as a file holds it. */
export interface TextClassifierData {
  readonly intercept: number
  /** Term, idf, weight. */
  readonly terms: ReadonlyArray<readonly [string, number, number]>
}

/** Five significant digits. */
function round (value: number): number {
  return Number(value.toPrecision(5))
}
