/** What a template is made of, once it is parsed. */

export interface Arguments {
  readonly positional: readonly Expression[]
  readonly named: ReadonlyArray<readonly [name: string, value: Expression]>
  readonly spread: Expression | null
  readonly namedSpread: Expression | null
}

export type Expression =
  | { readonly kind: 'constant', readonly value: null | boolean | number | string }
  | { readonly kind: 'float', readonly value: number }
  | { readonly kind: 'name', readonly name: string }
  | { readonly kind: 'list' | 'tuple', readonly items: readonly Expression[] }
  | { readonly kind: 'dict', readonly pairs: ReadonlyArray<readonly [Expression, Expression]> }
  | { readonly kind: 'attribute', readonly of: Expression, readonly name: string }
  | { readonly kind: 'item', readonly of: Expression, readonly at: Expression }
  | { readonly kind: 'slice', readonly of: Expression, readonly bounds: ReadonlyArray<Expression | null> }
  | { readonly kind: 'call', readonly callee: Expression, readonly args: Arguments }
  | { readonly kind: 'filter' | 'test', readonly of: Expression, readonly name: string, readonly args: Arguments }
  | { readonly kind: 'unary', readonly operator: string, readonly of: Expression }
  | { readonly kind: 'binary', readonly operator: string, readonly left: Expression, readonly right: Expression }
  | { readonly kind: 'logical', readonly operator: 'and' | 'or', readonly left: Expression, readonly right: Expression }
  | {
    readonly kind: 'compare',
    readonly first: Expression,
    readonly others: ReadonlyArray<readonly [operator: string, value: Expression]>
  }
  | { readonly kind: 'concat', readonly parts: readonly Expression[] }
  | { readonly kind: 'if', readonly test: Expression, readonly then: Expression, readonly otherwise: Expression | null }

/** What values are set to: a name, a namespace's field, or several names. */
export type Target =
  | { readonly kind: 'name', readonly name: string }
  | { readonly kind: 'field', readonly of: string, readonly name: string }
  | { readonly kind: 'tuple', readonly items: readonly Target[] }

export interface Parameter { readonly name: string, readonly default: Expression | null }

/** A filter without what it is applied to. */
export type Filter = Pick<Extract<Expression, { kind: 'filter' | 'test' }>, 'name' | 'args'>

export type Statement =
  | { readonly kind: 'data', readonly text: string }
  | { readonly kind: 'output', readonly value: Expression }
  | {
    readonly kind: 'if',
    readonly branches: ReadonlyArray<readonly [test: Expression, body: Body]>,
    readonly otherwise: Body
  }
  | {
    readonly kind: 'for',
    readonly target: Target,
    readonly items: Expression,
    readonly test: Expression | null,
    readonly body: Body,
    readonly otherwise: Body
  }
  | { readonly kind: 'set', readonly target: Target, readonly value: Expression }
  | { readonly kind: 'set-block', readonly target: Target, readonly filters: readonly Filter[], readonly body: Body }
  | { readonly kind: 'with', readonly sets: ReadonlyArray<readonly [Target, Expression]>, readonly body: Body }
  | { readonly kind: 'macro', readonly name: string, readonly parameters: readonly Parameter[], readonly body: Body }
  | {
    readonly kind: 'call-block',
    readonly call: Extract<Expression, { kind: 'call' }>,
    readonly parameters: readonly Parameter[],
    readonly body: Body
  }
  | { readonly kind: 'filter-block', readonly filters: readonly Filter[], readonly body: Body }
  /** Of transformers: marks the assistant's tokens, which is nothing here but a scope. */
  | { readonly kind: 'generation', readonly body: Body }
  | { readonly kind: 'break' | 'continue' }

export type Body = readonly Statement[]

/** Whether a name is read anywhere in a part of a template. */
export function mentions (part: unknown, name: string): boolean {
  if (typeof part !== 'object' || part === null) return false
  return ('kind' in part && part.kind === 'name' && 'name' in part && part.name === name) ||
    Object.values(part).some(inner => mentions(inner, name))
}
