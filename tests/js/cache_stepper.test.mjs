import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/cache_stepper.mjs");

const { quoted } = page, FAMILY = "👩\u200d👩\u200d👧";
const run = {
  id: "x", model: "toy", promptTokens: ["a", "<b>", "&"], newTokens: ["c", "d", "e"], with: [60, 30, 31], without: [60, 70, 80],
  bytes: [384, 512, 640], difference: 0.00002, same: true, shape: [2, 2, 4], ended: "as many tokens as were asked for",
};
const count = (text, what) => text.split(what).length - 1;

test("prefill reads the prompt, a decode step one token, without a cache everything", () => {
  assert.deepEqual([0, 1, 2].map((step) => page.tokensRead(3, step, true)), [3, 1, 1]);
  assert.deepEqual([0, 1, 2].map((step) => page.tokensRead(3, step, false)), [3, 4, 5]);
});

test("the total is the sum of the steps", () => {
  for (const useCache of [true, false]) {
    let sum = 0;
    for (let step = 0; step < 30; step++) assert.equal(page.totalRead(7, step, useCache), (sum += page.tokensRead(7, step, useCache)));
  }
  assert.equal(page.total(run.without, 1), 130);
});

test("times have units", () => assert.deepEqual([1.23, 64.4, 999.7, 1420].map(page.timeText), ["1.2 ms", "64 ms", "1.00 s", "1.42 s"]));

test("the step is a sentence", () => {
  assert.equal(page.sentence(run, 0, true), `Step 0 · prefill: reads all 3 prompt tokens at once, chooses ${quoted("c")}.`);
  assert.equal(page.sentence(run, 1, true), `Step 1 · decode step: reads 1 token (${quoted("c")}), looks back at 3 in the cache, chooses ${quoted("d")}.`);
  assert.equal(page.sentence(run, 1, false), `Step 1 · decode step: reads all 4 tokens again, chooses ${quoted("d")}.`);
  assert.match(page.sentence(run, 2, true), /It ends here: as many tokens as were asked for\.$/);
});

test("costs, bytes and proof", () => {
  assert.deepEqual(page.costs(run, 1), [
    "■ With cache: 30 ms in this step, 90 ms so far, 4 tokens read.",
    "▨ Without cache: 70 ms in this step, 130 ms so far, 7 tokens read.",
  ]);
  assert.equal(page.weight(run, 1), "Cache: 2 (keys, values) × 2 layers × 2 KV heads × 4 numbers × 4 bytes × 4 tokens = 512 bytes.");
  assert.match(page.proof(run), /the same token in 3 steps; .* is 0\.000020\.$/);
  assert.match(page.proof({ ...run, same: false }), /not always the same token/);
});

test("how long a run will take, at the pace of the last one", () => {
  const steady = { ...run, prompt: "abc", with: [20, 10, 10], without: [30, 40, 50] }; // 10 ms for every token that is read
  assert.ok(Math.abs(page.estimate(steady, 3, 3) - (10 * (3 + 3 + 3 + 4 + 5) + 40)) < 1);
  assert.ok(page.estimate(steady, 3, 30) > 5 * page.estimate(steady, 3, 3), "without a cache it grows with the square");
  assert.ok(page.estimate(steady, 300, 3) > 5 * page.estimate(steady, 3, 3));
});

test("emoji in the names of columns are whole", () => {
  assert.ok(page.picture({ ...run, promptTokens: [FAMILY.repeat(12)] }, 1, true, "data:,", 800).includes(`>${FAMILY.repeat(9)}…<`));
});

test("no label sticks out of the picture, and none lies on another", () => {
  for (const [prompt, steps] of [[1, 39], [12, 28], [39, 2], [199, 2], [3, 60]]) for (const step of [1, steps - 1]) {
    const long = { ...run, promptTokens: Array(prompt).fill("p"), newTokens: Array(steps).fill("n"), with: Array(steps).fill(30),
      without: Array(steps).fill(99), bytes: Array(steps).fill(1), shape: [30, 3, 64] };
    for (const useCache of [true, false]) for (const width of [600, 1000]) {
      const svg = page.picture(long, step, useCache, "data:,", width);
      const labels = [...svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)" (?:class="head")?>([^<]*: [^<]*|▨ [^<]*)</g)].map(([, x, y, label]) => ({ x: +x, y, end: +x + 6 * label.length }));
      assert.ok(labels.length >= 3, svg.slice(0, 2000));
      for (const label of labels) assert.ok(label.end <= width, `${prompt} + ${step} at ${width}: ${JSON.stringify(label)}`);
      const below = labels.filter(({ y }) => y === labels.at(-1).y);
      assert.equal(below.length, 2);
      assert.ok(below[0].end <= below[1].x);
    }
  }
});

test("the cells are calm, and show the keys where that is switched on", () => {
  const plain = page.picture(run, 1, true, false, 800), keys = page.picture(run, 1, true, "data:,", 800);
  assert.deepEqual([count(plain, "<image"), count(plain, 'class="kept"'), count(plain, 'class="now"')], [0, 1, 1]);
  assert.deepEqual([count(keys, "<image"), count(keys, 'class="kept"')], [1, 0]);
});

test("the time so far is on one scale, and every step has its place", () => {
  const bars = (svg, kind) => [...svg.matchAll(new RegExp(`width="([\\d.]+)" height="14" class="${kind}"`, "g"))].map((found) => +found[1]);
  for (const [step, times] of [[0, [60, 60]], [2, [121, 210]]]) {
    const svg = page.picture(run, step, true, false, 800), [cached] = bars(svg, "cached"), [plain] = bars(svg, "plain");
    assert.ok(Math.abs(cached / plain - times[0] / times[1]) < 1e-9);
    for (const time of times) assert.ok(svg.includes(`>${time} ms<`));
    assert.equal(count(svg, 'class="step'), 6);
  }
});

test("the frame is around what is read, and the rest is kept", () => {
  const width = (svg) => +svg.match(/width="([\d.]+)" height="\d+" fill="url\(#x-light\)"/)[1];
  const cached = page.picture(run, 2, true, "data:,", 800), plain = page.picture(run, 2, false, "data:,", 800);
  assert.equal(width(cached), 36);
  assert.equal(width(plain), 5 * 36);
  assert.ok(cached.includes("kept: 4") && !plain.includes("kept"));
  assert.ok(plain.includes("reads 5 again") && page.picture(run, 0, false, "data:,", 800).includes("reads 3<"));
});

test("prompt and generated tokens are told apart by words, steps by a mark and later ones by class", () => {
  const svg = page.picture(run, 1, true, "data:,", 800);
  assert.ok(svg.includes("prompt: 3") && svg.includes("generated: 1"));
  assert.equal(count(svg, 'class="marker"'), 1);
  assert.deepEqual([count(svg, 'class="step cached"'), count(svg, 'class="step later cached"')], [2, 1]);
});

test("what a token may contain is escaped", () => assert.ok(!page.picture(run, 2, true, "data:,", 800).includes("<b>")));

test("more than 200 tokens: the window follows the step, and nothing is drawn outside", () => {
  const many = 260, steps = many - 29, long = { ...run, promptTokens: Array(30).fill("p"), newTokens: Array(steps).fill("n"),
    with: Array(steps).fill(30), without: Array(steps).fill(99), bytes: Array(steps).fill(1), shape: [30, 3, 64] };
  for (const step of [0, 100, 180, steps - 1]) {
    const svg = page.picture(long, step, true, "data:,", 1000);
    const right = [...svg.matchAll(/<rect x="([\d.-]+)" y="[\d.-]+" width="([\d.-]+)"/g)].map((hit) => +hit[1] + +hit[2]);
    assert.ok(Math.max(...right) <= 1000 && !/width="-/.test(svg), `step ${step}`);
    assert.equal(count(svg, 'class="marker"'), 1);
    assert.equal(count(svg, 'class="step'), 2 * steps, "every step has its time");
  }
  assert.equal(page.firstColumn(200), 0);
  assert.equal(page.firstColumn(260), 60);
});
