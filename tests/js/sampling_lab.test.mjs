import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/sampling_lab.mjs");

const logits = Float32Array.from([1, 3, 2, 0]);
const plain = { temperature: 1, top_k: null, top_p: 1, min_p: 0, order: ["temperature", "top_k", "top_p", "min_p"] };
const { ids, sorted } = page.rank(logits);
const kept = (settings) => page.stagesOf(sorted, { ...plain, ...settings }).map((stage) => stage.kept);

test("ranking is by logit, ties by place in the vocabulary", () => {
  assert.deepEqual([...ids], [1, 2, 0, 3]);
  assert.deepEqual([...page.rank(Float32Array.from([5, 7, 5, 7])).ids], [1, 3, 0, 2]);
});

test("nothing is removed while all filters are off", () => assert.deepEqual(kept({}), [4, 4, 4, 4, 4]));

test("each filter removes in its own column", () => {
  assert.deepEqual(kept({ top_k: 2 }), [4, 4, 2, 2, 2]);
  assert.deepEqual(kept({ top_p: 0.6 }), [4, 4, 4, 1, 1]);
  assert.deepEqual(kept({ min_p: 0.2 }), [4, 4, 4, 4, 2]);
  assert.deepEqual(kept({ temperature: 0 }), [4, 1, 1, 1, 1]);
});

test("the filter that removed a token is named", () => {
  const stages = page.stagesOf(sorted, { ...plain, top_k: 3, top_p: 0.9 });
  assert.equal(page.removedBy(stages, 0), undefined);
  assert.equal(page.removedBy(stages, 2), "top_p");
  assert.equal(page.removedBy(stages, 3), "top_k");
});

test("top_p keeps the smallest set also where probabilities add up to it exactly", () => {
  for (const [shares, value, right] of [
    [[0.5, 0.3, 0.2], 0.8, 2], [[0.4, 0.3, 0.2, 0.1], 0.9, 3], [[0.3, 0.3, 0.2, 0.1, 0.1], 0.3, 1],
    [[0.3, 0.2, 0.2, 0.2, 0.1], 0.5, 2], [Array(7).fill(1 / 7), 4 / 7, 4], [Array(12).fill(1 / 12), 5 / 12, 5],
  ]) {
    const board = page.rank(Float32Array.from(shares, Math.log));
    assert.equal(page.stagesOf(board.sorted, { ...plain, top_p: value }).at(-1).kept, right);
  }
});

test("a temperature near 0 is greedy, not NaN", () => {
  for (const temperature of [1e-6, 1e-39, 5e-324])
    assert.deepEqual([...page.stagesOf(sorted, { ...plain, temperature }).at(-1).p], [1, 0, 0, 0]);
});

test("the order matters", () => {
  const hot = { temperature: 3, top_p: 0.8 };
  assert.ok(kept(hot).at(-1) > kept({ ...hot, order: ["top_p", "temperature", "top_k", "min_p"] }).at(-1));
});

test("tokens that tie with the last of top_k stay", () => {
  const tied = page.rank(Float32Array.from([1, 1, 1, 0]));
  assert.equal(page.stagesOf(tied.sorted, { ...plain, top_k: 2 })[2].kept, 3);
});

test("probabilities add up to 1 and uniform means log2 of the count", () => {
  const { p, entropy } = page.softmax(new Float64Array(8), 8, 1);
  assert.ok(Math.abs(p.reduce((a, b) => a + b) - 1) < 1e-12);
  assert.equal(entropy, 3);
});

test("draws fall where the line is", () => {
  const last = page.stagesOf(sorted, { ...plain, top_k: 1 }).at(-1);
  assert.deepEqual([...page.drawCounts(ids, last, Float64Array.from([0.01, 0.5, 0.99]), 3)], [[0, 3]]);
});

test("bad values get Python's sentence", () => {
  assert.equal(page.problem("top_p", 1.3), "top_p must be in (0, 1], got 1.3");
  assert.equal(page.problem("top_p", NaN), "top_p must be in (0, 1], got NaN");
  assert.equal(page.problem("top_k", "many"), "top_k must be a number, got “\u2068many\u2069”");
  assert.equal(page.problem("temperature", -1), "temperature must be a finite number of at least 0, got -1");
  assert.equal(page.problem("top_k", 0), "top_k must be a whole number of at least 1, got 0");
  assert.equal(page.problem("top_k", null), "");
  assert.equal(page.problem("temperature", 0), "");
});

test("the picture escapes what a token may contain and names the killer", () => {
  const stages = page.stagesOf(sorted, { ...plain, top_k: 2 });
  const svg = page.picture(stages, ["<b>", "&", "c", "d"], 0, 12, 900, new Map([[0, 1]]), 1);
  assert.ok(!svg.includes("<b>"));
  assert.equal(svg.match(/✗ top_k/g).length, 2);
  assert.equal(svg.match(/class="drawn"/g).length, 1);
});

test("over each column is what the rows on the page share, and what is left for all others", () => {
  const stages = page.stagesOf(sorted, { ...plain, top_k: 2 });
  const svg = page.picture(stages, ["a", "b", "c", "d"], 0, 2, 900, new Map(), 0);
  assert.ok(svg.includes(">these 2 | all others<"));
  assert.deepEqual(svg.match(/[\d.]+ \| [\d.]+ %/g), ["88.1 | 11.9 %", "88.1 | 11.9 %", "100.0 | 0.0 %", "100.0 | 0.0 %", "100.0 | 0.0 %"]);
  const wide = (kind) => [...svg.matchAll(new RegExp(`width="([\\d.]+)" height="9" class="${kind}"`, "g"))].map((found) => +found[1]);
  assert.equal(new Set(wide("others")).size, 1, "one scale");
  assert.ok(Math.abs(wide("shown")[0] / wide("others")[0] - 0.881) < 0.001);
});

test("the summary is a sentence", () => {
  const stages = page.stagesOf(sorted, plain);
  assert.equal(page.summary(stages, ["a", "b", "c", "d"]), "4 of 4 tokens kept, entropy 1.37 bits; most likely “\u2068a\u2069” with 64.4 %.");
});

// With functions of the learner's own, the kernel sends stages of this form: only the rows on the page.
const answered = [
  { name: "start", kept: 4, entropy: 1.4, best: 0, p: { 0: 0.6, 1: 0.2, 2: 0.1, 3: 0.1 }, differs: [] },
  { name: "top_k", value: 2, own: true, kept: 2, entropy: 0.9, best: 2, p: { 0: 0.3, 2: 0.7 }, differs: [1, 2] },
  { name: "top_p", value: 1, own: false, kept: 2, entropy: 0.9, best: 2, p: { 0: 0.3, 2: 0.7 }, differs: [] },
];

test("a stage of the learner's own says so, and ≠ marks where it differs", () => {
  assert.equal(page.title(answered[1]), "top_k 2 · yours");
  assert.equal(page.title(answered[2]), "top_p off");
  const svg = page.picture(answered, ["a", "b", "c", "d"], 0, 12, 900, new Map(), 0);
  assert.ok(svg.includes("✗ top_k ≠"), "b: removed, and the reference keeps it");
  assert.ok(svg.includes("0.700 ≠"), "c: kept, and the reference does not");
  assert.equal(svg.match(/≠/g).length, 2);
  assert.equal(svg.match(/✗/g).length, 2);
});

test("a function may keep any tokens, and change which is the best", () => {
  assert.equal(page.removedBy(answered, 1), "top_k");
  assert.equal(page.removedBy(answered, 2), undefined);
  assert.equal(page.summary(answered, ["a", "b", "c", "d"]), "2 of 4 tokens kept, entropy 0.90 bits; most likely “\u2068c\u2069” with 70.0 %.");
});

test("a token that comes back is not struck out", () => {
  const back = [answered[0], { ...answered[1], p: { 0: 1 } }, { ...answered[2], p: { 0: 0.5, 3: 0.5 } }];
  assert.equal(page.removedBy(back, 3), undefined);
  assert.equal(page.removedBy(back, 1), "top_k");
});

test("an empty box is no temperature and no seed", () => {
  for (const name of ["temperature", "seed"]) assert.equal(page.problem(name, ""), `${name} must be a number, got nothing`);
  assert.equal(page.problem("seed", 1.5), "seed must be a whole number of at least 0, got 1.5");
});

test("a small probability is written in digits", () => {
  assert.deepEqual([1, 0.25, 0.0005, 0.000449, 0.00003, 0.0000011, 1e-9, 0].map(page.digits),
    ["1.000", "0.250", "0.001", "0.0004", "0.00003", "0.000001", "<0.000001", "<0.000001"]);
});

test("a label is cut between characters", () => {
  const family = "👩\u200d👩\u200d👧", stages = page.stagesOf(sorted, plain);
  const svg = page.picture(stages, [family.repeat(20), "e\u0301".repeat(20), "c", "d"], 0, 12, 900, new Map(), 0);
  assert.ok(svg.includes(`1. \u2068${family.repeat(13)}…\u2069<`) && svg.includes(`2. \u2068${"e\u0301".repeat(13)}…\u2069<`));
});

test("diamonds stand on the last column only", () => {
  const svg = page.picture(answered, ["a", "b", "c", "d"], 0, 12, 900, new Map([[0, 3], [2, 7]]), 10);
  assert.equal(svg.match(/class="drawn"/g).length, 2);
});
