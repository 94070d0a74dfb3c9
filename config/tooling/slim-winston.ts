/**
 * winston without what a service that writes lines to a stream has no use for: its transports to files, consoles and addresses, and every format
 * but `printf` and `json`, which its default logger asks for. Of the others one brings a library for dates, and one colours, which cost each start
 * some milliseconds. Each is behind a getter that nobody calls. Its streams are Node's own and no copy of them from years ago.
 */
import type { Plugin } from 'esbuild';

/** `readable-stream` is Node's `stream` for other programs than Node; winston takes these two modules of it. */
const STREAMS: Readonly<Record<string, string>> = {
  'readable.js': `module.exports = require('node:stream');`,
  'lib/_stream_writable.js': `module.exports = require('node:stream').Writable;`,
};
const STREAM_MODULE = /node_modules\/readable-stream\/(.*)$/;

const FORMATS =
  'align|cli|colorize|combine|errors|label|logstash|metadata|ms|pad-levels|pretty-print|simple|splat|timestamp|uncolorize';
const UNUSED = new RegExp(
  `node_modules/(?:winston/lib/winston/transports/(?:console|file|http)|logform/(?:${FORMATS}))\\.js$`,
);

/** winston names the colours of its levels to a format that is left out. */
const LEVELS = /node_modules\/logform\/levels\.js$/;

/** In place of such a module stands one that says so to whoever calls for it after all. */
export const slimWinston: Plugin = {
  name: 'slim-winston',
  setup(builder) {
    builder.onLoad({ filter: UNUSED }, ({ path }) => {
      const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
      return { contents: `throw new Error(${JSON.stringify(`${name} is left out of the program`)});`, loader: 'js' };
    });
    builder.onLoad({ filter: LEVELS }, () => ({ contents: 'module.exports = (config) => config;', loader: 'js' }));
    builder.onLoad({ filter: STREAM_MODULE }, ({ path }) => {
      const contents = STREAMS[STREAM_MODULE.exec(path)?.[1] ?? ''];
      // A module of it that nobody has looked at yet stops the build, and is no second kind of stream in silence.
      if (contents === undefined) throw new Error(`${path}: put Node's own stream in its place in slim-winston.ts`);
      return { contents, loader: 'js' };
    });
  },
};
