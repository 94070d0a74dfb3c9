import { shellWord } from '../../remedy.ts';
import { CertletError } from '../../errors.ts';
import type { ClusterAccess, Credential } from '../../kubeconfig/client-config.ts';
import type { ExecPlugin } from '../../kubeconfig/model.ts';
import { Secret } from '../../secret.ts';
import { errnoOf } from '../file-errors.ts';
import { NodeFileSystem } from '../file-system.ts';
import type { ClientPair } from './tls-options.ts';
import { type ExecCredential, runExecPlugin } from './exec-plugin.ts';
import type { Environment } from './proxy-choice.ts';

/** What goes out with a request: a bearer token, a certificate in the handshake, both or neither. */
export interface Presented {
  readonly token: Secret | undefined;
  readonly pair: ClientPair | undefined;
}

/** Where the credential of one connection comes from. */
export interface CredentialSource {
  present(signal: AbortSignal): Promise<Presented>;
  /** After a 401: looks for something newer and tells whether there is. */
  renew(refused: Presented, signal: AbortSignal): Promise<boolean>;
}

export interface SourceOptions {
  readonly cluster: ClusterAccess;
  readonly environment: Environment;
  readonly now: () => Date;
  readonly execTimeoutMs: number;
  /** What a failed plugin said, for the journal alone. */
  readonly onPluginOutput: (plugin: string, text: string) => void;
}

/** client-go re-reads a token file after a minute at most. */
const TOKEN_FILE_AGE_MS = 60_000;
/** As for every file that a kubeconfig names. */
const MAX_TOKEN_BYTES = 1024 * 1024;

/** The source for a credential. Its methods throw `ERR_CREDENTIAL_INVALID` and `ERR_EXEC_PLUGIN`. */
export function credentialSource(credential: Credential, options: SourceOptions): CredentialSource {
  switch (credential.kind) {
    case 'none':
      return fixedSource({ token: undefined, pair: undefined });
    case 'token':
      return fixedSource({ token: credential.token, pair: undefined });
    case 'certificate':
      return fixedSource({ token: undefined, pair: credential });
    case 'tokenFile':
      return new TokenFileSource(credential.path, options.now);
    case 'exec':
      return new ExecSource(credential.plugin, options);
  }
}

function fixedSource(presented: Presented): CredentialSource {
  return { present: () => Promise.resolve(presented), renew: () => Promise.resolve(false) };
}

class TokenFileSource implements CredentialSource {
  readonly #path: string;
  readonly #now: () => Date;
  #held: { readonly presented: Presented; readonly readAt: number } | undefined;

  constructor(path: string, now: () => Date) {
    this.#path = path;
    this.#now = now;
  }

  async present(): Promise<Presented> {
    const age = this.#held === undefined ? undefined : this.#now().getTime() - this.#held.readAt;
    // A clock that was set back must not keep an old token for ever.
    if (this.#held !== undefined && age !== undefined && age >= 0 && age < TOKEN_FILE_AGE_MS)
      return this.#held.presented;
    const token = await this.#read();
    this.#held = { presented: { token, pair: undefined }, readAt: this.#now().getTime() };
    return this.#held.presented;
  }

  async renew(refused: Presented): Promise<boolean> {
    this.#held = undefined;
    return !samePresented(await this.present(), refused);
  }

  async #read(): Promise<Secret> {
    let text: string;
    try {
      text = Buffer.from(await new NodeFileSystem().read(this.#path, MAX_TOKEN_BYTES))
        .toString('utf8')
        .trim();
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      throw this.#unreadable(error);
    }
    if (!/^[\x21-\x7e]+$/.test(text))
      throw this.#invalid(text === '' ? 'is empty' : 'holds more than one word of ASCII');
    return new Secret(text);
  }

  #unreadable(cause: unknown): CertletError {
    const path = shellWord(this.#path);
    return new CertletError('ERR_CREDENTIAL_INVALID', `token file ${this.#path} cannot be read`, {
      // `cat >` would make a file that every user of the host can read.
      remedy:
        errnoOf(cause) === 'ENOENT'
          ? `install -m 0600 /dev/null ${path} && cat > ${path}   # paste the token, one line, then Enter and Ctrl-D; it is to be the service's user's`
          : `namei -l ${path}   # it and the folders above`,
      cause,
    });
  }

  #invalid(problem: string): CertletError {
    return new CertletError('ERR_CREDENTIAL_INVALID', `token file ${this.#path} ${problem}`, {
      remedy: `cat > ${shellWord(this.#path)}   # paste the token, one line, then Enter and Ctrl-D`,
    });
  }
}

class ExecSource implements CredentialSource {
  readonly #plugin: ExecPlugin;
  readonly #options: SourceOptions;
  #held: ExecCredential | undefined;
  #running: Promise<ExecCredential> | undefined;

  constructor(plugin: ExecPlugin, options: SourceOptions) {
    this.#plugin = plugin;
    this.#options = options;
  }

  async present(signal: AbortSignal): Promise<Presented> {
    const expiresAt = this.#held?.expiresAt;
    if (this.#held !== undefined && (expiresAt === undefined || expiresAt > this.#options.now())) return this.#held;
    return this.#run(signal);
  }

  async renew(refused: Presented, signal: AbortSignal): Promise<boolean> {
    // Another request may have renewed it meanwhile.
    if (this.#held === refused) this.#held = undefined;
    return !samePresented(await this.present(signal), refused);
  }

  /** Requests that come while the plugin runs wait for the same run. */
  async #run(signal: AbortSignal): Promise<ExecCredential> {
    const { cluster, environment, execTimeoutMs: timeoutMs, onPluginOutput: onOutput } = this.#options;
    this.#running ??= runExecPlugin(this.#plugin, cluster, environment, { timeoutMs, signal, onOutput }).finally(() => {
      this.#running = undefined;
    });
    this.#held = await this.#running;
    return this.#held;
  }
}

function samePresented(one: Presented, other: Presented): boolean {
  return one.token?.reveal() === other.token?.reveal() && samePair(one.pair, other.pair);
}

/** Whether two pairs are the same bytes, so that a pool opened with one serves the other. */
export function samePair(one: ClientPair | undefined, other: ClientPair | undefined): boolean {
  return one?.chainPem === other?.chainPem && one?.keyPem.reveal() === other?.keyPem.reveal();
}
