/** The word for what ends a trouble, everywhere: journal, status, check, errors of commands. */
export const FIX = 'fix:';

/** What a person does, and what is to be known of it. */
export interface Advice {
  /** One command that can be pasted as it is; where no command ends the trouble, the instruction. */
  readonly fix: string;
  readonly why: string | undefined;
}

/** Three blanks and a sign that a shell takes for the beginning of a comment. */
const BETWEEN = '   # ';

/**
 * A remedy is one text: a command, and behind `   # ` what is to be known of it, so that a shell takes the whole of it, too. Where no command ends
 * the trouble it is the instruction, a sentence.
 */
export function adviceOf(remedy: string): Advice {
  const at = remedy.indexOf(BETWEEN);
  if (at < 0) return { fix: remedy, why: undefined };
  return { fix: remedy.slice(0, at), why: remedy.slice(at + BETWEEN.length) };
}

/** How a node gets a bootstrap kubeconfig. The words in capitals are the cluster's. */
export const JOIN_COMMAND = 'certlet join ENDPOINT --token-file FILE --discovery-token-ca-cert-hash sha256:...';

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
export function rejoinCommand({ endpoint = 'HOST:PORT', pins = [], byRoot }: Rejoin): string {
  const named = pins.length === 0 ? ['sha256:HASH'] : pins;
  const hashes = named.map((pin) => ` --discovery-token-ca-cert-hash ${pin}`).join('');
  return `certlet join ${endpoint} --token-file FILE${hashes} --force${byRoot ? ' --write-kubeconfig' : ''}`;
}

/** In the settings, beside what stands there. `why`: what is to be known. */
export const followSetting = (source: string, why: string): string =>
  `followClusterCA: ${source}   # in the settings, and systemctl reload certlet: ${why}`;

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
export function remedyFor(remedy: string, { byTimer, uid, carried }: HowItRuns): string {
  const given = withCarried(remedy, carried);
  const timed = byTimer ? remedyByTimer(given) : given;
  // With a daemon `renew` goes through its socket, which root may open, too.
  const own = byTimer ? /(?<!-- )\bcertlet (?=(?:renew|once|reset)\b)/g : /(?<!-- )\bcertlet (?=(?:once|reset)\b)/g;
  return uid === ROOT ? timed : timed.replaceAll(own, `runuser -u "$(id -nu ${String(uid)})" -- certlet `);
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
