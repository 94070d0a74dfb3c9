import type { OwnUnits } from '../../adapters/own-units.ts';
import { parseDurationMs, formatDuration } from '../../config/duration.ts';
import { splitWords } from '../../kubelet/unit-words.ts';
import type { CertificateFacts } from '../../pki/certificate.ts';
import { servedInRounds } from '../../rotation/rules/rounds.ts';
import { spanText } from '../../status/times.ts';
import { type Finding, finding, good } from '../finding.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The names of systemd.time(7) that a renewal may be put on. */
const CALENDAR: Readonly<Record<string, number>> = {
  minutely: MINUTE_MS,
  hourly: HOUR_MS,
  daily: DAY_MS,
  weekly: 7 * DAY_MS,
  monthly: 31 * DAY_MS,
};
const SPAN_UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  sec: 1000,
  second: 1000,
  m: MINUTE_MS,
  min: MINUTE_MS,
  minute: MINUTE_MS,
  h: HOUR_MS,
  hr: HOUR_MS,
  hour: HOUR_MS,
  d: DAY_MS,
  day: DAY_MS,
};

/** The longest time between two elapses of an `OnCalendar=`, of the forms that people write for this; undefined for any other. */
export function calendarMs(text: string): number | undefined {
  const named = CALENDAR[text];
  if (named !== undefined) return named;
  const [, hours = '', hourStep, minuteStep] =
    /^(?:\*-\*-\* )?(\*|\d{1,2})(?:\/(\d{1,2}))?:\d{1,2}(?:\/(\d{1,2}))?(?::00)?$/.exec(text) ?? [];
  if (hours === '') return undefined;
  if (minuteStep !== undefined && hours === '*') return Number(minuteStep) * MINUTE_MS;
  if (hourStep !== undefined) return Number(hourStep) * HOUR_MS;
  return hours === '*' ? HOUR_MS : DAY_MS;
}

/** A span such as `15min` or `1h 30min`; undefined for forms that are not known here. */
export function spanMs(text: string): number | undefined {
  if (!/^(\d+ ?[a-z]+ ?)+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+) ?([a-z]+)/g)].map(([, count, unit = '']) => {
    const ms = SPAN_UNITS[unit.replace(/s$/, '')] ?? SPAN_UNITS[unit];
    return ms === undefined ? Number.NaN : Number(count) * ms;
  });
  const sum = parts.reduce((all, ms) => all + ms, 0);
  return Number.isNaN(sum) ? undefined : sum;
}

/** How far apart the runs of the timer are; undefined where that cannot be told. Several elapse each by itself, so the shortest counts. */
export function timerMs({ calendar, spans }: Pick<OwnUnits, 'calendar' | 'spans'>): number | undefined {
  const known = [...calendar.map(calendarMs), ...spans.map(spanMs)].filter((ms) => ms !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

/** `--every` of the command that the timer starts. */
export function everyMs(command: string | undefined): number | undefined {
  const words = splitWords(command ?? '');
  const at = words.findIndex((word) => word === '--every' || word.startsWith('--every='));
  const word = words[at] ?? '';
  return parseDurationMs(word.includes('=') ? word.slice(word.indexOf('=') + 1) : (words[at + 1] ?? ''));
}

const EDIT =
  'systemctl edit certlet-once.service   # ExecStart=, then ExecStart=/usr/bin/certlet once --timeout 5m --every';

/** Whether `certlet once` looks as far ahead as its timer is apart, and whether such runs serve the certificates at all. */
export function timerFindings(
  units: OwnUnits,
  certificates: readonly {
    readonly purpose: string;
    readonly facts: CertificateFacts;
    /** See `receivedAt`: signers backdate certificates. */
    readonly receivedAt: Date | undefined;
  }[],
): readonly Finding[] {
  if (!units.timer) return [];
  const apart = timerMs(units);
  const ahead = everyMs(units.command);
  if (apart === undefined) {
    const what =
      'certlet-once.timer elapses at times that check cannot read; its runs must not be further apart than --every says';
    return [finding('note', 'timer.unknown', what, { evidence: { calendar: [...units.calendar, ...units.spans] } })];
  }
  const findings: Finding[] = [];
  if (ahead === undefined || ahead < apart) {
    const said =
      ahead === undefined ? 'is not told when the next one comes' : `looks ahead for ${formatDuration(ahead)} only`;
    const what = `certlet-once.timer runs every ${formatDuration(apart)}, and certlet once ${said}: certificates may end between two runs`;
    findings.push(finding('warning', 'timer.every', what, { remedy: `${EDIT} ${formatDuration(apart)}` }));
  }
  for (const { purpose, facts, receivedAt } of certificates) {
    if (facts.selfSigned || servedInRounds(facts, receivedAt, apart) !== 'never') continue;
    const lives = spanText(facts.notAfter.getTime() - facts.notBefore.getTime());
    const what = `the ${purpose} certificate lives ${lives}, too short for runs every ${formatDuration(apart)}`;
    const remedy = 'systemctl disable --now certlet-once.timer && systemctl enable --now certlet';
    findings.push(finding('problem', `timer.${purpose}`, what, { remedy }));
  }
  return findings.length > 0
    ? findings
    : [good('timer', `certlet-once.timer runs every ${formatDuration(apart)}, and certlet once looks that far ahead`)];
}
