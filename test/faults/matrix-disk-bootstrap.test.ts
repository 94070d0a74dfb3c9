/**
 * Each file operation of a bootstrap, failing once and failing for ten minutes, over the real agent and store on a disk in memory.
 * What must follow is in the tables of `fixtures/disk-cells.ts`. `CERTLET_CELLS=all` tries every errno at every call.
 */
import t from 'tap';
import { testMatrix } from './fixtures/disk-matrix.ts';
import { bootstrapScene } from './fixtures/disk-scenes.ts';

t.setTimeout(20 * 60_000);
testMatrix(t, bootstrapScene());
