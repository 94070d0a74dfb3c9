import { environmentValue, parseEnvironmentFile } from './environment-file.ts';
import type { PlannedFile } from './sandbox-drop-in.ts';

/** What `certlet-reload@NAME.service` may do with its unit: verbs of systemctl(1) that start nothing which is stopped. */
export const RELOAD_ACTIONS = ['reload', 'try-restart', 'try-reload-or-restart'] as const;
export type ReloadAction = (typeof RELOAD_ACTIONS)[number];

/** Of the unit `certlet-reload@.service`. */
export const DEFAULT_ACTION: ReloadAction = 'try-reload-or-restart';

/** Root's word on what a flag `NAME` means. */
export interface ReloadChoice {
  readonly name: string;
  /** With its `.service`. */
  readonly unit: string;
  readonly action: ReloadAction;
}

/** Holds a file for each name; `certlet-reload@.service` reads it. */
export const RELOAD_FOLDER = '/etc/certlet/reload';

/** Where root's word on this name stands. */
export const reloadPath = (name: string): string => `${RELOAD_FOLDER}/${name}.env`;

/** As `reload` in the settings: part of a file name and instance of a unit. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/u;
const UNIT = /^[A-Za-z0-9:_.\\-]+(?:@[A-Za-z0-9:_.\\-]*)?\.service$/u;

/** A name of the settings' `reload`, or what is wrong with it. */
export const nameProblem = (name: string): string | undefined =>
  NAME.test(name) ? undefined : `expected a name of letters, digits, dots, - and _, got ${JSON.stringify(name)}`;

/** `NAME=UNIT[:ACTION]` of a command line, or what is wrong with it. `.service` may be left out. */
export function parseReloadChoice(text: string): ReloadChoice | string {
  const [, name = '', rest = ''] = /^([^=]*)=(.*)$/u.exec(text) ?? [];
  if (rest === '') return `expected NAME=UNIT or NAME=UNIT:ACTION, got ${JSON.stringify(text)}`;
  const wrongName = nameProblem(name);
  if (wrongName !== undefined) return wrongName;
  return parseUnitChoice(name, rest);
}

function parseUnitChoice(name: string, text: string): ReloadChoice | string {
  const [, given = text, word] = /^(.*):([a-z-]+)$/u.exec(text) ?? [];
  const action = word === undefined ? DEFAULT_ACTION : actionOf(word);
  if (action === undefined)
    return `expected one of ${RELOAD_ACTIONS.join(', ')} after the unit, got ${JSON.stringify(word)}`;
  const unit = fullName(given);
  return unitProblem(unit) ?? { name, unit, action };
}

/** As systemctl(1) completes it. */
const fullName = (unit: string): string => (/\.[a-z]+$/u.test(unit) ? unit : `${unit}.service`);

function unitProblem(unit: string): string | undefined {
  if (!UNIT.test(unit) || unit.length > 255)
    return `expected the name of a service, such as kube-proxy.service, got ${JSON.stringify(unit)}`;
  return /^certlet(?:-[\w@.-]*)?\.service$/u.test(unit)
    ? `${unit} is certlet's own: it takes new certificates without a reload`
    : undefined;
}

const actionOf = (word: string): ReloadAction | undefined => RELOAD_ACTIONS.find((action) => action === word);

/** Root's file, as `certlet allow --reload` writes it. */
export function reloadFile({ name, unit, action }: ReloadChoice): PlannedFile {
  const lines = ['# Written by "certlet allow --reload".', `UNIT=${environmentValue(unit)}`, `ACTION=${action}`, ''];
  return { path: reloadPath(name), text: lines.join('\n') };
}

/** What such a file says, or what is wrong with it. */
export function readReloadFile(name: string, text: string): ReloadChoice | string {
  const values = parseEnvironmentFile(text);
  const unit = values.get('UNIT') ?? '';
  if (unit === '') return 'UNIT= is missing';
  const word = values.get('ACTION') ?? DEFAULT_ACTION;
  const action = actionOf(word);
  if (action === undefined) return `ACTION=${word}: expected one of ${RELOAD_ACTIONS.join(', ')}`;
  const full = fullName(unit);
  const wrong = unitProblem(full);
  return wrong === undefined ? { name, unit: full, action } : `UNIT=${unit}: ${wrong}`;
}
