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

test("bars are shares of the longest", () => {
  assert.deepEqual(page.barShares([-4, 2, 0]), [1, 0.5, 0]);
  assert.deepEqual(page.barShares([0, 0]), [0, 0]);
});

test("only logits and scores get bars", () => {
  assert.deepEqual(page.barColumns(["token", "input_ids", "logit", "score"]), [2, 3]);
});
