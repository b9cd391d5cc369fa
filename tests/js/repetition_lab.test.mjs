import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/repetition_lab.mjs");

test("stop strings: new lines are written, a bar separates", () => {
  assert.deepEqual(page.readStops("\\n\\n|User:"), ["\n\n", "User:"]);
  assert.deepEqual(page.readStops(""), []);
  assert.equal(page.writeStops(["\n", "###"]), "\\n|###");
  for (const stops of [["a|b", "\n|"], ["|"], ["🦜", "||"]]) assert.deepEqual(page.readStops(page.writeStops(stops)), stops);
});

test("a probability is never 1e-9", () => {
  assert.deepEqual([0, 1, 0.25, 0.00123, 0.0000012, 1e-9].map(page.chance), ["0", "1", "0.25", "0.0012", "0.0000012", "< 0.000001"]);
});

test("runs that came before are marked, their first time is not", () => {
  const marks = (ids, size) => page.repeated(ids, size).map(Number).join("");
  assert.equal(marks([1, 2, 3, 1, 2, 4], 2), "000110");
  assert.equal(marks([1, 1, 1], 2), "011");
  assert.equal(marks([1, 2], 3), "00");
  assert.equal(marks([7, 8, 7], 1), "001");
});

test("a logit: not there yet, changed, banned", () => {
  assert.equal(page.changeOf(32767, 32767), null);
  assert.deepEqual(page.changeOf(200, 150), { before: 2, after: 1.5, change: -0.5 });
  assert.deepEqual(page.changeOf(200, -32768), { before: 2, after: -Infinity, change: -Infinity });
});

test("numbers are written with a real minus sign", () => {
  assert.deepEqual([1.5, -0.25, -Infinity, 0].map((n) => page.number(n)), ["1.50", "−0.25", "−∞", "0"]);
  assert.deepEqual([1.5, -0.25, 0].map((n) => page.number(n, true)), ["+1.50", "−0.25", "0"]);
});

test("lowered logits hang, raised ones stand, banned ones are crossed", () => {
  const paths = page.rowPaths([0, -1, 2, -Infinity], 2, 100, 10, 0, 20);
  assert.equal(paths.lowered, "M110.0 0h10.0v10.0h-10.0z");
  assert.equal(paths.raised, "M120.0 20h10.0v-20.0h-10.0z");
  assert.equal(paths.banned, "M130.0 0l10.0 20m0-20l-10.0 20");
});

test("a sentence stands beside the control that it names", () => {
  const names = ["prompt", "presence_penalty", "max_new_tokens"];
  assert.equal(page.namedIn("presence_penalty must be in [-2, 2], got 3", names), "presence_penalty");
  assert.equal(page.namedIn("your presence_penalty raises KeyError: 1", names), "presence_penalty");
  assert.equal(page.namedIn("something else", names), undefined);
});

test("the run is unpacked by step and row, and drawn", () => {
  const logits = Int16Array.from([100, 32767, 200, 300, /* after */ 100, 32767, 150, -32768]);
  const data = page.unpack(logits, Float32Array.from([0.5, 0.9, 0.1, 0.2, 0, 0.2]), 2, 2);
  assert.deepEqual(data.cells[0], [{ before: 1, after: 1, change: 0 }, { before: 2, after: 1.5, change: -0.5 }]);
  assert.deepEqual(data.cells[1].map((cell) => cell?.change), [undefined, -Infinity]);
  assert.equal(data.most, 0.5);
  const drawn = page.picture(data, [["<b>", 7], ["c", 8]], [7, 8], 0, 600);
  assert.ok(drawn.source.includes("&#60;b&#62;") && !drawn.source.includes("<b>"));
  assert.equal(drawn.source.match(/<circle/g).length, 2);
  assert.ok(page.cursor(data, drawn, 1, 0).includes("3.00 → −∞"));
  assert.ok(page.cursor(data, drawn, 0, 0).includes("not yet"));
  const ends = ["line", "eos", "after"].map((kind) => +drawn.source.match(new RegExp(`d="M[^"]* ([\\d.]+)" class="${kind}"`))[1]);
  const zero = +drawn.source.match(/>0<|y="([\d.]+)"[^>]*>0</)[1] - 4;
  assert.deepEqual(ends.map((y) => +((zero - y) / 70).toFixed(2)), [0.9, 0.2, 0.2], "one scale for all probabilities");
});
