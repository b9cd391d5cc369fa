import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/beam_tree.mjs");

const { quoted } = page, FAMILY = "👩\u200d👩\u200d👧";
// Two beams: a short text ends at step 2, longer ones at step 3.
const tree = {
  prompt: "go", beams: 2, longest: 3,
  tokens: ["␣a", "<b>", "c", "d", ".", "e", "f", "g", "h"],
  steps: [1, 1, 1, 2, 2, 2, 3, 3, 3],
  parents: [-1, -1, -1, 0, 1, 1, 3, 5, 3],
  scores: [-0.5, -0.9, -3, -1.5, -1.6, -1.8, -1.9, -2.0, -4],
  fates: ["kept", "kept", "pruned", "kept", "finished", "kept", "finished", "finished", "pruned"],
  rows: [0, 1, 2, 0, 1, 2, 0, 2, 1],
  greedy: [0, 3, 6], greedyTokens: ["␣a", "d", "f"], greedySum: -1.9,
};

test("the length penalty ranks: 0 prefers the short text, 1 the long one", () => {
  assert.deepEqual(page.replay(tree, 0, "never").finished.map(({ node }) => node), [4, 6]);
  assert.deepEqual(page.replay(tree, 1, "never").finished.map(({ node }) => node), [6, 7]);
  assert.equal(page.replay(tree, 1, "never").finished[0].score, -1.9 / 3);
});

test("the wrong formula, step + 1 ** penalty, is not what is computed", () => {
  const scores = [0.5, 1, 2].map((penalty) => page.replay(tree, penalty, "never").finished[0].score);
  assert.equal(new Set(scores).size, 3);
});

test("a part of the search holds only what was found up to there", () => {
  assert.deepEqual(page.replay(tree, 1, false, 1), { finished: [], last: 1 });
  assert.deepEqual(page.replay(tree, 1, false, 2), { finished: [{ node: 4, score: -0.8 }], last: 2 });
});

test("early stopping ends a search as soon as there are enough texts", () => {
  const one = { ...tree, beams: 1 };
  assert.equal(page.replay(one, 1, false).last, 2);
  const two = { ...tree, fates: tree.fates.with(3, "finished") };
  assert.equal(page.replay(two, 1, true).last, 2);
  assert.equal(page.replay(two, 2, "never").last, 3);
});

test("a token in words: log-probability, sum, fate, text", () => {
  assert.equal(
    page.nodeWords(tree, 4, 1),
    `Step 2, ${quoted(".")}: log-probability −0.70 (49.7 %), sum −1.60, finished: score −0.800 (−1.60 / 2^1). Text: ${quoted("<b>.")}`,
  );
  assert.match(page.nodeWords(tree, 2, 1), /pruned: 2 of step 1 had larger sums, and there are 2 beams/);
  assert.match(page.nodeWords(tree, 5, 1), /kept: number 3 of step 2/);
  assert.match(page.nodeWords({ ...tree, scores: tree.scores.with(2, -9) }, 2, 1), /−9\.00 \(< 0\.1 %\), sum/, "never 0.0 %");
});

test("arrow keys walk along the tree and stay in it", () => {
  assert.equal(page.walk(tree, 6, "ArrowLeft", 3), 3);
  assert.equal(page.walk(tree, 0, "ArrowLeft", 3), 0);
  assert.equal(page.walk(tree, 3, "ArrowRight", 3), 6);
  assert.equal(page.walk(tree, 3, "ArrowRight", 2), 3);
  assert.equal(page.walk(tree, 2, "ArrowRight", 3), 2);
  assert.equal(page.walk(tree, 0, "ArrowDown", 3), 1);
  assert.equal(page.walk(tree, 0, "ArrowUp", 3), 0);
});

test("the picture escapes tokens, marks the end, dashes what was pruned, and hides later steps", () => {
  const svg = page.picture(tree, page.replay(tree, 1, "never"), 3, 110);
  assert.ok(!svg.includes("<b>"));
  assert.equal(svg.match(/class="node pruned"/g).length, 2);
  assert.equal(svg.match(/class="wall"/g).length, 3);
  assert.equal(svg.match(/class="greedy"/g).length, 3);
  assert.equal(svg.match(/★/g).length, 1);
  assert.equal(page.picture(tree, page.replay(tree, 1, false, 1), 1, 110).match(/data-node/g).length, 3);
});

test("emoji in the boxes are whole", () => {
  const svg = page.picture({ ...tree, tokens: tree.tokens.with(2, FAMILY.repeat(20)) }, page.replay(tree, 1, "never"), 3, 110);
  assert.match(svg, new RegExp(`>(${FAMILY}){4,9}…<`));
});

test("what the search did not reach is faint, with a line before it", () => {
  const svg = page.picture({ ...tree, beams: 1 }, page.replay({ ...tree, beams: 1 }, 1, true), 3, 110);
  assert.equal(svg.match(/class="node [a-z ]*beyond"/g).length, 3);
  assert.ok(svg.includes("stopped here"));
});

test("the ranking has finished texts, growing beams and greedy's text", () => {
  const rows = page.ranking(tree, page.replay(tree, 1, false, 2), 1, false);
  assert.deepEqual(rows.map(({ cells }) => cells[0]), ["1", "grows", "grows", "greedy"]);
  assert.deepEqual(rows[0].cells, ["1", "<b>.", 2, "−1.60", "−0.800"]);
  assert.deepEqual(rows.at(-1).cells, ["greedy", " adf", 3, "−1.90", "−0.633"]);
  for (const { node, cells } of rows.slice(0, -1)) assert.equal(page.textOf(page.pathTo(tree, node).map((n) => tree.tokens[n])), cells[1]);
  assert.equal(rows.at(-1).node, tree.greedy.at(-1));
});

test("a bad length penalty gets Python's sentence", () => {
  assert.equal(page.problem(9), "length penalty must be in [-5, 5], got 9");
  assert.equal(page.problem(page.readNumber("")), "length penalty must be a number, got nothing");
  assert.equal(page.problem(page.readNumber("1,000")), "length penalty must be in [-5, 5], got 1000");
  assert.equal(page.problem(0.6), "");
});

test("the summary is words", () => {
  assert.equal(
    page.summary(tree, page.replay(tree, 1, "never"), 3),
    `Tree of 2 beams up to step 3; step 3: 0 kept, 2 finished, 1 pruned. Best text: ${quoted(" adf")}.`,
  );
});

test("the shade is the probability after the text before, so those of one text multiply to its sum", () => {
  const way = page.pathTo(tree, tree.greedy.at(-1));
  const product = way.map((node) => page.chanceOf(tree, node)).reduce((a, b) => a * b);
  assert.ok(Math.abs(Math.log(product) - tree.scores[way.at(-1)]) < 1e-9);
  assert.ok(page.picture(tree, page.replay(tree, 1, "never"), 3, 110).includes(`--part: ${(100 * page.chanceOf(tree, 0)).toFixed(1)}%`));
});
