/** Tells how far a long command is: a bar that redraws itself on a terminal, a line every tenth elsewhere. */

const width = 24

/** Where progress is written: standard error, or a stand-in. */
export interface Terminal { readonly isTTY?: boolean, write: (text: string) => unknown }

/** Minutes and seconds. */
function clock (seconds: number): string {
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}

/** The progress of one command, phase after phase. */
export class Progress {
  readonly #terminal: Terminal
  #phase = ''
  #from = 0
  #started = 0
  #tenth = -1

  constructor (terminal: Terminal = process.stderr) { this.#terminal = terminal }

  /**
   * @param done of `total` in this phase; the time left is estimated from what was done since the phase was first
   * reported
   */
  tell (phase: string, done: number, total: number): void {
    if (phase !== this.#phase) {
      this.end()
      ;[this.#phase, this.#from, this.#started, this.#tenth] = [phase, done, performance.now(), -1]
    }
    if (this.#terminal.isTTY) this.#terminal.write(`\r\x1b[K${this.#line(done, total)}`)
    else {
      const tenth = Math.floor(10 * done / total)
      if (tenth > this.#tenth) this.#terminal.write(`${phase} ${done}/${total}\n`)
      this.#tenth = tenth
    }
  }

  /** Ends the line of a bar, so that other text can follow. */
  end (): void {
    if (this.#phase !== '' && this.#terminal.isTTY) this.#terminal.write('\n')
    this.#phase = ''
  }

  #line (done: number, total: number): string {
    const filled = Math.round(width * done / total)
    const left =
      done > this.#from ? (performance.now() - this.#started) / 1000 / (done - this.#from) * (total - done) : null
    return `${this.#phase} ${'█'.repeat(filled)}${'░'.repeat(width - filled)} ` +
      `${done}/${total}${left === null ? '' : `, ${clock(left)} left`}`
  }
}
