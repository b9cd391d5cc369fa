import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/speed_lab.mjs");

const shape = { parameters: 1000, layers: 2, hidden_size: 8, query_heads: 4, key_value_heads: 2, head_dim: 2, vocab_size: 50, context_length: 64 };
const point = (prompt, batch, threads = 2, dtype = "fp32", ttft = [0.2, 0.1, 0.3], tpot = [0.02, 0.03, 0.01]) =>
  ({ prompt, batch, threads, dtype, flops: 1e5, bandwidth: 1e6, ttft, tpot });
const recorded = { name: "recorded", processor: "a <machine>", shape, points: [point(64, 1), point(16, 1), point(16, 4), point(16, 1, 1), point(16, 1, 2, "bf16")] };
const set = { curve: "ttft", prompt: 16, count: 5, batch: 1, threads: 2, dtype: "fp32" };
const count = (text, what) => text.split(what).length - 1;

test("median, least and most", () => {
  assert.deepEqual(page.spread([3, 1, 2]), { median: 2, least: 1, most: 3 });
  assert.deepEqual(page.spread([4, 1, 2, 3]), { median: 2.5, least: 1, most: 4 });
  assert.deepEqual(page.spread([7]), { median: 7, least: 7, most: 7 });
});

test("a step is limited by arithmetic or by reading", () => {
  // 2 · (10 · 600 + 400) FLOPs at 1e5 a second; 4 · (1000 + 16 · 10) bytes at 1e6.
  assert.equal(page.stepSeconds(shape, { flops: 1e5, bandwidth: 1e6 }, 10, 10, 1, 4), 0.128);
  assert.equal(page.stepSeconds(shape, { flops: 1e9, bandwidth: 1e6 }, 10, 10, 1, 4), 0.00464);
});

test("the total is TTFT and the other tokens", () => {
  const all = page.predicted(shape, { flops: 1e5, bandwidth: 1e6 }, 10, 5, 2, "fp32");
  assert.equal(all.total, all.ttft + 4 * all.tpot);
  assert.equal(all.throughput, 10 / all.total);
  const measured = page.runs(point(16, 4), 5);
  assert.deepEqual(measured.total, [0.2 + 4 * 0.02, 0.1 + 4 * 0.03, 0.3 + 4 * 0.01]);
  assert.equal(measured.throughput[0], 20 / measured.total[0]);
});

test("nearest is by ratio, and of two the smaller", () => {
  assert.equal(page.nearest([1, 2, 8], 4), 2);
  assert.equal(page.nearest([1, 8], 4), 8);
  assert.equal(page.nearest([], 4), undefined);
});

test("drawn: the format, the nearest threads, the nearest batch or prompt that makes a curve, and what is set", () => {
  const drawn = (change) => page.groups(recorded.points, { ...set, ...change }).map((group) => group.map((p) => [p.prompt, p.batch, p.threads]));
  const curve = [[16, 1, 2], [64, 1, 2]];
  assert.deepEqual(drawn({}), [curve]);
  assert.deepEqual(drawn({ batch: 8 }), [curve]);
  assert.deepEqual(drawn({ batch: 4 }), [curve, [[16, 4, 2]]]);
  assert.deepEqual(drawn({ threads: 1 }), [[[16, 1, 1]]]);
  assert.deepEqual(drawn({ curve: "throughput", threads: 99 }), [[[16, 1, 2], [16, 4, 2]]]);
  assert.deepEqual(drawn({ curve: "throughput", prompt: 64 }), [[[16, 1, 2], [16, 4, 2]], [[64, 1, 2]]]);
  assert.deepEqual(drawn({ dtype: "bf16" }), [[[16, 1, 2]]]);
  assert.deepEqual(page.groups([], set), []);
});

test("a series says where, and carries milliseconds", () => {
  const [line] = page.series([recorded], set);
  assert.equal(line.title, "recorded: a <machine>, 2 threads, batch 1");
  assert.deepEqual([line.points[0].x, line.points[0].median, line.points[0].least, line.points[0].most], [16, 200, 100, 300]);
  assert.deepEqual(page.series([{ ...recorded, points: [] }], set), []);
});

test("totals are said for machines that have the point", () => {
  assert.deepEqual(page.totals([recorded], set), ["recorded: TTFT 200 ms + 4 × TPOT 20 ms = 280 ms; 17.9 tokens/s"]);
  assert.deepEqual(page.totals([recorded], { ...set, prompt: 32 }), []);
});

test("a measurement is estimated from the nearest point, and what is too much is said", () => {
  // The nearest point, of 64 tokens, takes 0.2 s + 4 · 0.02 s where its rates alone predict `best`.
  const [best, more] = [64, 160].map((prompt) => page.predicted(shape, recorded.points[0], prompt, 5, 1, "fp32").total);
  assert.equal(page.estimate([recorded], [{ ...set, count: 5 }]), "4 runs: about 1 s on the recorded machine");
  assert.equal(page.estimate([recorded, { ...recorded, name: "here" }], [{ ...set, prompt: 160, count: 5 }]), `4 runs: about ${Math.round((4 * 0.28 * more) / best)} s`);
  assert.match(page.estimate([recorded], [{ ...set, prompt: 8192, count: 200 }]), /^4 runs: about \d+ min on the recorded machine$/);
  assert.equal(page.estimate([recorded], [{ ...set, prompt: 1024, batch: 16 }]), "too much at once: batch × prompt may be at most 8,192 tokens, here it is 16,384");
  assert.equal(page.estimate([], [set]), "");
  assert.equal(page.estimate([{ ...recorded, points: [] }], [set]), "");
});

test("a curve is measured where it was recorded, and where it is set, but not where it is too much", () => {
  const points = page.curvePoints([recorded], { ...set, prompt: 16 });
  const wanted = [...new Set([16, ...recorded.points.filter((p) => p.dtype === set.dtype && p.batch === set.batch).map((p) => p.prompt)])];
  assert.deepEqual(points.map(({ prompt }) => prompt), wanted.sort((a, b) => a - b));
  assert.equal(page.curvePoints([recorded], { ...set, prompt: 9000 }).some(({ prompt }) => prompt === 9000), false);
  assert.match(page.estimate([recorded], points), new RegExp(`^${4 * points.length} runs: about `));
});

test("numbers have one decimal", () => assert.deepEqual([0, 1.04, 9.96, 1234.56].map(page.number), ["0.0", "1.0", "10.0", "1,234.6"]));

test("machines are told apart by their marks, and nothing is drawn outside", () => {
  const lines = page.series([recorded, { ...recorded, name: "here" }], set), svg = page.picture(lines, set, 800);
  assert.equal(count(svg, '<rect'), 2);
  assert.equal(count(svg, 'r="5"'), 2);
  assert.equal(count(svg, 'class="predicted"'), 2);
  assert.equal(count(svg, 'class="bar"'), 4);
  assert.equal(count(svg, 'second"'), 0);
  assert.equal(count(page.picture(page.series([recorded], { ...set, batch: 4 }), set, 800), 'class="recorded second"'), 1);
  const at = [...svg.matchAll(/c[xy]="([\d.-]+)"/g)].map((hit) => +hit[1]);
  assert.ok(at.every((value) => value >= 0 && value <= 800));
  assert.ok(!svg.includes("NaN"));
});

test("an empty picture and its words", () => {
  const svg = page.picture([], { ...set, dtype: "bf16" }, 800);
  assert.ok(!/NaN|Infinity/.test(svg));
  assert.equal(page.summary([], { ...set, dtype: "bf16" }), "Nothing was measured in bf16 yet.");
  assert.match(page.summary(page.series([recorded], set), set), /^TTFT by prompt length\. recorded: .* 200\.0 ms at 16, at best /);
});
