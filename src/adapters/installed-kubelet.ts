import type { KubeletScript, KubeletUnit } from '../kubelet/adopted-files.ts';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { type Distribution, DISTRIBUTION_UNITS } from '../kubelet/distribution.ts';
import { parseEnvironmentFile } from '../kubelet/environment-file.ts';
import { isShellScript, readShellScript, sourcedFiles } from '../kubelet/shell-script.ts';
import { commandOf, mergeService } from '../kubelet/unit-file.ts';
import { expandWords, splitWords } from '../kubelet/unit-words.ts';
import type { HostFiles } from './host-files.ts';

/** A kubelet as its unit would start it. */
export interface InstalledKubelet {
  readonly unit: KubeletUnit;
  /** Words that run the kubelet, up to its flags. */
  readonly program: readonly string[];
  readonly arguments: readonly string[];
  readonly sources: readonly string[];
}

/** Reads a unit, its drop-ins but for `ignored`, and its environment files; undefined when there is no such unit or it is a distribution's. */
export async function readInstalledKubelet(
  files: HostFiles,
  name: string | undefined,
  ignored: readonly string[],
): Promise<InstalledKubelet | undefined> {
  if (name === undefined || DISTRIBUTION_UNITS.includes(name)) return undefined;
  const texts = await files.readUnit(name, ignored);
  const service = mergeService(texts);
  const { execStart, execStartPath } = service;
  if (execStart === undefined || execStartPath === undefined) return undefined;
  const environment = new Map(service.environment);
  const sources = texts.map(({ path }) => path);
  for (const { path } of service.environmentFiles) {
    const text = await files.read(path);
    if (text === undefined) continue;
    sources.push(path);
    for (const [key, value] of parseEnvironmentFile(text)) environment.set(key, value);
  }
  const started = commandWords(execStart, environment);
  const script = await readScript(files, started, environment);
  const unit = { name, execStart, execStartPath, ...(script !== undefined && { script: script.unit }) };
  const { program, arguments: args } = script?.started ?? started;
  return { unit, sources, program, arguments: args };
}

function commandWords(execStart: string, environment: ReadonlyMap<string, string>): Started {
  const { command, expands } = commandOf(execStart);
  const words = expands ? expandWords(splitWords(command), environment) : splitWords(command);
  // Flags begin at the first word with a dash: before it stand the program and, for hyperkube, the word kubelet.
  const first = words.findIndex((word) => word.startsWith('-'));
  const split = first === -1 ? words.length : first;
  return { program: words.slice(0, split), arguments: words.slice(split) };
}

type Started = Pick<InstalledKubelet, 'program' | 'arguments'>;

/** The kubelet that a script starts, as far as its text tells; undefined where the program is no script. */
async function readScript(
  files: HostFiles,
  { program, arguments: given }: Started,
  environment: ReadonlyMap<string, string>,
): Promise<{ readonly unit: KubeletScript; readonly started: Started } | undefined> {
  // `/opt/kubelet.sh`, and `/bin/bash /opt/kubelet.sh`.
  const path = program.at(-1) ?? '';
  const text = PROGRAMS.includes(basename(path)) ? undefined : await files.read(path);
  if (text === undefined || !isAbsolute(path) || !isShellScript(text)) return undefined;
  const reading = readShellScript({ text, environment, given, sourced: await readSourced(files, text, path) });
  if (reading === undefined)
    return {
      unit: { path, understood: false, unknown: [], passesArguments: false },
      started: { program, arguments: given },
    };
  const { unknown, passesArguments } = reading;
  return { unit: { path, understood: true, unknown, passesArguments }, started: reading };
}

/** What certlet adopts as they are. */
const PROGRAMS: readonly string[] = ['kubelet', 'hyperkube', 'kube-proxy'];

/** Texts of the files that a script reads, by their names in it. */
async function readSourced(files: HostFiles, text: string, path: string): Promise<ReadonlyMap<string, string>> {
  const sourced = new Map<string, string>();
  for (const name of sourcedFiles(text)) {
    const read = await files.read(isAbsolute(name) ? name : join(dirname(path), name));
    if (read !== undefined) sourced.set(name, read);
  }
  return sourced;
}

/** microk8s keeps the flags in a file, one a line, with the variables of its snap. */
export async function readArgumentsFile(
  files: HostFiles,
  distribution: Distribution | undefined,
): Promise<readonly string[] | undefined> {
  if (distribution?.flagForm !== 'lines') return undefined;
  const text = await files.read(distribution.flagsFile);
  const snap = `/snap/${distribution.name}/current`;
  const data = `/var/snap/${distribution.name}`;
  const environment = new Map([
    ['SNAP', snap],
    ['SNAP_DATA', `${data}/current`],
    ['SNAP_COMMON', `${data}/common`],
  ]);
  return text
    ?.split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .flatMap((line) => expandWords(splitWords(line), environment));
}
