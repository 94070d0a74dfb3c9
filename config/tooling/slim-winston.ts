/**
 * winston without what a service that writes lines to a stream has no use for: its transports to files, consoles and addresses, and the one format that
 * brings a library for dates. Each is behind a getter that nobody calls.
 */
import type { Plugin } from 'esbuild';

const UNUSED = /node_modules\/(?:winston\/lib\/winston\/transports\/(?:console|file|http)|logform\/timestamp)\.js$/;

/** In place of such a module stands one that says so to whoever calls for it after all. */
export const slimWinston: Plugin = {
  name: 'slim-winston',
  setup(builder) {
    builder.onLoad({ filter: UNUSED }, ({ path }) => {
      const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
      return { contents: `throw new Error(${JSON.stringify(`${name} is left out of the program`)});`, loader: 'js' };
    });
  },
};
