/** The engine's side of the protocol, for engines that run in Node. The Python ones have answering.py. */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { About, Measured, Task } from './protocol.js'

/** Reads one prompt and draws tokens for every candidate. */
export type Run = (prompt: readonly number[], newTokens: number) => Promise<Measured>

/** An engine with its model loaded. */
export interface AnsweringEngine {
  readonly about: About
  /** Makes ready for a task, untimed; `use` measures; what was made is given back. */
  withRun <T> (task: Task, use: (run: Run) => Promise<T>): Promise<T>
}

function answer (value: object): void { writeSync(3, `${JSON.stringify(value)}\n`) }

/** Answers tasks until standard input ends. */
export async function answerTasks ({ about, withRun }: AnsweringEngine): Promise<void> {
  answer(about)
  for await (const line of createInterface(process.stdin)) {
    const task = JSON.parse(line) as Task
    try {
      answer(await withRun(task, async run => {
        await run(task.warmUpPrompt, task.warmUpTokens)
        return run(task.prompt, task.newTokens)
      }))
    } catch (error) {
      answer({ error: error instanceof Error ? error.message : String(error) })
    }
  }
}
