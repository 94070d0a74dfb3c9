/** What the launcher starts: the program that the command line needs, from its compiled form where an installation has left one. */
import { lostOutput } from '../cli/lost-output.ts';
import { VERSION } from '../cli/version.ts';

const argv = process.argv.slice(2);
// Asked by scripts, and by people in a hurry: it needs no program.
if (argv.length === 1 && argv[0] === '--version') {
  process.stdout.on('error', (error) => {
    const words = lostOutput(error);
    if (words === undefined) return;
    process.exitCode = 1;
    process.stderr.on('error', () => undefined).write(`certlet: ${words}\n`);
  });
  process.stdout.write(`certlet ${VERSION}\n`);
} else void import('./start-program.ts').then(({ startProgram }) => startProgram(import.meta.dirname, argv));
