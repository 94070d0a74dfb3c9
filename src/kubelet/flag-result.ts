import { type Remedy, shellWord } from '../remedy.ts';
import { NAME_THE_UNIT } from './restart-unit-file.ts';

/**
 * What a flag's service (certlet-kubelet-restart.service, certlet-reload@, certlet-hook@) wrote of its last run to `<runtimeDir>/results/`: in words of
 * systemd, since that service only notes what it sees and the judgement is certlet's.
 */
export interface FlagResult {
  /** `$INVOCATION_ID`: of this run of the service and no other. */
  readonly run: string;
  /** The service writes `running` before it takes the flag. */
  readonly phase: 'running' | 'ended';
  /** `$SERVICE_RESULT` (systemd.exec(5)): `success`, `exit-code`, `timeout`. Empty while it runs. */
  readonly service: string;
  /** What is restarted, reloaded or run: a unit's name. */
  readonly unit: string;
  /** When it was written, as the service tells it; for people. */
  readonly at: string;
  /** `LoadState`, `ActiveState` and `SubState` of the unit; empty where nobody asked or systemd did not answer. */
  readonly load: string;
  readonly active: string;
  readonly sub: string;
}

/** What a result comes to. */
export type FlagEnd =
  | { readonly kind: 'running' }
  | { readonly kind: 'done' }
  /** `why`: what became of it, with unit and systemd's word for the result. */
  | { readonly kind: 'failed'; readonly why: string; readonly remedy: Remedy };

/** The kind of flag, which decides what a person does about it. */
export type FlagKind = 'restart' | 'reload' | 'hook';

/** Who takes a flag. */
export interface FlagTaker {
  readonly kind: FlagKind;
  /** The unit's name without its suffix: `certlet-kubelet-restart`. */
  readonly service: string;
}

/** Undefined for anything else than what a flag's service writes. */
export function parseFlagResult(text: string): FlagResult | undefined {
  const lines = text.split('\n').filter((line) => line.includes('='));
  const fields = new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  const of = (name: string): string => (fields.get(name) ?? '').trim();
  const [run, phase] = [of('Run'), of('Phase')];
  if (run === '' || (phase !== 'running' && phase !== 'ended')) return undefined;
  const unit = of('Unit');
  const [load, active, sub] = [of('LoadState'), of('ActiveState'), of('SubState')];
  return { run, phase, service: of('Service'), unit, at: of('At'), load, active, sub };
}

/** A unit that is missing, masked or broken can be told before the run has ended; that one failed or ends again and again, only afterwards. */
export function judgeFlagResult(result: FlagResult, { kind, service: taker }: FlagTaker): FlagEnd {
  const { phase, service, load, active, sub, at } = result;
  const unloaded = notLoaded(result, kind);
  if (unloaded !== undefined) return unloaded;
  if (phase === 'running') return { kind: 'running' };
  const unit = result.unit === '' ? 'the unit' : result.unit;
  const verb = { restart: 'restarted', reload: 'reloaded', hook: 'run to its end' }[kind];
  const when = at === '' ? '' : ` at ${at}`;
  if (active === 'failed' || sub === 'auto-restart') {
    const why = `${unit} was to be ${verb}${when} and has failed (${active}, ${sub})`;
    return { kind: 'failed', why, remedy: `systemctl status ${shellWord(unit)}   # why it failed` };
  }
  if (service === 'success') return { kind: 'done' };
  const word = service === 'timeout' ? 'not in time (timeout)' : `result ${service === '' ? 'unknown' : service}`;
  const state = load === '' ? '' : `; systemd says: ${[load, active, sub].join(', ')}`;
  const why = `${unit} could not be ${verb}${when}: ${word}${state}`;
  return { kind: 'failed', why, remedy: `journalctl -u ${shellWord(`${taker}.service`)} -e` };
}

function notLoaded({ load, unit, at }: FlagResult, kind: FlagKind): FlagEnd | undefined {
  const when = at === '' ? '' : ` at ${at}`;
  const what = `${unit === '' ? 'the unit' : unit} could not be ${kind === 'reload' ? 'reloaded' : 'restarted'}${when}:`;
  if (load === 'masked')
    return { kind: 'failed', why: `${what} it is masked`, remedy: `systemctl unmask ${shellWord(unit)}` };
  if (load === 'not-found') {
    const remedy =
      kind === 'reload'
        ? 'systemctl list-unit-files --type=service   # then the name of the right one after UNIT= in its file in /etc/certlet/reload'
        : NAME_THE_UNIT;
    return { kind: 'failed', why: `${what} there is no such unit (not-found)`, remedy };
  }
  if (load === 'error' || load === 'bad-setting') {
    const remedy: Remedy = `systemd-analyze verify ${shellWord(unit)}   # says what is wrong with its files`;
    return { kind: 'failed', why: `${what} systemd cannot load it (${load})`, remedy };
  }
  return undefined;
}
