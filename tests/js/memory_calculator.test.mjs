import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/memory_calculator.mjs");

const shape = { parameters: 1000, layers: 2, hidden_size: 8, query_heads: 4, key_value_heads: 2, head_dim: 2, vocab_size: 50, context_length: 64 };
const set = { dtype: "fp32", cache: "fp32", context: 10, batch: 1, heads: 2, naive: true, all: false };
const formats = { fp32: 4, bf16: 2, int8: 1, int4: 0.5 };
const now = (change = {}) => page.parts(shape, { ...set, ...change }, formats);
const count = (text, what) => text.split(what).length - 1;

test("every part is counted by hand", () =>
  assert.deepEqual(now(), [4000, 2 * 2 * 2 * 2 * 10 * 4, 4 * 100 * 4, (80 + 50) * 4]));

test("the cache is linear in the context, the scores are quadratic, weights stay", () => {
  const one = now(), two = now({ context: 20 });
  assert.deepEqual([two[0] / one[0], two[1] / one[1], two[2] / one[2]], [1, 2, 4]);
  assert.equal(now({ naive: false })[2], 0);
});

test("logits at every position grow with the context", () => assert.equal(now({ all: true })[3] - now()[3], 50 * 9 * 4));

test("an 8-bit cache is computed with in 16 bits, 4-bit weights take half a byte", () => {
  assert.deepEqual(now({ cache: "int8", dtype: "int4" }), [500, 160, 800, 260]);
});

test("sizes have three digits and units of 1,000", () => {
  assert.deepEqual([0, 7, 999, 999.5, 46080, 538060032, 16.06e9, 9.995e9, 1.4e15].map(page.sizeText),
    ["0 B", "7 B", "999 B", "1.00 kB", "46.1 kB", "538 MB", "16.1 GB", "10.0 GB", "1.40 PB"]);
});

test("bars change one thing each", () => {
  const bars = page.rows(shape, set, formats);
  assert.deepEqual(bars.map(([name]) => name), ["as set", "context × 2", "batch × 2", "4 KV heads"]);
  assert.equal(bars[3][1][1], 2 * bars[0][1][1]);
  assert.equal(page.rows(shape, { ...set, heads: 4 }, formats)[3][0], "1 KV head");
});

test("the formulas hold the numbers of now", () => {
  assert.deepEqual(page.formulas(shape, { ...set, batch: 2 }, formats), [
    "1,000 parameters × 4 bytes",
    "2 × 2 layers × 2 KV heads × 2 × 10 tokens × 2 texts × 4 bytes",
    "4 heads × 10 × 10 tokens × 2 texts × 4 bytes, of one layer",
    "(8 × 10 tokens + 50 × 1) × 2 texts × 4 bytes",
  ]);
  assert.equal(page.formulas(shape, { ...set, naive: false }, formats)[2], "not written down");
  assert.match(page.formulas(shape, { ...set, dtype: "int8" }, formats)[0], /× 1 byte$/);
});

test("a context that is too long is said", () => {
  assert.equal(page.warning("toy", shape, 64), "");
  assert.equal(page.warning("toy", shape, 65), "⚠ 65 tokens are more than the context length of toy (64).");
});

test("it fits or it does not", () => {
  assert.equal(page.fit(50, 100), "fits, 50 %");
  assert.equal(page.fit(100, 100), "fits, 100 %");
  assert.equal(page.fit(1470, 100), "too small, 1,470 %");
});

test("the largest sum that can be set has a unit", () => assert.match(page.sizeText(4 * 128 * 2 ** 72), /^\d\.\d\d YB$/));

test("limits that are far away are not drawn, and no other is left out", () => {
  const limits = [["8 GB, a", 8], ["16 GB, b", 16], ["24 GB, c", 24], ["80 GB, d", 80], ["own", 23, true]];
  const names = (longest) => page.near(limits, longest).map((limit) => limit[0].split(",")[0]);
  assert.deepEqual(names(0.8), []);
  assert.deepEqual(names(7), ["8 GB"]);
  assert.deepEqual(names(20), ["8 GB", "16 GB", "own", "24 GB"]);
  assert.deepEqual(names(500), ["8 GB", "16 GB", "own", "24 GB", "80 GB"]);
});

test("lines that are close share a label", () => {
  const limits = [["8 GB, a", 8], ["16 GB, b", 16], ["24 GB, c", 24], ["80 GB, d", 80]];
  assert.deepEqual(page.limitLabels(limits, 8).map(([label]) => label), ["8 GB card", "16 GB card", "24 GB card", "80 GB card"]);
  assert.deepEqual(page.limitLabels(limits, 40), [["8, 16, 24 GB cards", 16], ["80 GB card", 80]]);
});

test("wrong numbers are one sentence", () => {
  assert.equal(page.problem("context", 2048), "");
  for (const bad of [0, -3, 1.5]) assert.equal(page.problem("context", bad), `context must be a whole number of at least 1, got ${bad}`);
  assert.equal(page.problem("context", ""), "context must be a number, got nothing");
  assert.equal(page.problem("context", "many"), "context must be a number, got “\u2068many\u2069”");
  assert.equal(page.problem("batch", 99999999), "batch must be at most 16,777,216, got 99,999,999");
});

test("ladders go up and end at their end", () => {
  assert.deepEqual(page.ladder(1, 16), [1, 2, 3, 4, 6, 8, 12, 16]);
  const steps = page.ladder(128, 2 ** 20);
  assert.deepEqual(steps, [...steps].sort((a, b) => a - b));
  assert.equal(steps.at(-1), 2 ** 20);
  assert.deepEqual(page.divisors(9), [1, 3, 9]);
});

test("an axis has three to seven steps", () => {
  for (const end of [1, 7.3, 99, 100, 538e6, 3.3e12]) {
    const steps = end / page.axisStep(end);
    assert.ok(steps >= 2 && steps <= 6, `${end}: ${steps}`);
  }
});

test("every part is a rectangle with its own pattern, and nothing leaves the picture", () => {
  const svg = page.picture(page.rows(shape, set, formats), [["8 GB, toy", 7000], ["this <machine>", 9000, true]], 800, "x");
  assert.equal(count(svg, 'class="part part'), 16);
  for (const p of [1, 2, 3]) assert.equal(count(svg, `fill:url(#x-${p})`), 4);
  assert.equal(count(svg, 'class="limit'), 2);
  assert.ok(!svg.includes("<machine>"), "what a name may contain is escaped");
  const right = [...svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g)].map((hit) => +hit[1] + +hit[2]);
  assert.ok(Math.max(...right) <= 800);
  assert.equal(count(page.picture(page.rows(shape, { ...set, naive: false }, formats), [], 800, "x"), "part part2"), 0);
});

test("a card frames the first bar, and says what is left or over", () => {
  assert.deepEqual([page.room(6e9, 8e9), page.room(9e9, 8e9)], ["fits, 2.00 GB left", "1.00 GB over"]);
  const bars = page.rows(shape, set, formats), total = page.sum(bars[0][1]);
  for (const [bytes, words] of [[total * 100, "fits"], [total / 2, "over"]]) {
    const svg = page.picture(bars, [["far", total * 50]], 800, "x", ["8 GB, toy", bytes]);
    assert.equal(count(svg, 'class="frame'), 1);
    assert.equal(count(svg, 'class="limit'), 0);
    assert.match(svg, new RegExp(`8 GB, toy: [^<]*${words}`));
    const right = [...svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g)].map((hit) => +hit[1] + +hit[2]);
    assert.ok(Math.max(...right) <= 800);
  }
});
