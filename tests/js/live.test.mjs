import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { heard } from "./model_events.mjs";

globalThis.document = { currentScript: { src: "" } };
globalThis.window = { addEventListener() {} };
(0, eval)(readFileSync(process.env.LIVE_SCRIPT, "utf-8"));

const view = (...bytes) => new DataView(new Uint8Array(bytes).buffer);
const ANSWERS = {
  '[0,"weights"]': { layer: 0, cells: view(5, 5, 5) },
  '[1,"weights"]': { layer: 1, cells: view(6, 6, 6) },
  '["which"]': { text: "the answer" },
};
const begin = () => ({ n: 0, list: [1, 2], text: "", data: view(1, 2), asked: [0], answered: 0, problem: "" });

function modelOf(answers = async (asked) => ANSWERS[asked]) {
  return new window.courseLive.Model(begin(), answers);
}

test("what anywidget's model promises", async () => {
  for (const { name, said, says } of await heard(modelOf)) assert.deepEqual(said, says, name);
});

test("a handler that fails doesn't silence the model", () => {
  const model = modelOf(), said = [];
  model.on("change:n", (_, value) => { if (value === 1) throw new Error("broken"); });
  model.on("change", () => said.push(model.get("n")));
  assert.throws(() => model.set("n", 1), /broken/);
  model.set("n", 2);
  assert.deepEqual(said, [2]);
});

test("what was not recorded, and what doesn't arrive, is said", async () => {
  for (const [answers, says] of [[async () => undefined, /in your own copy/], [async () => { throw new Error("gone"); }, /reload the page/]]) {
    const model = modelOf(answers);
    let kept;
    model.onAnswer = (_, told) => (kept = told);
    model.set("asked", [1, "other"]);
    await new Promise((done) => { model.on("change:answered", done); model.save_changes(); });
    assert.match(model.get("problem"), says);
    assert.equal(kept, undefined);
  }
  const model = modelOf(async () => { throw new Error("gone"); });
  await model.send({ ask: [[0, "weights"]], version: 1 });
  assert.match(model.get("problem"), /reload the page/);
  await model.send("something else");
});
