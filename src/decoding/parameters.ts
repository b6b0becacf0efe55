export type AlignmentRequest = Record<string, unknown>
