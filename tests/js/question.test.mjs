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
