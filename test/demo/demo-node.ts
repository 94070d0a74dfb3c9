import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import type { CertificateStatus, StatusDocument } from '../../src/status/document.ts';
import type { DemoCluster } from './demo-cluster.ts';
import { DemoLog, type LogRecord } from './demo-log.ts';
import type { Left, Pair, Purpose, Stage } from './story.ts';

/** How long everything lasts. */
export interface Pace {
  readonly seconds: number;
  readonly outageSeconds: number;
}

const MAIN = resolve(import.meta.dirname, '../../src/main.ts');
/** A real control plane on a busy machine takes its time. */
const LIMIT_MS = 90_000;
const TICK_MS = 200;

/** What a reader of the last table shall not find over already. */
const SOON_MS = 2_000;

const isGood = ({ phase, certificate }: CertificateStatus, now: number): boolean =>
  phase === 'valid' && certificate !== undefined && Date.parse(certificate.notAfter) > now + SOON_MS;

/** A node in a folder, with the real daemon on it. */
export class DemoNode implements Stage {
  readonly cluster: string;
  readonly nodeName = 'demo-node';
  readonly seconds: number;
  readonly outageSeconds: number;
  readonly #folder: string;
  readonly #cluster: DemoCluster;
  readonly #signal: AbortSignal;
  #daemon: ChildProcess | undefined;
  #exit: Promise<number | null> = Promise.resolve(null);
  #log: DemoLog | undefined;
  #approves = false;

  constructor(cluster: DemoCluster, folder: string, about: { readonly pace: Pace; readonly signal: AbortSignal }) {
    this.cluster = cluster.title;
    this.seconds = about.pace.seconds * cluster.slowness;
    this.outageSeconds = about.pace.outageSeconds;
    this.#cluster = cluster;
    this.#folder = folder;
    this.#signal = about.signal;
  }

  async begin(): Promise<void> {
    mkdirSync(this.#folder, { recursive: true });
    writeFileSync(join(this.#folder, 'bootstrap-kubelet.conf'), this.#cluster.bootstrapKubeconfig, { mode: 0o600 });
    writeFileSync(join(this.#folder, 'config.yaml'), this.#settings(), { mode: 0o600 });
    const daemon = this.#spawn('run');
    this.#daemon = daemon;
    if (daemon.stderr === null) throw new Error('the daemon has no log');
    const log = new DemoLog(daemon.stderr, { limitMs: LIMIT_MS, onRecord: (record) => this.#approve(record) });
    this.#log = log;
    this.#exit = new Promise((done) => daemon.on('exit', (code) => done(code)));
    void this.#exit.then((code) => log.end(new Error(`certlet ended with ${String(code)}`)));
    this.#signal.addEventListener('abort', () => log.end(new Error('interrupted')), { once: true });
    await this.#until('Made a self-signed serving pair until the first one is issued');
  }

  async requested(purpose: Purpose): Promise<{ readonly csr: string }> {
    const { csr } = await this.#until('Certificate signing request created', purpose);
    return { csr: String(csr) };
  }

  async current(purpose: Purpose): Promise<Pair> {
    const { file, serial, expires } = await this.#until('Certificate is current', purpose);
    return { file: basename(String(file)), serial: String(serial), expires: String(expires) };
  }

  async kubeconfig(): Promise<readonly string[]> {
    await this.#until('Wrote the kubeconfig');
    const text = readFileSync(join(this.#folder, 'kubelet.conf'), 'utf8');
    const lines = text.replaceAll(`${this.#folder}/`, '').split('\n');
    return lines.filter((line) => line !== '').map((line) => line.replace(/(authority-data: ).*/u, '$1…'));
  }

  approveServing(csr: string): Promise<void> {
    return this.#cluster.approve(csr);
  }

  approveFurther(): void {
    this.#approves = true;
  }

  async rotated(tick: (leftMs: number) => void): Promise<Pair> {
    const { deadline } = await this.#until('Certificate rotation deadline determined', 'client');
    const due = Date.parse(String(deadline));
    const timer = setInterval(() => tick(due - Date.now()), TICK_MS);
    try {
      return await this.current('client');
    } finally {
      clearInterval(timer);
    }
  }

  listing(): readonly string[] {
    const folder = join(this.#folder, 'pki');
    const names = readdirSync(folder).filter((name) => !name.startsWith('.'));
    return names.sort().map((name) => {
      const path = join(folder, name);
      return name.endsWith('-current.pem') ? `${name} -> ${readlinkSync(path)}` : name;
    });
  }

  stopApiServer(): Promise<void> {
    return this.#cluster.stop();
  }

  async renewInVain(): Promise<{ readonly code: string }> {
    this.#log?.skip();
    const renew = this.#spawn('renew', 'client');
    renew.stderr?.resume();
    const { code } = await this.#until('Failed while requesting a signed certificate', 'client');
    return { code: String(code) };
  }

  async outage(tick: (leftMs: number) => void): Promise<void> {
    const end = Date.now() + this.outageSeconds * 1000;
    while (Date.now() < end && !this.#signal.aborted) {
      tick(end - Date.now());
      await new Promise((done) => setTimeout(done, TICK_MS));
    }
    this.#signal.throwIfAborted();
  }

  startApiServer(): Promise<void> {
    return this.#cluster.start();
  }

  async caughtUp(tick: (leftMs: number) => void): Promise<void> {
    const limit = Date.now() + LIMIT_MS;
    for (let now = Date.now(); ; now = Date.now()) {
      const { certificates } = this.#status();
      if (certificates.every((each) => isGood(each, now))) return;
      if (now > limit) throw new Error(`not every certificate is good again after ${String(LIMIT_MS / 1000)} s`);
      const tries = certificates.flatMap(({ nextAttempt }) =>
        nextAttempt === undefined ? [] : Date.parse(nextAttempt),
      );
      tick(Math.min(...tries, limit) - now);
      await new Promise((done) => setTimeout(done, TICK_MS));
      this.#signal.throwIfAborted();
    }
  }

  #status(): StatusDocument {
    return JSON.parse(readFileSync(join(this.#folder, 'run', 'status.json'), 'utf8')) as StatusDocument;
  }

  async end(): Promise<readonly Left[]> {
    const { certificates } = this.#status();
    const code = await this.stop();
    if (code !== 0) throw new Error(`certlet ended with ${String(code)}`);
    return [
      ...certificates.map(({ purpose, path, certificate }) => ({
        what: `${purpose} certificate`,
        where: relative(this.#folder, path),
        until: certificate?.notAfter ?? '-',
      })),
      { what: 'kubeconfig', where: 'kubelet.conf', until: '-' },
      { what: 'requests', where: 'pki/.certlet', until: '-' },
      { what: 'status', where: 'run/status.json', until: '-' },
    ];
  }

  /** Ends the daemon in order; safe to call twice. */
  async stop(): Promise<number | null> {
    this.#daemon?.kill('SIGTERM');
    return this.#exit;
  }

  /** For a look when something went wrong. */
  get lastLines(): readonly string[] {
    return this.#log?.tail ?? [];
  }

  #until(event: string, purpose?: string): Promise<LogRecord> {
    if (this.#log === undefined) throw new Error('certlet does not run');
    return this.#log.until(event, purpose);
  }

  /** A failed approval shows as the certificate that does not come. */
  #approve({ event, purpose, csr }: LogRecord): void {
    if (!this.#approves || event !== 'Certificate signing request created' || purpose !== 'serving') return;
    void this.#cluster.approve(String(csr)).catch(() => undefined);
  }

  #spawn(...words: readonly string[]): ChildProcess {
    const flags = [
      '--disable-warning=ExperimentalWarning',
      MAIN,
      ...words,
      '--config',
      join(this.#folder, 'config.yaml'),
    ];
    return spawn(process.execPath, flags, { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  #settings(): string {
    const folder = this.#folder;
    return `# Settings of this demo: everything in one folder, time scaled down.
bootstrapKubeconfig: ${JSON.stringify(`${folder}/bootstrap-kubelet.conf`)}
kubeconfig: ${JSON.stringify(`${folder}/kubelet.conf`)}
certDir: ${JSON.stringify(`${folder}/pki`)}
runtimeDir: ${JSON.stringify(`${folder}/run`)}
hostnameOverride: ${this.nodeName}
nodeIP: [127.0.0.1]
kubelet: {restart: never}
rotation: {minimumSpacing: 1s, keepOldFiles: 1, pruneGrace: 2s, nodeRefresh: 3s, startSpread: 0s}
log: {format: json}
`;
  }
}
