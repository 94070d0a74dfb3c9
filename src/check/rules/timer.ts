import type { OwnUnits } from '../../adapters/own-units.ts';
import { parseDurationMs, formatDuration } from '../../config/duration.ts';
import type { TimerUnit } from '../../kubelet/unit-file.ts';
import { splitWords } from '../../kubelet/unit-words.ts';
import type { CertificateFacts } from '../../pki/certificate.ts';
import { servedInRounds } from '../../rotation/rules/schedule.ts';
import { spanText } from '../../timestamp.ts';
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
  const [, hour = '', hourStep, minute = '', minuteStep] =
    /^(?:\*-\*-\* )?(\*|\d{1,2})(?:\/(\d{1,2}))?:(\d{1,2})(?:\/(\d{1,2}))?(?::00)?$/.exec(text) ?? [];
  if (hour === '') return undefined;
  if (hour === '*' && hourStep === undefined)
    return longestStep(Number(minute), Number(minuteStep ?? 0), 60) * MINUTE_MS;
  return longestStep(hour === '*' ? 0 : Number(hour), Number(hourStep ?? 0), 24) * HOUR_MS;
}

/** The longest way between two of `from`, `from + step` ... below `end`, and on to `from` again: steps do not go over the end. */
function longestStep(from: number, step: number, end: number): number {
  const steps = step === 0 ? 0 : Math.floor((end - 1 - from) / step);
  return Math.max(steps === 0 ? 0 : step, end - steps * step);
}

/** A span such as `15min`, `1h 30min` or `900` (seconds); undefined for forms that are not known here. */
export function spanMs(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  if (!/^(\d+ ?[a-z]+ ?)+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+) ?([a-z]+)/g)].map(([, count, unit = '']) => {
    const ms = SPAN_UNITS[unit.replace(/s$/, '')] ?? SPAN_UNITS[unit];
    return ms === undefined ? Number.NaN : Number(count) * ms;
  });
  const sum = parts.reduce((all, ms) => all + ms, 0);
  return Number.isNaN(sum) ? undefined : sum;
}

/**
 * How far apart the runs of the timer may be; undefined where that cannot be told. Times from several settings all count, so no two runs are further
 * apart than by the densest of them alone. A delay that is random each time may be none now and all of it the next time; a span begins at the
 * delayed run before, so there it counts always.
 */
export function timerMs({ calendar, spans, delay, fixedDelay }: TimerUnit): number | undefined {
  const delayMs = spanMs(delay);
  if (delayMs === undefined) return undefined;
  const calendarDelayMs = fixedDelay ? 0 : delayMs;
  const known = [
    ...calendar.flatMap((text) => calendarMs(text) ?? []).map((ms) => ms + calendarDelayMs),
    ...spans.flatMap((text) => spanMs(text) ?? []).map((ms) => ms + delayMs),
  ];
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
    return [
      finding('note', 'timer.unknown', what, {
        evidence: { calendar: [...units.calendar, ...units.spans], delay: units.delay },
      }),
    ];
  }
  const findings: Finding[] = [];
  if (ahead === undefined || ahead < apart) {
    const said =
      ahead === undefined ? 'is not told when the next one comes' : `looks ahead for ${formatDuration(ahead)} only`;
    const what = `runs of certlet-once.timer are up to ${formatDuration(apart)} apart, and certlet once ${said}: certificates may end between two runs`;
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
    : [
        good(
          'timer',
          `runs of certlet-once.timer are up to ${formatDuration(apart)} apart, and certlet once looks that far ahead`,
        ),
      ];
}
