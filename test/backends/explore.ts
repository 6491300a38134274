import { CASES } from '../autodiff/cases/index.ts';
import { caseFeeds } from '../autodiff/case.ts';
import { differentiateTwice } from '../autodiff/check.ts';
import { chance, hash, numbersOf } from '../models.ts';
import { variables } from '../autodiff/case.ts';
import { lowerForWebGpu, numbersToData, writeModel } from '../../src/onnx/index.ts';
import * as ort from 'onnxruntime-node';
const provider = process.argv[2]!;
const only = process.argv[3];
const limit = Number(process.argv[4] ?? 1e9);
let n = 0;
const fails: string[] = [];
const t00 = performance.now();
for (const [family, cases] of Object.entries(CASES))
  for (const c of cases) {
    if (only && !`${family} ${c.operator}`.includes(only)) continue;
    if (n++ >= limit) break;
    const id = `${family}/${c.operator} ${c.name}`;
    const random = chance(hash(c.name));
    try {
      const p = differentiateTwice(c, 'float32', 'static');
      const feeds: any = { ...caseFeeds(c, 'float32') };
      for (const i of p.model.graph.inputs)
        if (!feeds[i.name]) {
          const dims = i.dims as number[];
          if (dims === undefined || dims.some((d) => typeof d !== 'number')) {
            console.log('DYN', id, i.name, dims);
            continue;
          }
          feeds[i.name] = {
            type: i.type,
            dims,
            data: numbersToData(
              i.type,
              Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random()),
            ),
          };
        }
      const bytes = writeModel(provider === 'webgpu' ? lowerForWebGpu(p.model) : p.model);
      const run = async (ep: string) => {
        const s = await ort.InferenceSession.create(bytes, {
          executionProviders: [ep],
          logSeverityLevel: 4,
          enableMemPattern: false,
          intraOpNumThreads: 1,
        });
        const given = Object.fromEntries(
          s.inputNames.map((k) => [k, new ort.Tensor(feeds[k].type, feeds[k].data, feeds[k].dims)]),
        );
        const out = await s.run(given);
        await s.release();
        return out;
      };
      const t0 = performance.now();
      const a = await run('cpu');
      const t1 = performance.now();
      const b = await run(provider);
      const t2 = performance.now();
      let worst = 0,
        where = '';
      for (const [k, v] of Object.entries(a)) {
        const x = Array.from(v.data as any, Number),
          y = Array.from(b[k]!.data as any, Number);
        const scale = Math.max(1, ...x.map(Math.abs));
        x.forEach((q, i) => {
          const e = Math.abs(q - y[i]!) / scale;
          if (!(e <= worst)) {
            worst = e;
            where = k;
          }
        });
      }
      console.log(
        `${worst > 1e-4 || Number.isNaN(worst) ? 'BAD' : 'ok'} ${id} ${worst.toExponential(1)} ${where} cpu ${(t1 - t0).toFixed(0)} ${provider} ${(t2 - t1).toFixed(0)} nodes ${p.model.graph.nodes.length}`,
      );
    } catch (e) {
      console.log('FAIL', id, (e as Error).message.split('\n')[0]!.slice(0, 400));
    }
  }
console.log('total', n, (performance.now() - t00) / 1000);
