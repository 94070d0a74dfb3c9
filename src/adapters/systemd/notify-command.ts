import { spawn } from 'node:child_process';

/** systemd-notify(1) by name, looked up here only: the service's own PATH may be anything. */
const PATH = '/usr/bin:/bin:/usr/sbin:/sbin';
const COMMAND = 'systemd-notify';

/** How a child process that sends one message is started; `done` gets whether it succeeded. */
export type NotifySpawner = (args: readonly string[], done: (succeeded: boolean) => void) => void;

/** The real `systemd-notify`. The unit needs `NotifyAccess=all`, since the message then comes from another process. */
export function notifySpawner(socket: string): NotifySpawner {
  return (args, done) => {
    let reported = false;
    const report = (succeeded: boolean): void => {
      if (!reported) done(succeeded);
      reported = true;
    };
    const child = spawn(COMMAND, args, { env: { PATH, NOTIFY_SOCKET: socket }, stdio: 'ignore', cwd: '/' });
    child.on('error', () => report(false));
    child.on('exit', (code) => report(code === 0));
    // A message on its way must not keep a finished program alive.
    child.unref();
  };
}

/**
 * Sends messages in order, one process at a time; what arrives meanwhile goes out together in the next. systemd before 246 does not know
 * `--no-block` (it never waited), so after a failure the message is sent once more without.
 */
export class NotifyCommand {
  readonly #spawn: NotifySpawner;
  #waiting: string[] = [];
  #busy = false;
  #noBlock = true;

  constructor(spawner: NotifySpawner) {
    this.#spawn = spawner;
  }

  send(lines: readonly string[]): void {
    this.#waiting = merged(this.#waiting, lines);
    if (!this.#busy) this.#next();
  }

  /** For the last message of a process: does not wait for the one on its way. */
  sendNow(lines: readonly string[]): void {
    this.#start([...this.#waiting.splice(0), ...lines], () => undefined);
  }

  #next(): void {
    const lines = this.#waiting.splice(0);
    if (lines.length === 0) return;
    this.#busy = true;
    this.#start(lines, (succeeded) => {
      this.#busy = false;
      if (!succeeded && this.#noBlock) {
        this.#noBlock = false;
        this.#waiting = merged([...lines], this.#waiting);
      }
      this.#next();
    });
  }

  #start(lines: readonly string[], done: (succeeded: boolean) => void): void {
    this.#spawn([...(this.#noBlock ? ['--no-block'] : []), ...lines], done);
  }
}

/** Of two values for one name only the later counts, so a queue never grows; READY says that a reload begun before it is over. */
function merged(earlier: readonly string[], later: readonly string[]): string[] {
  const names = new Set(later.map(nameOf));
  const all = [...earlier.filter((line) => !names.has(nameOf(line))), ...later];
  return all.some((line) => nameOf(line) === 'READY')
    ? all.filter((line) => !['RELOADING', 'MONOTONIC_USEC'].includes(nameOf(line)))
    : all;
}

function nameOf(line: string): string {
  return line.slice(0, line.indexOf('='));
}
