import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/embedding_map.mjs");

// 2 layers, 3 words.
const points = Float32Array.from([0, 0, 0, 0, 0, 0, 1, 0.5, -1, -0.5, 0, -2]);
const cosines = Float32Array.from([1, 1, 1, 1, 0.25, 0.75]);
const names = ["bank 1", "bank 2", "<b>"];

test("points lie layer by layer, word by word", () => {
  assert.deepEqual([...page.pointOf(points, 3, 1, 1)], [-1, -0.5]);
});

test("the map reaches beyond every point of the layer, or of all layers", () => {
  const near = (found, wanted) => found.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) < 1e-6, `${found}`));
  near(page.reachOf(points, 3), [1.1, 2.2]);
  near(page.reachOf(points, 3, 1), [1.1, 2.2]);
  near(page.reachOf(points, 3, 0), [0.1, 0.1]); // words that are equal are not torn apart
  near(page.reachOf(new Float32Array(4), 2, 0), [0.05, 0.05]);
});

test("cosines with the pinned word: cut out of those of all pairs, or all that there are", () => {
  const pairs = Float32Array.from([...cosines, 1, 1, 1, 0.25, 1, 0.5, ...cosines]);
  assert.deepEqual([...page.cosinesOf(pairs, 2, 3, 1)], [1, 1, 1, 0.25, 1, 0.5]);
  assert.equal(page.cosinesOf(cosines, 2, 3, 1), cosines);
});

test("the ranking leaves the pinned word out; equals keep their order", () => {
  assert.deepEqual(page.ranking(cosines, 3, 1, 0), [[2, 0.75], [1, 0.25]]);
  assert.deepEqual(page.ranking(cosines, 3, 0, 0).map(([word]) => word), [1, 2]);
});

test("numbers have a real minus sign and no minus zero", () => {
  assert.deepEqual([-0.001, 0.5, -0.25].map(page.twoDecimals), ["0.00", "0.50", "−0.25"]);
});

test("the summary says layer, share and neighbours", () => {
  const said = page.summary(names, 2, 1, 0.456, 0, page.ranking(cosines, 3, 1, 0));
  assert.equal(said, "Layer 1 of 1, the last: the map shows 46 % of the differences. Nearest to “\u2068bank 1\u2069”: “\u2068<b>\u2069” 0.75, “\u2068bank 2\u2069” 0.25.");
  assert.ok(page.summary(names, 2, 0, 0, 0, []).startsWith("Layer 0 of 1, the embedding: the words don't differ here."));
  assert.ok(page.summary(["a"], 1, 0, 0, 0, []).endsWith("There is no other word."));
});

test("the picture escapes names, marks the pinned word and its neighbours", () => {
  const svg = page.picture({ points, names, layers: 2, layer: 1, pinned: 0, near: [2], path: true, reach: [2.2, 2.2], width: 500 });
  assert.ok(svg.includes("\u2068&#60;b&#62;\u2069 (1)"));
  assert.equal(svg.match(/class="pin"/g).length, 1);
  assert.equal(svg.match(/class="dot near"/g).length, 1);
  assert.equal(svg.match(/class="link"/g).length, 1);
  assert.ok(!svg.includes("NaN"));
});

test("names of six words on one point are written apart, and inside the map", () => {
  for (const x of [250, 2, 498]) {
    const places = page.placeNames(Array(6).fill([x, 200, 6]), 500);
    const lefts = places.map((at) => (at.anchor === "end" ? at.x - 42 : at.x));
    assert.ok(lefts.every((left) => left >= 0 && left + 42 <= 500));
    assert.equal(new Set(places.map((at) => `${at.y} ${at.anchor}`)).size, 6);
  }
  assert.deepEqual(page.placeNames([[100, 50, 3], [300, 50, 3]], 500)[1], { x: 309, y: 46, anchor: "start" });
});

test("with many words only the pinned one and its neighbours are named", () => {
  const many = [...Array(100).keys()].map(String);
  const svg = page.picture({ points: new Float32Array(200), names: many, layers: 1, layer: 0, pinned: 0, near: [1, 2], path: true, reach: [1, 1], width: 500 });
  assert.equal(svg.match(/class="dot/g).length, 99);
  assert.equal(svg.match(/<text/g).length, 2 + 3); // two axes
});

test("each sense has its colour and its shape, and one scale for both axes", () => {
  const svg = page.picture({ points, names, senses: [0, 1, -1], layers: 2, layer: 1, pinned: 0, near: [], path: false, reach: [1, 1], width: 1000 });
  assert.equal(svg.match(/class="pin s0"/g).length, 1);
  assert.equal(svg.match(/class="dot s1"/g).length, 1);
  assert.equal(svg.match(/class="dot"/g).length, 1);
  assert.ok(svg.includes("M700.0 100.0m0-9"), "1, 0.5 on a scale of 200 pixels");
  const curves = page.curvePicture({ cosines, names, senses: [0, 1, -1], layers: 2, layer: 0, pinned: 0, compared: 2, width: 300 });
  assert.equal(curves.match(/class="thin s1"/g).length, 1);
});

test("the curve of one layer and of many has only numbers", () => {
  for (const layers of [1, 2]) {
    const svg = page.curvePicture({ cosines, names, layers, layer: 0, pinned: 0, compared: 2, width: 300 });
    assert.ok(!svg.includes("NaN"));
  }
});
