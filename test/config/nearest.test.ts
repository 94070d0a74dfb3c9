import t from 'tap';
import { nearest } from '../../src/config/nearest.ts';

const words = ['certDir', 'stateDir', 'kubeconfig', 'bootstrapKubeconfig', 'log', 'nodeIP'];

for (const [word, meant] of [
  ['certdir', 'certDir'],
  ['cert-dir', 'certDir'],
  ['certDri', 'certDir'],
  ['cerDir', 'certDir'],
  ['certtDir', 'certDir'],
  ['kubconfig', 'kubeconfig'],
  ['lgo', 'log'],
  ['node_ip', 'nodeIP'],
  ['dogs', undefined],
  ['rotation', undefined],
  ['', undefined],
  ['x'.repeat(100_000), undefined],
] as const) {
  t.test(`${word.slice(0, 20)} was meant to be ${meant ?? 'something else'}`, async (t) => {
    t.equal(nearest(word, words), meant);
  });
}

t.test('there is nothing near among no words', async (t) => {
  t.equal(nearest('log', []), undefined);
});
