import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/question.mjs");

test("a prediction is locked once it is kept, a quiz never is", () => {
  assert.equal(page.isLocked(true, 0), false);
  assert.equal(page.isLocked(true, 1), true);
  assert.equal(page.isLocked(false, 5), false);
});

test("a choice that reached no kernel is named", () => {
  assert.equal(page.notKept("over 50 %"), `Your choice, ${page.quoted("over 50 %")}, wasn't saved.`);
  assert.equal(page.notKept("שלום"), "Your choice, “\u2068שלום\u2069”, wasn't saved.");
});

test("shared functions", () => {
  assert.equal(page.thousands(49152), "49,152");
  assert.equal(page.escapeText('<a href="x">'), "&#60;a href=&#34;x&#34;&#62;");
});

test("a number is read as people write it; what is none stays as it was typed", () => {
  const read = (...typed) => typed.map(page.readNumber);
  assert.deepEqual(read("1000", "1,000", "1 000", "1\u00a0000", " 1,234,567.5 ", "1e3"), [1000, 1000, 1000, 1000, 1234567.5, 1000]);
  assert.deepEqual(read("0.5", ".5", "−0.5", "-.5", "+2", "0"), [0.5, 0.5, -0.5, -0.5, 2, 0]);
  assert.deepEqual(read("1,00", "0,500", "0,7", "1,0000", ",5", "1 2"), ["1,00", "0,500", "0,7", "1,0000", ",5", "1 2"]);
  assert.deepEqual(read("", " ", "many", "0x10", "Infinity", "1.2.3", "-", "🦜"), ["", "", "many", "0x10", "Infinity", "1.2.3", "-", "🦜"]);
  assert.equal(page.notANumber("top_p", 0), "");
  assert.equal(page.notANumber("top_p", ""), "top_p must be a number, got nothing");
  assert.equal(page.notANumber("top_p", "0,7"), "top_p must be a number, got “\u20680,7\u2069”");
});

/** A model as anywidget gives it: what was set, saved, and who listens. */
function modelOf(values) {
  const listening = new Map();
  return {
    listening,
    saved: 0,
    get: (name) => values[name],
    set: (name, value) => (values[name] = value),
    save_changes() { this.saved++; },
    on: (event, call) => listening.set(event, call),
    off: (event, call) => listening.get(event) === call && listening.delete(event),
  };
}

test("a widget that left the page listens to nothing", () => {
  const seen = [], watched = new Set();
  globalThis.ResizeObserver = class {
    constructor(call) { this.call = call; }
    observe(place) { watched.add(place); this.call("entries"); }
    disconnect() { watched.clear(); }
  };
  const model = modelOf({}), el = { append: (root) => seen.push(`append ${root}`) };
  const heard = { "change:a change:b": () => seen.push("a or b"), "msg:custom": () => seen.push("message") };
  const leave = page.mount({ model, el }, "root", (...given) => seen.push(`draw ${given.length}`), heard,
    { kernel: { leave: () => seen.push("kernel left") }, resized: (...given) => seen.push(`resized ${given.length}`), leave: () => seen.push("left") });
  assert.deepEqual(seen, ["append root", "resized 0", "draw 0"]);
  assert.deepEqual([...model.listening.keys()], ["change:a change:b", "msg:custom"]);
  model.listening.get("msg:custom")();
  assert.deepEqual([watched.size, seen.pop()], [1, "message"]);
  leave();
  assert.deepEqual([model.listening.size, watched.size, ...seen.slice(3)], [0, 0, "kernel left", "left"]);
});

test("a widget without a kernel, a size and an end of its own can be mounted, too", () => {
  const model = modelOf({});
  page.mount({ model, el: { append() {} } }, "root", () => {}, { change() {} })();
  assert.equal(model.listening.size, 0);
});

test("what changes together is saved once and drawn once", async () => {
  const values = {}, model = modelOf(values);
  page.write(model, { layer: 1, head: 2 });
  assert.deepEqual([values, model.saved], [{ layer: 1, head: 2 }, 1]);
  let drawn = 0;
  const later = page.together(() => drawn++);
  later();
  later();
  assert.equal(drawn, 0);
  await null;
  assert.equal(drawn, 1);
  later();
  await null;
  assert.equal(drawn, 2);
});
