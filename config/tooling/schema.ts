import { writeFileSync } from 'node:fs';
import type { Codec, JsonSchema } from '../../src/config/codec.ts';
import { describe } from '../../src/config/descriptions.ts';
import { SETTINGS_CODEC } from '../../src/config/fields.ts';

/**
 * JSON Schema (draft 2020-12) of the settings file, for editors. `node config/tooling/schema.ts && npm run format`
 * writes `config/config.schema.json`; a test says when that is due.
 */
export function settingsSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Settings of certlet',
    description: 'The settings file /etc/certlet/config.yaml. Durations are texts like 30s, 5m or 1h30m.',
    ...described(SETTINGS_CODEC, ''),
    // A file with nothing but comments in it.
    type: ['object', 'null'],
  };
}

/** The schema of one setting and all below it, with descriptions. */
function described(codec: Codec<unknown>, path: string): JsonSchema {
  const { text } = describe(path);
  const about = text === '' ? {} : { description: text };
  if (codec.items?.fields !== undefined) return { ...about, ...codec.schema, items: described(codec.items, path) };
  if (codec.fields === undefined) return { ...about, ...codec.schema };
  const own = codec.schema['properties'] as Readonly<Record<string, JsonSchema>>;
  const properties = Object.entries(codec.fields).map(([name, field]) => {
    const below = described(field.codec, path === '' ? name : `${path}.${name}`);
    return [name, { ...below, ...(own[name]?.['default'] === undefined ? {} : { default: own[name]['default'] }) }];
  });
  return { ...about, ...codec.schema, properties: Object.fromEntries(properties) as JsonSchema };
}

if (import.meta.main) {
  const file = new URL('../config.schema.json', import.meta.url);
  writeFileSync(file, `${JSON.stringify(settingsSchema(), undefined, 2)}\n`);
}
