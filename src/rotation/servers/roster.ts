import { type CertletError, errorFields } from '../../errors.ts';
import type { Chance, Clock, Logger } from '../../ports.ts';
import { SaidOnce } from '../../said-once.ts';
import { endOf } from '../rules/retry.ts';
import { afterLook, lookAt, type ServerFacts, serverInUse, serverList, serversToTry } from '../rules/servers.ts';

/** The API servers of the cluster, what is known of each, and which one is in use. Changed by what comes of requests to them. */
export class ServerRoster {
  readonly #ports: { readonly clock: Clock; readonly chance: Chance; readonly log: Logger };
  readonly #configured: readonly string[];
  readonly #facts = new Map<string, ServerFacts>();
  readonly #said = new SaidOnce();
  #found: readonly string[] = [];
  #former: readonly string[] = [];
  #last: string | undefined;

  /** `configured` are those of the settings, in the order of asking; those of a kubeconfig come before them. */
  constructor(
    ports: { readonly clock: Clock; readonly chance: Chance; readonly log: Logger },
    configured: readonly string[],
  ) {
    this.#ports = ports;
    this.#configured = configured;
  }

  /** Those that the cluster itself has named and that were verified. */
  get found(): readonly string[] {
    return this.#found;
  }

  /** Those of the settings and those that the cluster has named: a node is meant to get along with each of them. */
  get named(): readonly string[] {
    return [...this.#configured, ...this.#found];
  }

  /** Those are what the cluster names now. */
  nameFound(servers: readonly string[]): void {
    this.#found = servers;
  }

  /** The kubeconfig named these before it was made to name another one: they are of this cluster as well. */
  nameFormer(servers: readonly string[]): void {
    this.#former = servers;
  }

  /** All servers beside a kubeconfig that names this one, with what is known of each. */
  of(ofKubeconfig: string): readonly ServerFacts[] {
    return serverList(ofKubeconfig, this.#others).map((server) => this.factsOf(server));
  }

  factsOf(server: string): ServerFacts {
    const now = this.#ports.clock.now();
    return this.#facts.get(server) ?? { server, state: 'unknown', since: now, seenAt: now, times: 0 };
  }

  /** The one that is asked first. */
  inUse(ofKubeconfig: string): string {
    return serverInUse(ofKubeconfig, this.#others, this.#last);
  }

  /** In the order of asking. */
  toTry(ofKubeconfig: string): ReturnType<typeof serversToTry> {
    return serversToTry(this.of(ofKubeconfig), this.inUse(ofKubeconfig), this.#ports.clock.now());
  }

  /** When to look at those that do not answer, of its own accord; undefined while all do. */
  nextLook(ofKubeconfig: string, moveAfterMs: number | undefined): Date | undefined {
    const now = this.#ports.clock.now();
    const dates = this.#silent(ofKubeconfig).flatMap((facts) =>
      endOf(facts.pause, now) === undefined ? now : (lookAt(facts, moveAfterMs) ?? []),
    );
    return dates.length === 0 ? undefined : new Date(Math.min(...dates.map((date) => date.getTime())));
  }

  /** Those that are to be looked at now. */
  dueLooks(ofKubeconfig: string, moveAfterMs: number | undefined): readonly string[] {
    const now = this.#ports.clock.now();
    return this.#silent(ofKubeconfig)
      .filter((facts) => (lookAt(facts, moveAfterMs) ?? now) <= now || endOf(facts.pause, now) === undefined)
      .map(({ server }) => server);
  }

  /** It has answered a request: it is in use from now on. `before` is what was asked first and did not. */
  answered(server: string, before?: { readonly server: string; readonly error: CertletError }): void {
    this.seenUp(server);
    if (before !== undefined && before.server !== server)
      this.#ports.log.log('warn', 'Asking another API server', {
        server,
        instead: before.server,
        ...errorFields(before.error),
      });
    this.#last = server;
  }

  /** It answers, whether or not it is in use. */
  seenUp(server: string): void {
    const before = this.#facts.get(server);
    this.#said.over(server);
    this.#note(server, { state: 'up' });
    if (before?.state !== 'down' && before?.state !== 'untrusted') return;
    const { log } = this.#ports;
    log.log('info', 'An API server answers again', { server, since: before.since, was: before.state });
  }

  /** It does not answer, or with 5xx. */
  down(server: string, error: CertletError): void {
    this.#note(server, { state: 'down', error });
  }

  /** Its TLS is refused. Said once for each reason: nobody goes by it, and nobody is moved in silence. */
  untrusted(server: string, error: CertletError): void {
    this.#note(server, { state: 'untrusted', error });
    if (!this.#said.isNews(server, error.code)) return;
    this.#ports.log.log('warn', 'An API server is not trusted and is passed over', { server, ...errorFields(error) });
  }

  get #others(): readonly string[] {
    return [...this.named, ...this.#former];
  }

  /** The one in use is asked all the time. */
  #silent(ofKubeconfig: string): readonly ServerFacts[] {
    const inUse = this.inUse(ofKubeconfig);
    return this.of(ofKubeconfig).filter(({ server, pause }) => pause !== undefined && server !== inUse);
  }

  #note(server: string, found: { readonly state: ServerFacts['state']; readonly error?: CertletError }): void {
    const { clock, chance } = this.#ports;
    const at = { now: clock.now(), roll: found.error === undefined ? 0 : chance.roll() };
    this.#facts.set(server, afterLook(this.factsOf(server), found, at));
  }
}
