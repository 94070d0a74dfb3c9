import { join } from 'node:path';
import { CertletError } from '../../errors.ts';
import {
  type FlagEnd,
  type FlagKind,
  type FlagResult,
  type FlagTaker,
  judgeFlagResult,
  parseFlagResult,
} from '../../kubelet/flag-result.ts';
import type { Clock } from '../../ports.ts';
import { onErrno } from '../file-errors.ts';
import type { FileSystem } from '../file-system.ts';
import { readIfPresent } from '../files.ts';

/** From one look for the result of a run that has begun to the next. */
const FIRST_LOOKS_MS = [300, 1_000, 2_000];
const LAST_LOOKS_MS = 5_000;
/** Longer than the services may take: two minutes, and five for a privileged hook. So what is told in the end is their own result. */
const RESULT_WITHIN_MS: Readonly<Record<FlagKind, number>> = { restart: 150_000, reload: 150_000, hook: 330_000 };
const LIMIT_BYTES = 16 * 1024;

/** A service that failed while its flag stands pauses for 20 seconds before it is started again. */
const PAUSE_MS = 25_000;

/** What results need of the host. */
interface ResultsHost {
  readonly fs: FileSystem;
  readonly clock: Clock;
  /** `/run/certlet`. */
  readonly runtimeDir: string;
}

/** Of one flag: what the service that takes it wrote of that. */
export class FlagResults {
  readonly #host: ResultsHost;
  readonly #taker: FlagTaker;
  readonly #path: string;
  /** The run that had ended when the flag was last raised: its result is of an earlier flag. */
  #before: string | undefined;

  /** `name`: of the file in `<runtimeDir>/results`, such as `reload-kube-proxy`. */
  constructor(host: ResultsHost, taker: FlagTaker, name: string) {
    this.#host = host;
    this.#taker = taker;
    this.#path = join(host.runtimeDir, 'results', name);
  }

  /** To be called before the flag is raised. */
  async forget(): Promise<void> {
    const result = await this.#read();
    this.#before = result?.phase === 'ended' ? result.run : undefined;
  }

  /** How long a flag that stands may still do so, from now, in milliseconds: its service is at work for the one before, or pauses after a failure. */
  async busyMs(): Promise<number> {
    const result = await this.#read();
    if (result === undefined) return 0;
    if (result.phase === 'running') return RESULT_WITHIN_MS[this.#taker.kind];
    return result.service === 'success' ? 0 : PAUSE_MS;
  }

  /** Why the flag still stands, where its own service has said so; undefined where nothing has come of it. */
  async whyStanding(): Promise<string | undefined> {
    const result = await this.#read();
    const { service } = this.#taker;
    if (result?.phase === 'running') return `${service}.service has not come to an end`;
    if (result === undefined || result.run === this.#before || result.service === 'success') return undefined;
    return `${service}.service failed (${result.service})`;
  }

  /**
   * After the flag was taken: resolves when the run has succeeded, or the signal has aborted; at once where a service of an earlier package writes
   * nothing. Throws `ERR_HOOK` with the unit, its result and the remedy; `in vain` where the run has ended.
   */
  async succeeded(signal: AbortSignal): Promise<void> {
    const { clock } = this.#host;
    const until = clock.now().getTime() + RESULT_WITHIN_MS[this.#taker.kind];
    for (let look = 0; !signal.aborted; look += 1) {
      const end = await this.#end();
      if (end === undefined || end.kind === 'done') return;
      if (end.kind === 'failed') throw failedAs(end);
      const now = clock.now().getTime();
      if (now >= until) throw this.#stillRuns();
      const afterMs = FIRST_LOOKS_MS[look] ?? LAST_LOOKS_MS;
      await clock.sleepUntil(new Date(Math.min(until, now + afterMs)), signal);
    }
  }

  async #end(): Promise<FlagEnd | undefined> {
    const result = await this.#read();
    return result === undefined || result.run === this.#before ? undefined : judgeFlagResult(result, this.#taker);
  }

  #stillRuns(): CertletError {
    const { kind, service } = this.#taker;
    const withinS = String(RESULT_WITHIN_MS[kind] / 1000);
    return new CertletError('ERR_HOOK', `${service}.service has not come to an end within ${withinS} s`, {
      remedy: `systemctl status ${service}.service`,
    });
  }

  #read(): Promise<FlagResult | undefined> {
    return readResult(this.#host.fs, this.#path);
  }
}

/** What the service that takes a flag wrote of its last run; undefined where it has written nothing that can be read. `name` as of `FlagResults`. */
export const lastResult = (
  { fs, runtimeDir }: Pick<ResultsHost, 'fs' | 'runtimeDir'>,
  name: string,
): Promise<FlagResult | undefined> => readResult(fs, join(runtimeDir, 'results', name));

/** What cannot be read counts as not written: nothing of the host's is made to wait for that. */
async function readResult(fs: FileSystem, path: string): Promise<FlagResult | undefined> {
  const text = await readIfPresent(fs, path, LIMIT_BYTES).catch(onErrno(undefined));
  return text === undefined ? undefined : parseFlagResult(text);
}

const failedAs = ({ why, remedy }: Extract<FlagEnd, { kind: 'failed' }>): CertletError =>
  new CertletError('ERR_HOOK', why, { remedy, reason: 'in vain' });
