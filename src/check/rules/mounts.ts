import { isBelow } from '../../kubelet/shared-folders.ts';
import type { Finding } from '../finding.ts';

/** What is found of a folder. */
export interface Placed {
  readonly found: Finding;
  /** Where the folder is: absolute, without links. */
  readonly path: string;
}

/**
 * Folders below one that is told of, on the same mount, have the same trouble, and so have several that are to be made in one folder. Another mount in
 * between has a trouble of its own: what mends the one above leaves it as it is.
 */
export const oncePerMount = (all: readonly Placed[], mounts: ReadonlySet<string>): readonly Finding[] =>
  all
    .filter(
      ({ found, path }, index) =>
        !all.some(
          (other, at) =>
            at !== index &&
            other.found.id === found.id &&
            (path === other.path
              ? at < index
              : isBelow(path, other.path) && !isMountedBetween(mounts, path, other.path)),
        ),
    )
    .map(({ found }) => found);

const isMountedBetween = (mounts: ReadonlySet<string>, path: string, above: string): boolean =>
  [...mounts].some((point) => point !== above && isBelow(point, above) && isBelow(path, point));
