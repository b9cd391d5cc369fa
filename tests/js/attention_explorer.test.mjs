import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/attention_explorer.mjs");

const about = {
  kind: "causal", layers: 1, heads: 4, key_value_heads: 2, queries: ["a", "b"], keys: ["a", "b"],
  measures: { "previous token": [0.1, 0.2, 0.3, 0.4], entropy: [1, 2, 3, 4] },
  stages: { weights: ["softmax", "softmax: every row adds up to 1 ✓."], masked: ["+ mask", "+ mask: −∞."] },
};
const cells = new Uint8Array(16);
cells.set([255, 0, 51, 204], 12); // head 3
const packet = { low: [0, 0, 0, 0], high: [1, 1, 1, 1], most: [1, 1, 1, 8], lengths: [[1, 1], [5, 10]], cells };

test("heads share their KV head in order", () => {
  assert.deepEqual([0, 1, 2, 3].map((head) => page.sharedHead(about, head)), [0, 0, 1, 1]);
});

test("two stages read scores, two read weights", () => {
  assert.deepEqual(["scores", "masked", "weights", "values"].map(page.kindOf), ["scores", "scores", "weights", "weights"]);
});

test("only a causal mask hides, only what comes later, and not before it is applied", () => {
  assert.equal(page.hidden(about, "masked", 0, 1), true);
  assert.equal(page.hidden(about, "weights", 1, 1), false);
  assert.equal(page.hidden(about, "scores", 0, 1), false);
  assert.equal(page.hidden({ kind: "bidirectional" }, "masked", 0, 1), false);
});

test("a row is bytes between the head's limits", () => {
  assert.deepEqual(page.rowOf(about, packet, "weights", 3, 1), [0.2, 0.8]);
  const scores = { ...packet, low: [0, 0, 0, -2], high: [0, 0, 0, 3] };
  assert.deepEqual(page.rowOf(about, scores, "scores", 3, 0), [3, -2]);
  assert.deepEqual(page.rowOf(about, scores, "masked", 3, 0), [3, -Infinity]);
  assert.deepEqual(page.rowOf(about, packet, "weights", 3, 0), [1, -Infinity]);
});

test("the last stage weighs the lengths of the shared values", () => {
  assert.deepEqual(page.rowOf(about, packet, "values", 3, 1), [1, 8]);
  assert.deepEqual(page.limits(about, packet, "values", 3), [0, 8]);
  assert.deepEqual(page.limits(about, packet, "weights", 3), [0, 1]);
});

test("without the first token, the scale is that of the others", () => {
  const bare = { ...about, bare: true };
  assert.deepEqual(page.rowOf(bare, packet, "weights", 3, 1), [-Infinity, 0.8]);
  assert.deepEqual(page.rowOf(bare, packet, "weights", 3, 0), [-Infinity, -Infinity]);
  assert.deepEqual(page.limits(bare, packet, "weights", 3), [0.8, 0.8]);
  const scores = { ...packet, low: [0, 0, 0, -2], high: [0, 0, 0, 3] };
  assert.deepEqual(page.limits(bare, scores, "scores", 3), [-2, 2]);
  assert.match(page.sentences(bare, packet, { stage: "weights", layer: 0, head: 3 }, 0)[1], /looks at nothing\.$/);
  const alone = { ...bare, queries: ["a"], keys: ["a"] };
  assert.deepEqual(page.limits(alone, { ...packet, cells: new Uint8Array(4) }, "weights", 3), [0, 0]);
});

test("the largest come first, ties by place, and what is masked never", () => {
  assert.deepEqual(page.largest([0.1, 0.5, 0.5, -Infinity], 3), [1, 2, 0]);
  assert.deepEqual(page.largest([-Infinity, -3], 3), [1]);
});

test("the sentences name head, KV head, measures and row", () => {
  const said = page.sentences(about, packet, { stage: "weights", layer: 0, head: 3 }, 1);
  assert.deepEqual(said, [
    "Head 0.3 on KV head 1: previous token 0.40 · entropy 4.00 bits.",
    `${page.quoted("b")} looks at ${page.quoted("b")} 0.80, ${page.quoted("a")} 0.20.`,
    "softmax: every row adds up to 1 ✓. The colours go from 0.00 to 1.00.",
  ]);
  const alone = { ...about, key_value_heads: 4, measures: { entropy: [1, 2, 3, 4] } };
  assert.match(page.sentences(alone, { ...packet, lengths: [[], [], [], []] }, { stage: "masked", layer: 0, head: 3 }, 0)[0], /^Head 0\.3: entropy/);
});
