import type { Row } from './row.ts';
import { titleOf } from './row.ts';
import { certificateRows } from './rows-certificates.ts';
import { chainsRows } from './rows-chains.ts';
import { credentialRows } from './rows-credentials.ts';
import { fieldRows } from './rows-fields.ts';
import { serverRows } from './rows-servers.ts';
import { textRows } from './rows-text.ts';

/** Every row of both tables; titles are unique. */
export function allRows(): readonly Row[] {
  const rows = [
    ...textRows(),
    ...fieldRows(),
    ...serverRows(),
    ...credentialRows(),
    ...certificateRows(),
    ...chainsRows(),
  ];
  const titles = new Set<string>();
  for (const title of rows.map(titleOf)) {
    if (titles.has(title)) throw new Error(`two rows are called "${title}"`);
    titles.add(title);
  }
  return rows;
}
