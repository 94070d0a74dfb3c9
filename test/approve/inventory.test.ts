import t from 'tap';
import { parseInventory } from '../../src/approve/inventory.ts';

const inventory = parseInventory(
  `nodes:
  - name: n1
    addresses: [192.0.2.7, "2001:db8::/64"]
    names: [N1.Example, "{nodeName}.internal"]
  - nameMatches: worker-[0-9]+
    addresses: [198.51.100.0/24]
    namesMatch: ["worker-[0-9]+[.]example"]
  - name: Any
    namesMatch: [".+"]
`,
  '/i.yaml',
);

for (const row of [
  { node: 'n1', text: 'n1', is: true },
  { node: 'n1', text: 'n1.example', is: true },
  { node: 'n1', text: 'n1.internal', is: true },
  { node: 'n1', text: 'n2.internal', is: false },
  { node: 'worker-7', text: 'worker-8.example', is: true },
  { node: 'worker-7', text: 'xworker-8.example', is: false },
  { node: 'worker-7', text: 'worker-8xexample', is: false },
  { node: 'worker-7x', text: 'worker-7x', is: false },
  { node: 'n2', text: 'n2', is: false },
]) {
  t.test(`${row.node} ${row.is ? 'has' : 'does not have'} the name ${row.text}`, async (t) => {
    t.equal(inventory.allows(row.node, row.text), row.is);
  });
}

for (const row of [
  { node: 'n1', text: '192.0.2.7', is: true },
  { node: 'n1', text: '2001:db8::7', is: true },
  { node: 'n1', text: '2001:db8:1::7', is: false },
  { node: 'worker-7', text: '198.51.100.255', is: true },
  { node: 'worker-7', text: '192.0.2.7', is: false },
  // An expression for names let pass whatever address looks like one.
  { node: 'any', text: '192.0.2.7', is: false },
  { node: 'any', text: '2001:db8::7', is: false },
  { node: 'any', text: 'any.example', is: true },
]) {
  t.test(`${row.node} ${row.is ? 'has' : 'does not have'} the address ${row.text}`, async (t) => {
    t.equal(inventory.allows(row.node, row.text), row.is);
  });
}

for (const row of [
  { name: 'an unknown field', text: 'nodes: [{name: a, address: x}]', says: /nodes\[0\].address: unknown field/ },
  { name: 'neither name nor pattern', text: 'nodes: [{names: [a]}]', says: /nodes\[0\]: has to have one of/ },
  { name: 'both', text: 'nodes: [{name: a, nameMatches: b}]', says: /one of name and nameMatches/ },
  {
    name: 'no address',
    text: 'nodes:\n  - name: a\n    addresses:\n      - 192.0.2\n',
    says: /i.yaml:4: nodes\[0\].addresses\[0\]/,
  },
  { name: 'bits behind the prefix', text: 'nodes: [{name: a, addresses: [192.0.2.7/24]}]', says: /range such as/ },
  {
    name: 'an expression that closes the group which anchors it: it matched names that only begin so',
    text: 'nodes: [{name: a, namesMatch: ["a)|(b"]}]',
    says: /nodes\[0\]\.namesMatch\[0\]: is no regular expression/,
  },
  { name: 'an empty name, which was no Node’s', text: 'nodes: [{name: ""}]', says: /nodes\[0\]\.name: .*of a Node/ },
  {
    name: 'a star, which fitted nothing',
    text: 'nodes: [{name: a, names: ["*.x"]}]',
    says: /names\[0\]: expected a DNS name/,
  },
  { name: 'no expression', text: 'nodes: [{nameMatches: "a["}]', says: /is no regular expression/ },
  { name: 'an expression that takes for ever', text: 'nodes: [{nameMatches: "(a+)+"}]', says: /can take very long/ },
  { name: 'many loops', text: 'nodes: [{nameMatches: "a*a*a*a*b"}]', says: /can take very long/ },
  {
    name: 'optional parts that overlap',
    text: `nodes: [{nameMatches: "${'a?'.repeat(25)}${'a'.repeat(25)}"}]`,
    says: /can take very long/,
  },
  { name: 'groups that overlap', text: `nodes: [{nameMatches: "${'(a|a)'.repeat(25)}b"}]`, says: /can take very long/ },
  { name: 'loops with optional parts', text: 'nodes: [{nameMatches: "a?a?a?a?a*a*a*b"}]', says: /can take very long/ },
  { name: 'a backreference', text: String.raw`nodes: [{nameMatches: '(a)\1'}]`, says: /can take very long/ },
  { name: 'no YAML', text: 'nodes: [', says: /i.yaml:1/ },
]) {
  t.test(`refused: ${row.name}`, async (t) => {
    t.throws(() => parseInventory(row.text, '/i.yaml'), { code: 'ERR_CONFIG_INVALID', message: row.says });
  });
}

t.test('an expression as people write them is taken, and a name that fits it nearly is soon judged', async (t) => {
  for (const pattern of [
    '(web|db|cache)-[0-9]+(-[a-z]+)?[.](eu|us)[.]example[.]com',
    '[a-z]+-?[a-z]+-?[0-9]{1,3}',
    'a?a?a?a*a*a*b',
  ]) {
    const { allows } = parseInventory(JSON.stringify({ nodes: [{ name: 'n1', namesMatch: [pattern] }] }), '/i.yaml');
    // Without an end this test has none.
    t.notOk(allows('n1', 'a'.repeat(253)));
  }
});
