import type { HostReload } from '../adapters/host-reloads.ts';
import type { AllowanceList, Allowed } from './allow.ts';

/** What is allowed now, for a person. */
export function allowanceText({ folders, reloads }: AllowanceList): string {
  const paths = [...new Set(folders.map(({ path }) => path))].sort();
  const width = Math.max(0, ...paths.map((path) => path.length));
  const open = paths.map((path) => {
    const here = folders.filter((each) => each.path === path);
    return `  ${path.padEnd(width)}  ${[...new Set(here.map(({ file }) => file))].join(', ')}`;
  });
  return [
    'folders that the service may write, and the file that says so:',
    ...(open.length === 0 ? ['  none: certlet has no unit on this host'] : open),
    'units that a renewed certificate reloads:',
    ...(reloads.length === 0 ? ['  none'] : reloads.map((reload) => `  ${reload.name}  ${reloadText(reload)}`)),
    '',
  ].join('\n');
}

/** The same for a program. */
export function allowanceAnswer({ folders, reloads }: AllowanceList): object {
  return {
    folders: folders.map(({ path, file, unit }) => ({ path, unit, file })),
    reloads: reloads.map((reload) => {
      const { name, path: file, choice } = reload;
      const said =
        typeof choice === 'object' ? { unit: choice.unit, action: choice.action } : { problem: choice ?? DENIED };
      return { name, file, ...said };
    }),
  };
}

const DENIED = 'may not be read by this user';

function reloadText({ choice, path }: HostReload): string {
  if (choice === undefined) return `${path} ${DENIED}`;
  return typeof choice === 'string' ? `${path} cannot be used: ${choice}` : `${choice.action} ${choice.unit}`;
}

/** What was done, for a person. */
export function allowedText({ done, warnings, next }: Allowed): string {
  return [
    ...done,
    ...warnings.map((warning) => `warning: ${warning}`),
    ...(next.length === 0 ? [] : ['next:', ...next.map((command) => `  ${command}`)]),
    '',
  ].join('\n');
}
