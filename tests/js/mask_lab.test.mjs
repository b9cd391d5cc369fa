import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/mask_lab.mjs");
const { quoted } = page, FAMILY = "👩\u200d👩\u200d👧";
const plain = { kind: "causal", window: 2, left: true, masked: true };

test("causal: a triangle", () => {
  assert.deepEqual(page.runs({ ...plain, masked: false }, 3, 3), [[0, 0, 1], [1, 0, 2], [2, 0, 3]]);
});

test("padding is looked at by nobody, and looks at itself", () => {
  assert.deepEqual(page.runs(plain, 2, 3), [[0, 0, 1], [1, 1, 2], [2, 1, 3]]);
  assert.deepEqual(page.runs({ ...plain, left: false }, 2, 3), [[0, 0, 1], [1, 0, 2], [2, 0, 2]]);
});

test("a window, and the first token beside it", () => {
  assert.deepEqual(page.runs({ ...plain, kind: "window" }, 4, 4).at(-1), [3, 2, 4]);
  assert.deepEqual(page.runs({ ...plain, kind: "window + first token" }, 4, 4).slice(-2), [[3, 0, 1], [3, 2, 4]]);
});

test("without a mask everybody sees everybody", () => {
  assert.deepEqual(page.runs({ ...plain, kind: "none" }, 2, 2), [[0, 0, 2], [1, 0, 2]]);
});

test("what is read: the last column, or the last token", () => {
  assert.equal(page.readsAt("left", 2, 5), 4);
  assert.equal(page.readsAt("right", 2, 5), 4);
  assert.equal(page.readsAt("right, read at the last token", 2, 5), 1);
  assert.deepEqual(page.columns(["a"], 3, true), [null, null, "a"]);
  assert.deepEqual(page.columns(["a"], 3, false), ["a", null, null]);
});

test("what is read of a prompt with a blank: the blank, wherever the padding stands", () => {
  assert.equal(page.readsAt("left", 4, 6, 2), 4);
  assert.equal(page.readsAt("right", 4, 6, 2), 2);
  const framed = (blank) => page.grid({ ...plain, kind: "none" }, ["a", "_", "b"], "left", 4, blank).match(/y="(\d+)"[^>]*class="read"/)[1];
  assert.equal(framed(1), "50"); // the third of four rows of 18, under 14 for the heading
  assert.equal(framed(null), "68");
});

test("sentences", () => {
  const best = [["Oslo", 0.9, 0.1], ["⏎", 0, 0.8]];
  assert.equal(page.sentence({ best, moved: 0.8 }, null), `Read at padding: ${quoted("⏎")} leads, alone it was ${quoted("Oslo")}. 80.0 % of the probability moved.`);
  assert.equal(page.sentence({ best: [["Oslo", 0.9, 0.9]], moved: 0.00001 }, "is"), `Read at ${quoted("is")}: ${quoted("Oslo")} still leads. < 0.1 % of the probability moved.`);
  assert.equal(page.percent(0), "0.0 %");
});

test("the verdict comes first: which prompt is wrong now, and what it says instead", () => {
  const wrong = { best: [["Paris", 0.9, 0.1], ["⏎", 0, 0.8]], moved: 0.8 }, right = { best: [["four", 0.9, 0.9]], moved: 0.001 };
  assert.equal(page.verdict([wrong, right]), `Prompt 1 is wrong now: ${quoted("⏎")} instead of ${quoted("Paris")}.`);
  assert.equal(page.verdict([right, { ...right, moved: 0.25 }]), "Prompt 2 has moved by 25.0 %.");
  assert.equal(page.verdict([right]), "Every prompt says what it says alone.");
  assert.deepEqual([wrong, right, { ...right, moved: 0.9 }].map(page.isWrong), [true, false, false]);
});

test("no seam between the rows of a grid, whatever their height", () => {
  for (const width of [17, 23, 61, 200]) {
    const path = page.grid(plain, Array(width).fill("a"), "left", width).match(/<path d="([^"]+)" class="may"/)[1];
    const rows = [...path.matchAll(/M[\d.]+ ([\d.]+)H[\d.]+V([\d.]+)H/g)].map(([, top, bottom]) => [top, bottom]);
    assert.equal(rows.length, width);
    for (let row = 1; row < width; row++) assert.equal(rows[row][0], rows[row - 1][1]);
  }
});

test("emoji and Arabic in labels are whole", () => {
  assert.ok(page.grid(plain, [FAMILY.repeat(12), "x"], "left", 2).includes(`>${FAMILY.repeat(8)}…<`));
  assert.ok(page.bars([[FAMILY.repeat(20), 0.5, 0.5]]).includes(`>${FAMILY.repeat(12)}…<`));
  assert.match(page.sentence({ best: [["سلام", 0.9, 0.9]], moved: 0 }, "שלום"), /“\u2068שלום\u2069”: “\u2068سلام\u2069” still leads/);
});

test("pictures escape tokens, mark padding and the row that is read", () => {
  const svg = page.grid(plain, ["<b>", "x"], "left", 3);
  assert.ok(!svg.includes("<b>"));
  assert.equal(svg.match(/>padding</g).length, 1);
  assert.equal(svg.match(/class="read"/g).length, 1);
  assert.ok(!page.bars([["<i>", 0.5, 0.5]]).includes("<i>"));
});

test("200 tokens: one path, no names", () => {
  const svg = page.grid({ ...plain, left: false }, Array(200).fill("word"), "right", 200);
  assert.ok(svg.length < 30000);
  assert.ok(!svg.includes("word"));
});
