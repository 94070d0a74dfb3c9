import { fork, type ChildProcess } from 'node:child_process';

/** A process of ours that answers each message with one message. */
export class Child<Command extends object, Report> {
  readonly #process: ChildProcess;
  /** What it said when it was ready. */
  readonly ready: Promise<Report>;
  #turn: Promise<unknown>;

  constructor(program: string, argument?: object) {
    this.#process = fork(program, argument === undefined ? [] : [JSON.stringify(argument)], {
      execArgv: ['--disable-warning=ExperimentalWarning', '--expose-gc'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.ready = this.#answer();
    this.#turn = this.ready;
  }

  /** One command after the other. Rejects when the process ends instead of answering. */
  ask(command: Command): Promise<Report> {
    const answer = this.#turn.then(() => {
      const told = this.#answer();
      this.#process.send(command);
      return told;
    });
    this.#turn = answer;
    return answer;
  }

  end(): void {
    this.#process.kill('SIGKILL');
  }

  #answer(): Promise<Report> {
    return new Promise((done, failed) => {
      const ended = (code: number | null): void => failed(new Error(`a process ended with ${String(code)}`));
      this.#process.once('exit', ended);
      this.#process.once('message', (message) => {
        this.#process.off('exit', ended);
        done(message as Report);
      });
    });
  }
}
