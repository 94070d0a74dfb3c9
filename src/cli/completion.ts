import { bashCompletion } from './completion-bash.ts';
import { fishCompletion } from './completion-fish.ts';
import { zshCompletion } from './completion-zsh.ts';

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

/** A completion script for this shell, made from the tables of commands and flags. */
export function completionScript(shell: keyof typeof SCRIPTS): string {
  return SCRIPTS[shell]();
}
