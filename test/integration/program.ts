import { type ChildProcess, spawn } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type CertificatePair, parsePair } from '../../src/pki/certificate.ts';
import { Secret } from '../../src/secret.ts';
import type { Issued } from '../fixtures/cluster/authority.ts';
import type { FakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { bareEnvironment } from '../fixtures/environment.ts';
import { certletCommand, type StartOptions } from '../fixtures/program.ts';
import { noteOutput } from '../fixtures/record.ts';
import { Waiting } from '../fixtures/waiting.ts';

type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

/** A folder as a node has it: settings, bootstrap kubeconfig, cert-dir. */
export class NodeFolder {
  readonly path: string;
  readonly name: string;

  constructor(path: string, name = 'n1') {
    this.path = path;
    this.name = name;
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** Everything in this folder, nothing slow; `more` are lines of YAML. */
  writeSettings(more = ''): void {
    const rotation = '{minimumSpacing: 1s, addressDebounce: 0s, startSpread: 0s, pruneGrace: 0s}';
    const lines = [
      `bootstrapKubeconfig: ${this.file('bootstrap.conf')}`,
      `kubeconfig: ${this.file('kubelet.conf')}`,
      `certDir: ${this.file('pki')}`,
      `runtimeDir: ${this.file('run')}`,
      `hostnameOverride: ${this.name}`,
      'nodeIP: [127.0.0.1]',
      ...(more.includes('rotation:') ? [] : [`rotation: ${rotation}`]),
      // Nothing listens there, whatever runs on this machine.
      ...(more.includes('kubelet:') ? [] : ['kubelet: {restart: never, port: 1, reloadWithin: 1s}']),
      'log: {format: json, level: debug}',
    ];
    writeFileSync(this.file('config.yaml'), `${lines.join('\n')}\n${more}\n`, { mode: 0o600 });
  }

  writeBootstrap(text: string): void {
    writeFileSync(this.file('bootstrap.conf'), text, { mode: 0o600 });
  }

  /** Of the kubelet's two, or of an entry of `certificates` in `certs`. */
  #link(purpose: string): string {
    const ofKubelet = { client: 'kubelet-client', serving: 'kubelet-server' }[purpose];
    if (ofKubelet === undefined) return join(this.path, 'certs', purpose, `${purpose}-current.pem`);
    return join(this.path, 'pki', `${ofKubelet}-current.pem`);
  }

  /** Another pair in the file behind the link. */
  replaceCurrent(purpose: string, { chainPem, keyPem }: Pick<Issued, 'chainPem' | 'keyPem'>): void {
    writeFileSync(this.#link(purpose), chainPem + keyPem);
  }

  /** The pair behind the link; undefined where there is no link. Throws when the link names anything but a whole, matching pair. */
  current(purpose: string): CertificatePair | undefined {
    const link = this.#link(purpose);
    if (lstatSync(link, { throwIfNoEntry: false }) === undefined) return undefined;
    return parsePair(new Secret(readFileSync(link, 'utf8')));
  }

  /** Names in the cert-dir without those of certlet's own records. */
  get files(): readonly string[] {
    return readdirSync(this.file('pki'))
      .filter((name) => !name.startsWith('.'))
      .sort();
  }

  /** `certlet COMMAND --config … ARGS`. */
  run(command: string, ...args: readonly string[]): Program {
    return this.runWith({}, command, ...args);
  }

  /** With flags for Node, with variables, or from another file than the sources. */
  runWith(options: ProgramOptions, command: string, ...args: readonly string[]): Program {
    return new Program([command, '--config', this.file('config.yaml'), ...args], options);
  }
}

export interface ProgramOptions extends StartOptions {
  readonly env?: Readonly<Record<string, string>>;
}

/** Of the log that a failure shows. */
const LAST_LINES = 20;

/** The real program as a child process, its log read as it comes. */
export class Program {
  readonly lines: LogLine[] = [];
  /** What was printed that is no line of the log. */
  readonly text: string[] = [];
  readonly exited: Promise<number | string | null>;
  readonly #child: ChildProcess;
  readonly #waiting = new Waiting(() => this.#printed(-LAST_LINES));

  constructor(args: readonly string[], { env = {}, ...start }: ProgramOptions = {}) {
    const [program = '', ...words] = certletCommand(args, start);
    this.#child = spawn(program, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...bareEnvironment(), ...env },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#take(line));
    }
    this.exited = new Promise((done) => {
      this.#child.once('close', (code, signal) => {
        noteOutput(this.#printed());
        done(signal ?? code);
        this.#waiting.end();
      });
    });
  }

  #take(line: string): void {
    try {
      this.lines.push(JSON.parse(line) as LogLine);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.text.push(line);
    }
    this.#waiting.wake();
  }

  #printed(fromLine = 0): string {
    return [...this.text, ...this.lines.slice(fromLine).map((line) => JSON.stringify(line))].join('\n');
  }

  of(event: string): readonly LogLine[] {
    return this.lines.filter((line) => line.event === event);
  }

  /** Resolves when `condition` holds, looked at after each line; rejects, with what was printed, when the program has ended or time is up without. */
  until(condition: () => boolean, limitMs?: number): Promise<void> {
    return this.#waiting.until(condition, limitMs);
  }

  /** Resolves when this has been logged so many times. */
  said(event: string, times = 1): Promise<void> {
    return this.until(() => this.of(event).length >= times);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Asks it to end and gives what it ended with. */
  async end(name: NodeJS.Signals = 'SIGTERM'): Promise<number | string | null> {
    this.signal(name);
    return await this.exited;
  }
}

/** What a node asked for, as words. */
export function asked(cluster: FakeCluster): readonly string[] {
  return cluster.requests.map(({ verb, resource, path }) => `${verb} ${resource === '' ? path : resource}`);
}
