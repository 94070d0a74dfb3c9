import { type FilesOf, removal } from '../../adapters/store/left-files.ts';
import { type Finding, finding } from '../finding.ts';

/** What certificates that the settings do not name any more have left on the disk. No fault: a program may still read it. */
export const leftFindings = (left: readonly FilesOf[]): readonly Finding[] =>
  left.map(({ name, files }) =>
    finding(
      'note',
      'credentials.left',
      `the settings do not name ${name} as before any more, and ${files.length === 1 ? 'a file of it is' : 'files of it are'} left: ${files.join(', ')}`,
      { remedy: removal(files), evidence: { certificate: name, files } },
    ),
  );
