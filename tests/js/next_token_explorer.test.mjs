import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/next_token_explorer.mjs");
const best = [[7, "␣Paris", 0.75], [9, "␣the", 0.125], [3, "!", 0.0625]];

test("what is not nothing is not written as nothing", () => {
  assert.deepEqual([0.7712, 0.001, 0.0004, 0].map(page.percent), ["77.1 %", "0.1 %", "< 0.1 %", "0.0 %"]);
});

test("the tail is what the bars leave", () => {
  assert.equal(page.tail(best, 2), 0.125);
  assert.equal(page.tail(best, 30), 0.0625);
  assert.equal(page.tail([[0, "a", 1.0000001]], 1), 0);
});

test("surprisal as height: nothing for the first token, full at 12 bits", () => {
  assert.deepEqual([null, 0, 6, 12, 40].map(page.height), [0, 0, 0.5, 1, 1]);
  assert.equal(page.chipName("The", null), "“\u2068The\u2069”, too little before it to predict it");
  assert.equal(page.chipName("␣sea", 3.14159), "“\u2068␣sea\u2069”, 3.1 bits");
});

test("sentences", () => {
  const side = { best, vocabulary: 49152, entropy: 1.5 };
  assert.equal(page.summary(side, 2), "Most likely next: “\u2068␣Paris\u2069”, 75.0 %; 49,150 tokens without a bar share 12.5 %; entropy 1.50 bits.");
  assert.equal(page.summary({ best: best.slice(0, 1), vocabulary: 1, entropy: 0 }, 9), "Most likely next: “\u2068␣Paris\u2069”, 75.0 %; entropy 0.00 bits.");
  assert.equal(page.summary(side, 2, false), "Most likely next: “\u2068␣Paris\u2069”, 75.0 %; 49,150 tokens without a bar share 12.5 %.");
  const changes = { moved: 0.5, gained: [["a", 0.1, 0.6]], lost: [] };
  assert.equal(page.shiftSummary(changes), "50.0 % of the probability moved from the first prompt to the second. “\u2068a\u2069” (10.0 % → 60.0 %) gained most, no token lost most.");
});

test("arrow keys stay inside", () => {
  assert.equal(page.moveTo("ArrowRight", 0, 3), 1);
  assert.equal(page.moveTo("ArrowRight", 2, 3), 2);
  assert.equal(page.moveTo("ArrowUp", 0, 3), 0);
  assert.equal(page.moveTo("End", 0, 3), 2);
  assert.equal(page.moveTo("a", 1, 3), 1);
});
