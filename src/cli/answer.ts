import { plainLines } from '../adapters/log/printable.ts';
import { encodeYaml } from '../kubeconfig/yaml.ts';
import type { OutputForm } from './command.ts';
import type { CommandContext } from './command-context.ts';

export type DocumentForm = Exclude<OutputForm, 'text'>;

/** Changes when a field of a command's document changes its meaning or goes; new fields come without a change. */
export const ANSWER_VERSION = 1;

/** One document for programs; fields without a value are left out. Ends in a newline. */
export function encodeAnswer(answer: object, form: DocumentForm): string {
  return form === 'yaml' ? encodeYaml(answer) : `${JSON.stringify(answer, undefined, 2)}\n`;
}

/** Where words for a person go: to standard error when standard output is for a document alone. */
export function wordsFor({ print, edge }: CommandContext, form: OutputForm): (text: string) => void {
  return form === 'text' ? print : (text) => void edge.stderr.write(plainLines(text));
}
