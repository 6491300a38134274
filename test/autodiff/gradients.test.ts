import { describe, expect, test } from 'vitest';
import { GRADIENT_RULES } from '../../src/autodiff/index.ts';
import { UserError, writeModel } from '../../src/onnx/index.ts';
import { openSession } from '../../src/runtime/index.ts';
import { CASES, UNCHECKED } from './cases/index.ts';
import { caseModel } from './case.ts';
import { WITHOUT_FLOAT64, checkCase, precisionOf } from './check.ts';

test('every rule in the table has a case', () => {
  const checked = new Set(Object.values(CASES).flatMap((cases) => cases.map((c) => c.operator)));
  const missing = Object.keys(GRADIENT_RULES).filter((operator) => !checked.has(operator) && !(operator in UNCHECKED));
  expect(missing).toEqual([]);
});

test('every checked operator has a rule', () => {
  const operators = Object.values(CASES).flatMap((cases) => cases.map((c) => c.operator));
  expect(operators.filter((operator) => GRADIENT_RULES[operator] === undefined)).toEqual([]);
});

test('operators checked in float32 only have no float64 kernel', async () => {
  const all = Object.values(CASES).flat();
  for (const operator of WITHOUT_FLOAT64) {
    const c = all.find((each) => each.operator === operator)!;
    await expect(openSession(writeModel(caseModel(c, 'float64', 'static'))), operator).rejects.toThrow(UserError);
  }
});

for (const [family, cases] of Object.entries(CASES))
  describe(`gradients agree with differences: ${family}`, () => {
    for (const c of cases) test(`${c.operator} ${c.name} (${precisionOf(c)})`, () => checkCase(c));
  });
