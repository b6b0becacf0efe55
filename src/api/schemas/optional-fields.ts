/** How requests are typed: what a server has a default for may be left out. */

/** Fields of an object, any of which may be left out or null where the server has a default. */
export type Loose<T> = T extends ReadonlyArray<infer E>
  ? ReadonlyArray<Loose<E>>
  : T extends object ? { readonly [K in keyof T]?: Loose<T[K]> | null | undefined } : T

/** Fields of an object, those of which may be null that may be left out. */
export type Given<T> = T extends ReadonlyArray<infer E>
  ? ReadonlyArray<Given<E>>
  : T extends object
    ? { readonly [K in keyof T]: undefined extends T[K] ? Given<T[K]> | null | undefined : Given<T[K]> }
    : T
