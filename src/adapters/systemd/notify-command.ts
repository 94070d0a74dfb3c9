import { spawn } from 'node:child_process';

/** systemd-notify(1) by name, looked up here only: the service's own PATH may be anything. */
const PATH = '/usr/bin:/bin:/usr/sbin:/sbin';
const COMMAND = 'systemd-notify';

/** How a child process that sends one message is started; `done` is called when it has ended, however that was. */
export type NotifySpawner = (lines: readonly string[], done: () => void) => void;

/**
 * The real `systemd-notify`. The unit needs `NotifyAccess=all`, since the message then comes from another process. Without `--no-block` on
 * purpose: the child stays until the manager has taken the message (sd_notify_barrier(3), systemd 246). A message of a process that has
 * ended already belongs to no unit, and is dropped.
 */
export function notifySpawner(socket: string): NotifySpawner {
  return (lines, done) => {
    const child = spawn(COMMAND, lines, { env: { PATH, NOTIFY_SOCKET: socket }, stdio: 'ignore', cwd: '/' });
    // Of `error` and `exit` each may come alone or before the other; the caller bears being called twice.
    child.on('error', done);
    child.on('exit', done);
    // A message on its way must not keep a finished program alive.
    child.unref();
  };
}

/** Sends messages in order, one process at a time; what arrives meanwhile goes out together in the next. */
export class NotifyCommand {
  readonly #spawn: NotifySpawner;
  #waiting: string[] = [];
  #underWay: symbol | undefined;

  constructor(spawner: NotifySpawner) {
    this.#spawn = spawner;
  }

  send(lines: readonly string[]): void {
    this.#waiting = merged(this.#waiting, lines);
    if (this.#underWay === undefined) this.#next();
  }

  /** For the last message of a process: does not wait for the one on its way. */
  sendNow(lines: readonly string[]): void {
    this.#spawn([...this.#waiting.splice(0), ...lines], () => undefined);
  }

  #next(): void {
    const lines = this.#waiting.splice(0);
    if (lines.length === 0) return;
    const mine = Symbol('message');
    this.#underWay = mine;
    this.#spawn(lines, () => {
      if (this.#underWay !== mine) return;
      this.#underWay = undefined;
      this.#next();
    });
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
