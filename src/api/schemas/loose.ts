/** How requests are typed: what a server has a default for may be left out. */

/** Fields of an object, any of which may be left out or null where the server has a default. */
export type Loose<T> = T extends ReadonlyArray<infer E>
  ? ReadonlyArray<Loose<E>>
  : T extends object ? { readonly [K in keyof T]?: Loose<T[K]> | null | undefined } : T
