import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/pipeline_xray.mjs");

test("shapes are written as Python writes them", () => {
  assert.equal(page.shapeText([1, 9]), "(1, 9)");
  assert.equal(page.shapeText([3]), "(3,)");
});

test("cells: a real minus sign for numbers, texts as they are", () => {
  assert.deepEqual([30522, -7, -1.5, "##ing", "-ed"].map(page.cellText), ["30522", "−7", "−1.5", "##ing", "-ed"]);
});

test("logits point to their side of 0, on one scale for all tables of a step", () => {
  const tables = [["logits", [1, 2], ["label", "logit"], [["NO", -3], ["YES", 1]]], ["more", [1, 1], ["token", "logit"], [["x", 2]]]];
  assert.deepEqual(page.logitRange(tables), [-3, 2]);
  assert.deepEqual(page.barSpan(-3, [-3, 2]), [0, 60]);
  assert.deepEqual(page.barSpan(1, [-3, 2]), [60, 20]);
  assert.deepEqual(page.logitRange([["logits", [1, 1], ["logit"], [[4]]]]), [0, 4]); // 0 is always there
  assert.deepEqual(page.logitRange([["ids", [1, 1], ["id"], [[9]]]]), [0, 0]);
  assert.deepEqual(page.barSpan(0, [0, 0]), [0, 0]);
});

test("probabilities are drawn from 0 to 1", () => {
  assert.deepEqual(page.barSpan(0.25, [0, 1]), [0, 25]);
  assert.deepEqual(page.barSpan(1, [0, 1]), [0, 100]);
});

test("only logits and scores get bars", () => {
  assert.deepEqual(page.barColumns(["token", "input_ids", "logit", "score"]), [2, 3]);
});
