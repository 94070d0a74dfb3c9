/** The word for a command that ends a trouble, everywhere: journal, status, check, errors of commands. It is copied, so nothing is quoted or broken. */
export const FIX = 'fix:';
/** The word for what a person does where no command does it, on a terminal; `do` is the field of that in the journal. */
export const DO = 'do:';
/** The word for what is to be known of either. */
export const WHY = 'why:';

/** What a line for a shell begins with. A new one belongs here, so that no sentence passes for a command. */
export const PROGRAMS = [
  '${EDITOR:-vi}',
  'cat',
  'certlet',
  'chgrp',
  'chmod',
  'chown',
  'curl',
  'date',
  'df',
  'dmesg',
  'echo',
  'env',
  'findmnt',
  'fuser',
  'getent',
  'hostnamectl',
  'install',
  'journalctl',
  'kubectl',
  'ls',
  'mkdir',
  'mount',
  'mv',
  'namei',
  'nc',
  'openssl',
  'quota',
  'rm',
  'runuser',
  'ss',
  'sudo',
  'systemctl',
  'systemd-analyze',
  'systemd-creds',
  'systemd-sysusers',
  'timedatectl',
  'tr',
] as const;

type Program = (typeof PROGRAMS)[number];

/** One line that a shell takes as it is. */
export type CommandText = `${Program} ${string}`;
/** A sentence, which a shell takes for a comment. */
export type Instruction = `# ${string}`;

/**
 * What a person does about a trouble, as one text that a shell takes: a command, and behind `   # ` what is to be known of it; where no command
 * ends the trouble, `# ` and the sentence that says what does. The compiler lets nothing pass for a command that begins with no program.
 */
export type Remedy = CommandText | Instruction;

/** A remedy taken apart: a command to be copied, or what else is to be done; and what is to be known of it. */
export type Advice =
  | { readonly kind: 'command'; readonly fix: string; readonly why: string | undefined }
  | { readonly kind: 'instruction'; readonly todo: string; readonly why: string | undefined };

/** Three blanks and a sign that a shell takes for the beginning of a comment. */
const BETWEEN = '   # ';
const COMMENT = '# ';

/** A remedy taken apart: the one place that tells a command from what is none. */
export function adviceOf(remedy: string): Advice {
  const at = remedy.indexOf(BETWEEN);
  const head = at < 0 ? remedy : remedy.slice(0, at);
  const why = at < 0 ? undefined : remedy.slice(at + BETWEEN.length);
  return head.startsWith(COMMENT)
    ? { kind: 'instruction', todo: head.slice(COMMENT.length), why }
    : { kind: 'command', fix: head, why };
}

/** The sentence as what is to be done where no command does it. */
export const byHand = (sentence: string): Instruction => `${COMMENT}${sentence}`;

const ELSEWHERE = 'Run on a control plane node: ';
const FILL_IN = 'Run with the words in capitals filled in: ';

/** A command that is run elsewhere than here: where it is pasted, it fails. */
export const onControlPlane = (command: string, more?: string): Instruction => doing(ELSEWHERE, command, more);

/** A command with words in capitals that only a person knows, such as the name of a file: as it stands it fails. */
export const filledIn = (command: string, more?: string): Instruction => doing(FILL_IN, command, more);

const doing = (how: string, command: string, more?: string): Instruction =>
  byHand(`${how}${command}${more === undefined ? '' : BETWEEN + more}`);

/** What is to be done ends in a command, which is copied from there. */
export const endsInCommand = (todo: string): boolean => todo.startsWith(ELSEWHERE) || todo.startsWith(FILL_IN);

/** A setting that is to be written into the settings, beside what stands there; `more` is what is to be known. */
export const inSettings = (text: string, more = 'then systemctl reload certlet'): Instruction =>
  byHand(`Set ${text} in the settings.${BETWEEN}${more}`);

/** What opens a file where it is to be mended; `what` is what is wrong there. A place that no editor opens, such as an object of the API, gets the sentence alone. */
export function editing(file: string, what: string, line?: number): Remedy {
  if (!file.startsWith('/')) return byHand(what);
  const at = line === undefined ? '' : `+${String(line)} `;
  return `\${EDITOR:-vi} ${at}${shellWord(file)}   # ${what}`;
}

/** The remedy with more that is to be known of it. */
export const explained = (remedy: Remedy, more: string): Remedy =>
  remedy.includes(BETWEEN) ? (`${remedy.replace(/\.$/, '')}; ${more}` as Remedy) : `${remedy}${BETWEEN}${more}`;

/** The remedy in other words (without secrets, with a host's options): what it begins with stays what it is. */
export const reworded = (remedy: Remedy, by: (text: string) => string): Remedy => by(remedy) as Remedy;

/** How a node gets a bootstrap kubeconfig. The words in capitals are the cluster's. `options`: more of them; `more`: what is to be known besides. */
export const joinRemedy = (more?: string, options = ''): Instruction =>
  filledIn(`certlet join ENDPOINT --token-file FILE --discovery-token-ca-cert-hash sha256:HASH${options}`, more);

/** A node that is of the cluster already and is to trust other CAs of it. */
export interface Rejoin {
  /** HOST:PORT of the API server; unless told a word for it. */
  readonly endpoint?: string;
  /** Of the CAs, as `--discovery-token-ca-cert-hash` takes them; none: a word for one. */
  readonly pins?: readonly string[];
  /** Root writes the node's kubeconfig. */
  readonly byRoot: boolean;
}

/** How a node comes by another CA of its cluster and keeps identity and key: the pair is shown to the cluster under it, and what accepts that is taken over. */
export function rejoinWords({ endpoint = 'HOST:PORT', pins = [], byRoot }: Rejoin): string {
  const named = pins.length === 0 ? ['sha256:HASH'] : pins;
  const hashes = named.map((pin) => ` --discovery-token-ca-cert-hash ${pin}`).join('');
  return `certlet join ${endpoint} --token-file FILE${hashes} --force${byRoot ? ' --write-kubeconfig' : ''}`;
}

/** The same as a remedy: nobody but a person has the token. */
export const rejoinRemedy = (rejoin: Rejoin, more?: string): Instruction => filledIn(rejoinWords(rejoin), more);

/** Follow what the cluster publishes of its CAs. `why`: what is to be known. */
export const followSetting = (source: string, why: string): Instruction =>
  inSettings(`followClusterCA: ${source}`, `then systemctl reload certlet; ${why}`);

/** Text as one word of a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** What this run was told on its command line and what is run after it needs, too: without it those commands would act on other files. */
export interface Carried {
  /** As they begin: `certlet check`, `kubectl`. */
  readonly commands: readonly string[];
  /** As words of a shell: `--config /srv/certlet.yaml`. */
  readonly options: string;
}

/** How certlet is run on a host, where that is not as a daemon of root, by the default settings. */
export interface HowItRuns {
  /** The timer alone does the work; no daemon is enabled. */
  readonly byTimer: boolean;
  /** The user of the service. */
  readonly uid: number;
  readonly carried: readonly Carried[];
}

const ROOT = 0;

/**
 * The remedy as it works on this host. Remedies are written for the daemon; where a timer does its work, that and the one-shot stand in for it:
 * a daemon started beside them would hold the lock that they need. Where the service has a user of its own, what works on the cert-dir runs
 * as that user: files of root in there would shut the service out.
 */
export function remedyFor<R extends string>(remedy: R, { byTimer, uid, carried }: HowItRuns): R {
  const given = withCarried(remedy, carried);
  const timed = byTimer ? remedyByTimer(given) : given;
  // With a daemon `renew` goes through its socket, which root may open, too.
  const own = byTimer ? /(?<!-- )\bcertlet (?=(?:renew|once|reset)\b)/g : /(?<!-- )\bcertlet (?=(?:once|reset)\b)/g;
  const told = uid === ROOT ? timed : timed.replaceAll(own, `runuser -u "$(id -nu ${String(uid)})" -- certlet `);
  return told as R;
}

/** The rest of a command: words with their quotes, up to its end or the sign of a comment. */
const WORDS = String.raw`(?: (?:[^\s;&|<>'"\\]|'[^']*'|"[^"]*"|\\.)+)*`;

/**
 * Text with the options directly behind each of the commands, in prose as in what is pasted. A command that has one of them already stays as it
 * is, and so does one that is asked for help only.
 */
export function withCarried(text: string, carried: readonly Carried[]): string {
  return carried.reduce((told, { commands, options }) => {
    const names = [...options.matchAll(/(?:^| )(--[a-z-]+)/g)].map(([, name = '']) => name);
    const begins = commands.map((command) => command.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join('|');
    const pattern = new RegExp(String.raw`(?<![\w/.-])(${begins})(?=[ ;&|,:)]|\.(?!\w)|$)(${WORDS})`, 'g');
    return told.replaceAll(pattern, (whole: string, command: string, words: string) => {
      const typed = words.split(' ').map((word) => word.split('=')[0]);
      return typed.includes('--help') || names.some((name) => typed.includes(name))
        ? whole
        : `${command} ${options}${words}`;
    });
  }, text);
}

const ONCE = 'certlet-once.service';
const TIMER = 'certlet-once.timer';
/** What is done with the daemon's unit, up to the end of that command. */
const SYSTEMCTL = /\bsystemctl (start|stop|restart|reload|status|cat|show)( [^;&|#]*?)?(?=$| *[;&|]| {3}#)/g;

function remedyByTimer(remedy: string): string {
  const stops = /\bsystemctl stop [^;&|#]*\bcertlet\b(?![.-])/.test(remedy);
  return remedy
    .replaceAll(SYSTEMCTL, (line: string, verb: string, words: string | undefined) => {
      const units = (words ?? '').split(' ').filter((word) => word !== '');
      if (!units.includes('certlet')) return line;
      const stead = verb === 'stop' ? [TIMER, ONCE] : verb === 'start' && stops ? [ONCE, TIMER] : [ONCE];
      // A one-shot is neither running nor reloadable: a run reads everything anew.
      const done = verb === 'restart' || verb === 'reload' ? 'start' : verb;
      return ['systemctl', done, ...units.flatMap((unit) => (unit === 'certlet' ? stead : [unit]))].join(' ');
    })
    .replaceAll(/\bjournalctl -u certlet(?![\w.-])/g, 'journalctl -u certlet-once');
}
