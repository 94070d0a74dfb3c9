import t from 'tap';
import type { CertificateSigningRequest, CsrWatchEvent } from '../../../src/csr/wire.ts';
import { CertletError } from '../../../src/errors.ts';
import type { ApiConnection } from '../../../src/ports.ts';
import { type FinalOutcome, waitForOutcome } from '../../../src/rotation/request/wait.ts';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { fixedChance } from '../../fixtures/fakes/chance.ts';
import { FakeClock } from '../../fixtures/fakes/clock.ts';

type Condition = CertificateSigningRequest['conditions'][number];
const condition = (type: string): Condition => ({ type, status: 'True', reason: 'r', message: 'm' });

function csr(version: number, more: Partial<CertificateSigningRequest> = {}): CertificateSigningRequest {
  return {
    name: 'a',
    uid: 'u',
    resourceVersion: String(version),
    creationTimestamp: '',
    requestPem: '',
    signerName: 's',
    usages: [],
    expirationSeconds: undefined,
    username: 'me',
    conditions: [],
    certificatePem: undefined,
    ...more,
  };
}

const pending = csr(1);
const approved = csr(2, { conditions: [condition('Approved')] });
const issued = csr(3, { conditions: [condition('Approved')], certificatePem: 'PEM' });
const modified = (object: CertificateSigningRequest): CsrWatchEvent => ({ type: 'MODIFIED', object });
const deleted = (object: CertificateSigningRequest): CsrWatchEvent => ({ type: 'DELETED', object });
const bookmark = (version: number): CsrWatchEvent => ({ type: 'BOOKMARK', resourceVersion: String(version) });
const gone = { type: 'ERROR', code: 410, message: 'too old' } as unknown as CsrWatchEvent;

/** One watch: events, and how it ends; `forever` goes on silently. */
interface Watch {
  readonly events?: readonly CsrWatchEvent[];
  readonly lastsMs?: number;
  readonly fault?: CertletError;
}

/** A server that plays these watches and GETs one after the other, the last of each again and again. */
class Script {
  readonly clock = new FakeClock();
  readonly calls: string[] = [];
  readonly seen: string[] = [];
  readonly stop = new AbortController();
  readonly #watches: readonly Watch[];
  readonly #gets: readonly (CertificateSigningRequest | CertletError)[];

  constructor(watches: readonly Watch[], gets: readonly (CertificateSigningRequest | CertletError)[] = [pending]) {
    this.#watches = watches;
    this.#gets = gets;
  }

  count(what: string): number {
    return this.calls.filter((call) => call.startsWith(what)).length;
  }

  async *watch(version: string): AsyncIterable<CsrWatchEvent> {
    const watch = this.#watches[Math.min(this.count('watch'), this.#watches.length - 1)] ?? {};
    this.calls.push(`watch ${version}`);
    yield* watch.events ?? [];
    if (watch.lastsMs !== undefined) {
      await this.clock.sleepUntil(new Date(this.clock.now().getTime() + watch.lastsMs), this.stop.signal);
      this.stop.signal.throwIfAborted();
    }
    if (watch.fault !== undefined) throw watch.fault;
  }

  async get(): Promise<CertificateSigningRequest> {
    const answer = this.#gets[Math.min(this.count('get'), this.#gets.length - 1)] ?? pending;
    this.calls.push('get');
    if (answer instanceof CertletError) throw answer;
    return answer;
  }

  /** Runs for so long; gives the outcome, what was thrown, or `waiting`. */
  async run(ms = 60_000): Promise<FinalOutcome | CertletError | 'waiting'> {
    let result: FinalOutcome | CertletError | 'waiting' = 'waiting';
    const api = {
      watchCsr: (_version: string, _name: string, resourceVersion: string) => this.watch(resourceVersion),
      getCsr: () => this.get(),
    } as unknown as ApiConnection;
    const { clock } = this;
    const waiting = waitForOutcome(pending, {
      api,
      version: 'v1',
      clock,
      chance: fixedChance(0.5),
      signal: this.stop.signal,
      seen: (_csr, outcome) =>
        this.seen.push(outcome.kind === 'pending' && outcome.approved ? 'approved' : outcome.kind),
    }).then(
      (outcome) => {
        result = outcome;
      },
      (error: unknown) => {
        result = error as CertletError;
      },
    );
    await clock.advance(ms);
    const before = result;
    this.stop.abort();
    await waiting;
    return before;
  }
}

const ISSUED = { kind: 'issued', certificatePem: 'PEM' };
const fault = (code: Parameters<typeof apiFault>[0]): CertletError => apiFault(code, code);
const FOREVER = { lastsMs: 1e9 };

for (const row of [
  {
    name: 'issued in the first watch: one watch, nothing else',
    watches: [{ events: [modified(approved), modified(issued)] }],
    result: ISSUED,
    calls: ['watch 1'],
  },
  {
    name: 'the server ends the watch: the next goes on from the bookmark',
    watches: [{ events: [bookmark(7)], lastsMs: 10_000 }, { events: [modified(issued)] }],
    result: ISSUED,
    calls: ['watch 1', 'watch 7'],
  },
  {
    name: 'too old: the object is read, then watched from there',
    watches: [{ events: [gone] }, { events: [modified(issued)] }],
    gets: [csr(9)],
    result: ISSUED,
    calls: ['watch 1', 'get', 'watch 9'],
  },
  {
    name: 'a dead link: the object is read, which may be issued by now',
    watches: [{ lastsMs: 180_000, fault: fault('ERR_API_UNREACHABLE') }],
    gets: [issued],
    result: ISSUED,
    calls: ['watch 1', 'get'],
    ms: 300_000,
  },
  {
    name: 'garbage in the watch: the object is read',
    watches: [{ fault: fault('ERR_API_PROTOCOL') }],
    gets: [issued],
    result: ISSUED,
    calls: ['watch 1', 'get'],
  },
  {
    name: 'watch forbidden: polled',
    watches: [{ fault: fault('ERR_API_FORBIDDEN') }],
    gets: [pending, pending, issued],
    result: ISSUED,
    calls: ['watch 1', 'get', 'get', 'get'],
  },
  {
    name: 'deleted',
    watches: [{ events: [deleted(pending)] }],
    result: { code: 'ERR_CSR_DELETED' },
    calls: ['watch 1'],
  },
  {
    name: 'deleted after it was issued: counts',
    watches: [{ events: [deleted(issued)] }],
    result: ISSUED,
    calls: ['watch 1'],
  },
  {
    name: 'gone at the next look',
    watches: [{ fault: fault('ERR_API_UNREACHABLE') }],
    gets: [fault('ERR_API_NOT_FOUND')],
    result: { code: 'ERR_CSR_DELETED' },
    calls: ['watch 1', 'get'],
  },
  {
    name: 'another object of that name',
    watches: [{ events: [modified(csr(5, { uid: 'other' }))] }],
    result: { kind: 'changed uid' },
    calls: ['watch 1'],
  },
  {
    name: 'denied',
    watches: [{ events: [modified(csr(2, { conditions: [condition('Denied')] }))] }],
    result: { kind: 'denied', reason: 'r', message: 'm' },
    calls: ['watch 1'],
  },
  {
    name: 'the credential is refused: told at once',
    watches: [{ fault: fault('ERR_API_UNAUTHORIZED') }],
    result: { code: 'ERR_API_UNAUTHORIZED' },
    calls: ['watch 1'],
  },
  {
    name: 'told to slow down: told at once',
    watches: [{ fault: fault('ERR_API_THROTTLED') }],
    result: { code: 'ERR_API_THROTTLED' },
    calls: ['watch 1'],
  },
  { name: 'silence: waits', watches: [FOREVER], result: 'waiting', calls: ['watch 1'] },
] satisfies readonly {
  name: string;
  watches: readonly Watch[];
  gets?: readonly (CertificateSigningRequest | CertletError)[];
  result: object | string;
  calls: readonly string[];
  ms?: number;
}[]) {
  t.test(`waitForOutcome: ${row.name}`, async (t) => {
    const script = new Script(row.watches, 'gets' in row ? row.gets : undefined);
    t.match(await script.run('ms' in row ? row.ms : undefined), row.result);
    t.strictSame(script.calls, row.calls);
  });
}

for (const row of [
  { name: 'ends at once', watch: {} },
  { name: 'is ended cleanly by a proxy after twenty seconds', watch: { lastsMs: 20_000 } },
  { name: 'is ended after ten seconds with a bookmark', watch: { events: [bookmark(1)], lastsMs: 10_000 } },
  { name: 'brings a bookmark and ends', watch: { events: [bookmark(1)] } },
  { name: 'brings an error and ends', watch: { events: [gone] } },
  { name: 'brings the object as it was and ends', watch: { events: [modified(pending)] } },
  { name: 'breaks', watch: { fault: fault('ERR_API_PROTOCOL') } },
]) {
  t.test(`waitForOutcome: a watch that ${row.name} each time is replaced by polling`, async (t) => {
    const script = new Script([row.watch]);
    t.equal(await script.run(3_600_000), 'waiting');
    t.equal(script.count('watch'), 3);
    t.ok(script.count('get') >= 50 && script.count('get') <= 75, `${String(script.count('get'))} looks in an hour`);
  });
}

for (const row of [
  { name: 'a server that ends each watch after minutes', lastsMs: 300_000, least: 250 },
  { name: 'a server that ends each watch when it was asked to', lastsMs: 170_000, least: 400 },
  { name: 'a proxy that ends each watch after a quiet minute', lastsMs: 60_000, least: 1_000 },
]) {
  t.test(`waitForOutcome: ${row.name} is watched for ever`, async (t) => {
    const script = new Script([{ lastsMs: row.lastsMs }]);
    t.equal(await script.run(24 * 3_600_000), 'waiting');
    t.ok(script.count('watch') > row.least, `${String(script.count('watch'))} watches in a day`);
    t.equal(script.count('get'), 0);
  });
}

t.test('waitForOutcome: short watches are forgotten when one lasts', async (t) => {
  const script = new Script([
    { lastsMs: 20_000 },
    { lastsMs: 20_000 },
    { lastsMs: 40_000 },
    { lastsMs: 20_000 },
    FOREVER,
  ]);
  t.equal(await script.run(3_600_000), 'waiting');
  t.strictSame(
    script.calls,
    Array.from({ length: 5 }, () => 'watch 1'),
  );
});

t.test('waitForOutcome: an approval that was seen is not forgotten at the end of the watch', async (t) => {
  const script = new Script([{ events: [modified(approved)], lastsMs: 10_000 }, FOREVER]);
  await script.run();
  t.strictSame(script.seen, ['pending', 'approved', 'approved']);
  t.strictSame(script.calls, ['watch 1', 'watch 2']);
});

t.test('waitForOutcome: a stop ends it with its reason', async (t) => {
  const script = new Script([FOREVER]);
  const reason = new Error('stop');
  setImmediate(() => script.stop.abort(reason));
  t.not(await script.run(1000), ISSUED);
});
