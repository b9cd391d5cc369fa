import assert from "node:assert/strict";
import test from "node:test";

const page = await import(process.env.WIDGET_MODULES + "/question.mjs");

test("a prediction is locked once it is kept, a quiz never is", () => {
  assert.equal(page.isLocked(true, 0), false);
  assert.equal(page.isLocked(true, 1), true);
  assert.equal(page.isLocked(false, 5), false);
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
