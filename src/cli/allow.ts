import { shellWord } from '../remedy.ts';
import { basename, dirname, join } from 'node:path';
import { fileError } from '../adapters/file-errors.ts';
import type { FileSystem } from '../adapters/file-system.ts';
import { ensureFolder, readIfPresent, replaceFile, sweepTemporaries } from '../adapters/files.ts';
import { readUser } from '../adapters/host-users.ts';
import type { HostFiles } from '../adapters/host-files.ts';
import { type HostReload, readHostReloads, readReloadedUnit, readWantedUnits } from '../adapters/host-reloads.ts';
import { CertletError } from '../errors.ts';
import { type ReloadChoice, reloadFile, reloadPath } from '../kubelet/reload-file.ts';
import {
  ALLOWED_DROP_IN,
  allowedDropIns,
  allowedIn,
  dropInPath,
  sandboxVerdict,
  WRITING_UNITS,
} from '../kubelet/sandbox-drop-in.ts';
import { mergeSandbox, type SandboxPath, type ServiceSandbox } from '../kubelet/unit-file.ts';
import { type BelievedPath, type FolderQuestion, folderRefusal, type OwnedPath } from './folder-refusal.ts';

/** What root wants to allow, or to take back. */
export interface AllowRequest {
  /** An absolute path without `.` and `..`. */
  readonly folder: string | undefined;
  readonly reloads: readonly ReloadChoice[];
  /** Names whose file goes. */
  readonly removedReloads: readonly string[];
  readonly remove: boolean;
}

export interface AllowPorts {
  readonly fs: FileSystem;
  readonly files: HostFiles;
  /** Folder that stands for `/`. */
  readonly root: string;
  /** What root, the kubelet and kube-proxy believe. Throws where that cannot be found out: nothing is opened then. */
  readonly believed: () => Promise<readonly BelievedPath[]>;
}

/** What `certlet allow` did. */
export interface Allowed {
  /** What changed or was there already, a line each. */
  readonly done: readonly string[];
  readonly warnings: readonly string[];
  /** Commands that make it count. */
  readonly next: readonly string[];
}

/** What is allowed now. */
export interface AllowanceList {
  readonly folders: readonly (SandboxPath & { readonly unit: string })[];
  readonly reloads: readonly HostReload[];
}

const FILE_LIMIT_BYTES = 1024 * 1024;
/** `systemctl cat` and `certlet check` shall work for everybody; nothing in these files is secret. */
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;

/** What the units and root's files allow now. Changes nothing. */
export async function listAllowances(files: HostFiles): Promise<AllowanceList> {
  const folders = await Promise.all(
    WRITING_UNITS.map(async (unit) => (await sandboxOf(files, unit)).writable.map((each) => ({ ...each, unit }))),
  );
  return { folders: folders.flat(), reloads: await readHostReloads(files) };
}

/** Does what is asked, or nothing. Throws `ERR_USAGE` for what cannot be allowed, with the way out; `ERR_STORE_*`. */
export async function changeAllowances(request: AllowRequest, ports: AllowPorts): Promise<Allowed> {
  const { folder, reloads, removedReloads, remove } = request;
  for (const choice of reloads) await checkUnit(choice, ports.files);
  const steps: Allowed[] = [];
  if (folder !== undefined) steps.push(await (remove ? closeFolder : openFolder)(folder, ports));
  for (const choice of reloads) steps.push(await allowReload(choice, ports));
  for (const name of removedReloads) steps.push(await forgetReload(name, ports));
  return {
    done: steps.flatMap(({ done }) => done),
    warnings: steps.flatMap(({ warnings }) => warnings),
    next: [...new Set(steps.flatMap(({ next }) => next))],
  };
}

const sandboxOf = async (files: HostFiles, unit: string): Promise<ServiceSandbox> =>
  mergeSandbox(await files.readUnit(unit, []));

async function openFolder(folder: string, ports: AllowPorts): Promise<Allowed> {
  const { files, fs, root } = ports;
  const sandboxes = await Promise.all(WRITING_UNITS.map((unit) => sandboxOf(files, unit)));
  const verdicts = sandboxes.map((sandbox) => sandboxVerdict(sandbox, folder));
  if (verdicts.every((verdict) => verdict?.open === true)) {
    const { at = folder, file = '' } = verdicts[0] ?? {};
    return { done: [`${folder}: open already (${at} in ${file})`], warnings: [], next: [] };
  }
  const user = sandboxes[0]?.user;
  const question = await questionAbout(folder, sandboxes, ports);
  refuse(question);
  const made = await ensureFolder(fs, join(root, folder), FOLDER_MODE);
  await writeAllowed(ports, (folders) => [...folders, folder]);
  const belongs = made ? 0 : question.way.at(-1)?.uid;
  const give =
    user !== undefined && belongs !== question.serviceUid ? [`chown ${shellWord(user)} ${shellWord(folder)}`] : [];
  return {
    done: [...(made ? [`${folder}: made`] : []), `${folder}: open to ${WRITING_UNITS.join(' and ')}`],
    warnings: [],
    next: [...give, ...RESTART],
  };
}

async function questionAbout(
  folder: string,
  sandboxes: readonly ServiceSandbox[],
  { files, believed }: AllowPorts,
): Promise<FolderQuestion> {
  const user = sandboxes[0]?.user;
  return {
    folder,
    real: await files.real(folder),
    way: await wayTo(files, folder),
    serviceUid: user === undefined ? 0 : ((await readUser(files, user))?.uid ?? 0),
    believed: await believed(),
    closed: sandboxes.flatMap(({ closed }) => closed.map(({ path }) => path)),
  };
}

function refuse(question: FolderQuestion): void {
  const refusal = folderRefusal(question);
  if (refusal === undefined) return;
  const remedy = refusal.remedy === undefined ? {} : { remedy: refusal.remedy };
  throw new CertletError('ERR_USAGE', `${question.folder} cannot be opened to the service: ${refusal.why}`, remedy);
}

/** A sandbox is set up when its service starts. */
const RESTART = ['systemctl daemon-reload', 'systemctl restart certlet'] as const;

async function closeFolder(folder: string, ports: AllowPorts): Promise<Allowed> {
  const before = await allowedFolders(ports);
  if (!before.includes(folder)) {
    const others = before.length === 0 ? 'it has allowed no folder' : `there are ${before.join(', ')}`;
    throw new CertletError('ERR_USAGE', `${folder} is not among the folders that certlet allow has opened: ${others}`, {
      remedy: 'certlet allow   # lists what is open, and which file says so',
    });
  }
  await writeAllowed(ports, (folders) => folders.filter((each) => each !== folder));
  return { done: [`${folder}: not open any more; what lies in it stays`], warnings: [], next: [...RESTART] };
}

async function allowedFolders({ fs, root }: AllowPorts): Promise<readonly string[]> {
  const texts = WRITING_UNITS.map(async (unit) => {
    const path = dropInPath(unit, ALLOWED_DROP_IN);
    const text = await readIfPresent(fs, join(root, path), FILE_LIMIT_BYTES);
    return text === undefined ? [] : allowedIn(text, path);
  });
  return [...new Set((await Promise.all(texts)).flat())];
}

async function writeAllowed(
  ports: AllowPorts,
  change: (folders: readonly string[]) => readonly string[],
): Promise<void> {
  const folders = change(await allowedFolders(ports));
  for (const { path, text } of allowedDropIns(folders)) {
    if (folders.length === 0) await removeFile(ports, path);
    else await writeFile(ports, path, text);
  }
}

/** Folders from `/` down, as far as they exist. */
async function wayTo(files: HostFiles, folder: string): Promise<readonly OwnedPath[]> {
  const paths: string[] = [];
  for (let at = folder; paths[0] !== '/'; at = dirname(at)) paths.unshift(at);
  const found = await Promise.all(paths.map(async (path) => ({ path, facts: await files.facts(path) })));
  return found.flatMap(({ path, facts }) => (facts === undefined ? [] : [{ path, ...facts }]));
}

async function checkUnit({ name, unit, action }: ReloadChoice, files: HostFiles): Promise<void> {
  const { exists, reloadable } = await readReloadedUnit(files, unit);
  if (!exists) {
    throw new CertletError('ERR_USAGE', `--reload ${name}: systemd has no unit ${unit}`, {
      remedy: 'systemctl list-unit-files --type=service   # shows the units of this host',
    });
  }
  if (reloadable || action !== 'reload') return;
  throw new CertletError('ERR_USAGE', `--reload ${name}: ${unit} cannot be reloaded: it has no ExecReload=`, {
    remedy: `certlet allow --reload ${shellWord(`${name}=${unit}:try-restart`)}`,
  });
}

async function allowReload(choice: ReloadChoice, ports: AllowPorts): Promise<Allowed> {
  const { path, text } = reloadFile(choice);
  const { name, unit, action } = choice;
  const before = await readIfPresent(ports.fs, join(ports.root, path), FILE_LIMIT_BYTES);
  if (before !== text) await writeFile(ports, path, text);
  const pathUnit = `certlet-reload@${name}.path`;
  const enabled = (await readWantedUnits(ports.files)).has(pathUnit);
  return {
    done: [
      `${path}: ${action} ${unit} when a certificate with reload: ${name} is renewed${before === text ? ' (as before)' : ''}`,
    ],
    warnings: [],
    next: enabled ? [] : [`systemctl enable --now ${shellWord(pathUnit)}`],
  };
}

async function forgetReload(name: string, ports: AllowPorts): Promise<Allowed> {
  const path = reloadPath(name);
  if ((await ports.fs.lstat(join(ports.root, path))) === undefined) {
    throw new CertletError('ERR_USAGE', `--reload ${name}: there is no ${path}`, {
      remedy: 'certlet allow   # lists what is allowed',
    });
  }
  await removeFile(ports, path);
  const next = [`systemctl disable --now ${shellWord(`certlet-reload@${name}.path`)}`];
  return { done: [`${path}: removed`], warnings: [], next };
}

async function writeFile({ fs, root }: AllowPorts, path: string, text: string): Promise<void> {
  const target = join(root, path);
  await ensureFolder(fs, dirname(target), FOLDER_MODE);
  // What a killed run left of it.
  await sweepTemporaries(fs, dirname(target), basename(target));
  await replaceFile(fs, target, text, FILE_MODE);
}

async function removeFile({ fs, root }: AllowPorts, path: string): Promise<void> {
  const target = join(root, path);
  if ((await fs.lstat(target)) === undefined) return;
  try {
    await fs.unlink(target);
    await fs.syncFolder(dirname(target));
  } catch (error) {
    throw fileError(error, target);
  }
}
