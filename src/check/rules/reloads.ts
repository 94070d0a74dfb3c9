import { type CommandText, type Remedy, shellWord } from '../../remedy.ts';
import type { HostReload } from '../../adapters/host-reloads.ts';
import { type Finding, finding, good } from '../finding.ts';

/** Both sides of the settings' `reload`. */
export interface ReloadQuestion {
  /** Names of certificates by their `reload`. */
  readonly named: ReadonlyMap<string, readonly string[]>;
  /** Root's files. */
  readonly files: readonly HostReload[];
  /** Units that are started at boot. */
  readonly wanted: ReadonlySet<string>;
  /** A unit of this host that a name without a file may stand for. */
  readonly guesses: ReadonlyMap<string, string>;
}

const OTHERS_WRITE = 0o022;
const ROOT = 0;

/** How the settings, root's files and the units fit together. Nothing where neither side has anything. */
export function reloadFindings(question: ReloadQuestion): readonly Finding[] {
  const { named, files } = question;
  const known = new Set(files.map(({ name }) => name));
  const findings = [
    ...[...named.keys()].filter((name) => !known.has(name)).map((name) => unnamedFinding(name, question)),
    ...files.flatMap((file) => fileFindings(file, question)),
  ];
  if (findings.length > 0 || named.size === 0) return findings;
  const all = files.flatMap(({ choice }) =>
    typeof choice === 'object' ? [`${choice.name}: ${choice.action} ${choice.unit}`] : [],
  );
  return [good('reload', `a renewed certificate reloads ${all.join('; ')}`)];
}

const enable = (name: string): CommandText => `systemctl enable --now ${shellWord(`certlet-reload@${name}.path`)}`;

function unnamedFinding(name: string, { named, guesses }: ReloadQuestion): Finding {
  const unit = guesses.get(name);
  const remedy: Remedy = `certlet allow --reload ${shellWord(`${name}=${unit ?? 'UNIT'}`)} && ${enable(name)}`;
  const what = `nothing is reloaded after a renewal of ${(named.get(name) ?? []).join(' and ')}: root has not said which unit reload: ${name} stands for`;
  return finding('problem', 'reload.unnamed', what, { remedy, evidence: { reload: name } });
}

function fileFindings(file: HostReload, { named, wanted }: ReloadQuestion): readonly Finding[] {
  const { name, path } = file;
  if (!named.has(name)) {
    const what = `${path} is there, and no certificate of the settings has reload: ${name}`;
    return [finding('note', 'reload.unused', what, { remedy: `certlet allow --remove --reload ${shellWord(name)}` })];
  }
  const findings = [...ownerFindings(file), ...choiceFindings(file)];
  if (!wanted.has(`certlet-reload@${name}.path`)) {
    const what = `certlet-reload@${name}.path is not enabled: the flag that certlet raises is not seen, at the latest after a boot`;
    findings.push(finding('problem', 'reload.not-enabled', what, { remedy: enable(name) }));
  }
  return findings;
}

/** Root runs systemctl with what stands there. */
function ownerFindings({ path, owner }: HostReload): readonly Finding[] {
  if (owner === undefined || (owner.uid === ROOT && (owner.mode & OTHERS_WRITE) === 0)) return [];
  const word = shellWord(path);
  const what = `${path} can be changed by others than root, and root reloads or restarts the unit that it names`;
  return [finding('problem', 'reload.unsafe', what, { remedy: `chown root ${word} && chmod go-w ${word}` })];
}

function choiceFindings({ name, path, choice, unit }: HostReload): readonly Finding[] {
  const again = (said: string): Remedy => `certlet allow --reload ${shellWord(`${name}=${said}`)}`;
  if (choice === undefined)
    return [
      finding('skipped', 'reload.unreadable', `${path} may not be read by this user`, {
        denied: true,
        remedy: 'sudo certlet check',
      }),
    ];
  if (typeof choice === 'string')
    return [finding('problem', 'reload.broken', `${path} cannot be used: ${choice}`, { remedy: again('UNIT') })];
  if (unit?.exists === false) {
    const what = `${path} names ${choice.unit}, and systemd has no such unit`;
    return [finding('problem', 'reload.no-unit', what, { remedy: again('UNIT'), evidence: { unit: choice.unit } })];
  }
  if (unit?.reloadable === false && choice.action === 'reload') {
    const what = `${path} wants ${choice.unit} reloaded, which has no ExecReload=: every attempt fails`;
    return [finding('problem', 'reload.not-reloadable', what, { remedy: again(`${choice.unit}:try-restart`) })];
  }
  return [];
}
