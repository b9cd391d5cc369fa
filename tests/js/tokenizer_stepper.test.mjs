import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/tokenizer_stepper.mjs");

// " an" in bytes: a + n first, then ␣ + an; and a special token.
const view = page.withOrder({
  atoms: ["3C 65 3E", "20", "61", "6E"],
  words: [[0, 1, 1], [1, 4, 0]],
  pieces: [[0, 1, 0, 3, 9], [1, 2, 0, 2, 0], [2, 3, 0, 1, 1], [3, 4, 0, 1, 2], [2, 4, 1, 2, 3], [1, 4, 2, 3, 4]],
  labels: ["<e>", "␣", "a", "n", "an", "␣an"],
  steps: [["an", ["a", "n"], 7], ["␣an", ["␣", "an"], 1234]],
  tokens: 2,
});
const pane = { kind: "byte pairs", context: 8192, bytes: 46080 };
const names = (step) => page.wordsAt(view, step).map((word) => word.map((piece) => view.labels[piece]));

test("the pieces of every step, word by word", () => {
  assert.deepEqual(names(0), [["<e>"], ["␣", "a", "n"]]);
  assert.deepEqual(names(1), [["<e>"], ["␣", "an"]]);
  assert.deepEqual(names(2), [["<e>"], ["␣an"]]);
});

test("steps are said in words", () => {
  assert.equal(page.stepSaid(pane, view, 0), "Step 0 of 2: 4 bytes, nothing joined yet");
  assert.equal(page.stepSaid(pane, view, 2), "Step 2 of 2: “\u2068␣\u2069” + “\u2068an\u2069” → “\u2068␣an\u2069” (merge 1,234 of the training)");
  const pieces = { atoms: ["61"], steps: [["a", ["a"], 1], ["[UNK]", ["你"], 1]] };
  assert.equal(page.stepSaid({ kind: "word pieces" }, pieces, 0), "Step 0 of 2: 1 character, nothing joined yet");
  assert.equal(page.stepSaid({ kind: "word pieces" }, pieces, 1), "Step 1 of 2: “\u2068a\u2069” begins with “\u2068a\u2069” (1 candidate looked up)");
  assert.equal(page.stepSaid({ kind: "word pieces" }, pieces, 2), "Step 2 of 2: “\u2068你\u2069” can't be built from known pieces: [UNK]");
});

test("the readout: share of the context, bytes of cache", () => {
  assert.equal(page.readout(pane, 2), "2 tokens · 0.02 % of the context length of 8,192 · 92,160 bytes of KV cache");
  assert.equal(page.readout({ context: 10, bytes: 0 }, 11),
    "11 tokens · 110.00 % of the context length of 10: too long for this model · an encoder keeps no KV cache");
});

test("bytes of a piece", () => {
  assert.equal(page.bytesOf(view, 5), "20 61 6E");
});

test("the tree has children on lower levels, and says what was joined", () => {
  const tree = page.treeOf(view, 1);
  assert.deepEqual(tree.map(({ piece, level }) => [piece, level]), [[1, 0], [2, 0], [3, 0], [4, 1], [5, 2]]);
  assert.deepEqual(tree.at(-1).children, [1, 4]);
  assert.equal(page.treeSaid(view, 1), "step 1: “\u2068a\u2069” + “\u2068n\u2069” → “\u2068an\u2069”; step 2: “\u2068␣\u2069” + “\u2068an\u2069” → “\u2068␣an\u2069”");
  assert.equal(page.treeSaid(view, 0), "one piece, nothing to join");
});

test("the picture dashes what is not made yet, and escapes", () => {
  assert.equal(page.treePicture(view, 1, 1).match(/node later/g).length, 1);
  assert.equal(page.treePicture(view, 1, 2).match(/later/g), null);
  assert.ok(page.treePicture(view, 0, 0).includes("&#60;e&#62;"));
  assert.ok(!page.treePicture(view, 0, 0).includes("NaN"));
});

test("the finished tokens read as the text: spaces are spaces, and ## isn't there", () => {
  assert.deepEqual(page.running(view).map(({ text, id, special, isFirst }) => [text, id, special, isFirst]),
    [["<e>", 9, true, true], [" an", 4, false, true]]);
  const pieces = { words: [[0, 2, 0], [2, 4, 0]], labels: ["a", "##b", "##"], steps: [],
    pieces: [[0, 1, 0, 9, 1], [1, 2, 0, 9, 2], [2, 4, 0, 9, 3]] };
  assert.deepEqual(page.running(page.withOrder(pieces)).map(({ text, isFirst }) => [text, isFirst]), [["a", true], ["b", false], ["##", true]]);
});

test("characters are counted as Python counts them", () => {
  assert.equal(page.headline("🙂", 2), "1 character → 2 tokens");
  assert.equal(page.headline("x".repeat(1200), 1), "1,200 characters → 1 token");
});

test("Play takes seconds, whatever the number of steps", () => {
  assert.deepEqual([1, 20, 1000].map(page.pause), [600, 400, 80]);
});
