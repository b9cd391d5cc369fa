// Shared by every widget (see base.py).

/** element("button", {type: "button", onclick: f}, "Draw", child, ...) */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** Set traits of the model, and tell the kernel. */
export function write(model, values) {
  for (const name in values) model.set(name, values[name]);
  model.save_changes();
}

/** `draw` for many changes at once: it's called when all of them have arrived. */
export function together(draw) {
  let waiting = false;
  return () => {
    if (!waiting) queueMicrotask(() => {
      waiting = false;
      draw();
    });
    waiting = true;
  };
}

/** Count what was drawn, where a test or a program that steers the page can see it. */
export function markDrawn(root) {
  root.setAttribute("data-drawn", +(root.getAttribute("data-drawn") ?? 0) + 1);
}

/**
 * The last line of every `render`: put `root` on the page, listen to the model's events (`heard`: event -> call), call
 * `draw`, and `resized` when the page gives it another size. Returns what takes all of it back; `leave` belongs to it.
 */
export function mount({ model, el }, root, draw, heard, { kernel, resized, leave } = {}) {
  const size = resized && new ResizeObserver(() => resized());
  el.append(root);
  for (const event in heard) model.on(event, heard[event]);
  size?.observe(el);
  draw();
  return () => {
    for (const event in heard) model.off(event, heard[event]);
    size?.disconnect();
    kernel?.leave();
    leave?.();
  };
}

/** Escape text that goes into SVG or HTML source. */
export function escapeText(text) {
  return String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** 49152 -> "49,152": the same in every locale, so that page and Python agree. */
export function thousands(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** "1 token", "1,000 tokens". */
export const plural = (count, what) => `${thousands(count)} ${what}${count === 1 ? "" : "s"}`;

/** 0.7712 -> "77.1 %"; what is not 0 is never written as 0. */
export const percent = (p) => (p > 0 && p < 0.0005 ? "< 0.1 %" : `${(p * 100).toFixed(1)} %`);

/** A round step of an axis that ends at `end`. */
export function axisStep(end) {
  const power = 10 ** Math.floor(Math.log10(end / 4));
  return power * [1, 2, 5, 10].find((n) => n * power * 6 >= end);
}

/** "Show as table": `rows` are made, the head first, when it is opened, and with each `show` while it is open. */
export function asTable(rows) {
  const body = element("tbody");
  const details = element("details", { ontoggle: show }, element("summary", {}, "Show as table"), element("table", {}, body));
  function show() {
    if (details.open) body.replaceChildren(...tableRows(rows()));
  }
  return { details, show };
}

/** The rows of a table; the first is its head. */
export function tableRows(rows) {
  return rows.map((row, i) => element("tr", {}, ...row.map((cell) => element(i ? "td" : "th", {}, element("bdi", {}, `${cell}`)))));
}

/** A button with words on it. */
export const pressed = (words, onclick) => element("button", { type: "button", onclick }, words);

/**
 * A button that plays from step `first` to `last()`: it calls `go` with the next step after so many milliseconds as
 * `wait` says of it. For people who want less motion it goes one step each time.
 */
export function player({ now, first = 0, last, go, wait }) {
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  let timer = null;
  const button = pressed("", () => {
    if (timer !== null) return stop();
    const next = now() < last() ? now() + 1 : first;
    if (calm()) return go(next);
    button.textContent = "■ Stop";
    tick(next);
  });
  function tick(step) {
    timer = setTimeout(() => {
      go(step);
      if (step < last()) tick(step + 1);
      else stop();
    }, wait(step));
  }
  function stop() {
    clearTimeout(timer);
    timer = null;
    button.textContent = calm() ? "▶ Next step" : "▶ Play";
  }
  stop();
  return { button, stop };
}

/** What the signs of a picture mean: [class of the swatch, words]. */
export const swatches = (keys) => keys.map(([kind, words]) => element("span", {}, element("i", { class: `swatch ${kind}` }), words));

/** Text of a picture, as SVG source. */
export const svgText = (x, y, words, more = "") => `<text x="${x}" y="${y}" ${more}>${escapeText(words)}</text>`;

/** The numbers that a trait of bytes holds. */
export const numbersOf = (view, Kind) => new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

/** Call `commit` when Enter is pressed in `input`, but not for the Enter that ends a word in an input method. */
export function onEnter(input, commit) {
  input.addEventListener("keydown", (event) => {
    // Key code 229 is what Safari and old Chromes send for that Enter. With Shift, Ctrl or Alt it runs the cell.
    const plain = event.key === "Enter" && !event.isComposing && event.keyCode !== 229;
    if (plain && !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey) commit(event);
  });
}

/** Call `commit` when typing in `input` is done; JupyterLab swallows the Enter that would fire "change". */
export function whenTyped(input, commit) {
  input.addEventListener("change", commit);
  onEnter(input, commit);
}

/** The characters of a text as a reader counts them: an emoji or a letter with its accent is one. */
export function characters(text) {
  return typeof Intl.Segmenter === "function" ? [...new Intl.Segmenter().segment(text)].map(({ segment }) => segment) : [...text];
}

/** The first `most` characters: no emoji and no accent is cut in half. */
export function cut(text, most) {
  const parts = characters(text);
  return parts.length > most ? parts.slice(0, most - 1).join("") + "…" : text;
}

/** A token in a sentence: in quotation marks, and isolated, so that Arabic or Hebrew doesn't reorder what is around it. */
export function quoted(token) {
  return `“\u2068${token}\u2069”`;
}

/** Tokens in a line of text, a dot between them: each is isolated, so that they stay in their order. */
export function dotted(tokens) {
  return tokens.flatMap((token, i) => [i ? "·" : "", element("bdi", {}, token)]);
}

/** "1,000", "1 000" -> 1000; "−0.5" -> -0.5; what is no number stays as it was typed, for the sentence that says so. */
export function readNumber(typed) {
  const text = typed.trim().replace("−", "-");
  const grouped = /^[+-]?[1-9]\d{0,2}([, \u00a0\u2009\u202f]\d{3})+(\.\d*)?$/.test(text); // "1,00" and "0,500" are not
  const plain = grouped ? text.replace(/[^\d.+-]/g, "") : text;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : typed.trim();
}

/** What is wrong with what `readNumber` returned for the box `label`, or "". */
export function notANumber(label, value) {
  return typeof value === "number" ? "" : `${label} must be a number, got ${value ? quoted(value) : "nothing"}`;
}

/**
 * A box for the number `name` of the model: what is typed stays until it is taken, and what is wrong with it is said.
 * `set` gets the name and the number, as `wrongWith` does, which says "" of a good one; `write` and `read` turn it into
 * text and back.
 */
export function numberBox(model, name, { set, wrongWith, label = name, write = String, read = readNumber, size = 6 }) {
  const get = () => model.get(name);
  const box = element("input", { type: "text", inputmode: "decimal", size, "aria-label": `${label}, exact value` });
  const wrong = element("span", { class: "problem", role: "alert" });
  let shown;
  whenTyped(box, () => {
    const value = read(box.value), said = wrongWith(name, value);
    wrong.textContent = said && `${said}. It is still ${write(get())}.`;
    if (said) return;
    shown = undefined; // 2048 is written as 2,048
    if (value !== get()) set(name, value);
    show();
  });
  function show() {
    if (shown !== (shown = get())) [box.value, wrong.textContent] = [write(shown), ""];
  }
  return { box, wrong, show };
}

/**
 * The box of a text that was run. What is typed in it stays until it is run. Meanwhile, and after a problem, `results`
 * are marked as older, and `note` says what they belong to. Call what it returns after every answer.
 */
export function keptText(box, note, results) {
  let shown, held = box.value;
  const said = element("span"), undo = element("button", { type: "button", class: "undo" }, "Undo typing");
  const clean = (text) => text.replace(/\r\n?|\n/g, box.matches("textarea") ? "\n" : "");
  undo.addEventListener("click", () => {
    box.value = held;
    mark();
    box.focus();
  });
  note.append(said, undo);
  function mark(problem) {
    const typed = box.value !== held;
    markOlder(results, said, shown, typed, problem);
    note.hidden = !typed && !problem;
    undo.hidden = !typed;
  }
  box.addEventListener("input", () => mark());
  return (text, problem) => {
    if (text !== shown) {
      const own = box.value !== held && box.value !== clean(text);
      shown = text;
      held = clean(text);
      if (!own) box.value = held;
    }
    mark(problem);
  };
}

/** What `greyed` says of something else than a text. */
export const inYourCopy = (what) => element("span", { class: "recorded" }, `${what}: try it in your own copy of the course.`);

/** Grey what needs the model, where there is none: in a recorded run, and on the website. Returns the words beside it. */
export function greyed(model, ...controls) {
  if (model.get("can_run")) return null;
  for (const control of controls) control.disabled = true;
  return inYourCopy("This is a recorded run. Your own text needs the model");
}

/**
 * The row where a text for the model is typed, and run; `more` is in it, too. Returns its parts, and `show`, which wants
 * after every answer which text the `results` belong to, and what was wrong with the last.
 */
export function textRow(model, label, run, results, ...more) {
  const box = element("input", { type: "text", "aria-label": label }), button = pressed("Run", () => run(box.value));
  const wrong = element("div", { class: "problem", role: "alert" }), note = element("div"), kept = keptText(box, note, results);
  onEnter(box, () => run(box.value));
  return {
    parts: [element("div", { class: "row" }, box, button, ...more, greyed(model, box, button, ...more)), wrong, note],
    show(text, problem) {
      wrong.textContent = problem;
      kept(text, problem);
    },
  };
}

/** Draw; when what had the focus is gone after it, the widget has it, so that shortcuts still reach JupyterLab. */
export function keepFocus(root, draw) {
  const inside = root.contains(document.activeElement);
  draw();
  if (inside && !root.contains(document.activeElement)) root.focus();
}

/** Whether JupyterLab must not see a key: plain keys belong to the widget, shortcuts such as Ctrl+S to JupyterLab. */
export function isOurs({ key, shiftKey, ctrlKey, altKey, metaKey }, isText, isArea) {
  if (key === "Enter") return isArea ? !(ctrlKey || altKey || metaKey) : !(shiftKey || ctrlKey || altKey || metaKey);
  const letter = key.toLowerCase();
  return !(ctrlKey || metaKey) || letter.length > 1 || (isText && "acvxyz".includes(letter));
}

// JupyterLab 4 takes arrow keys from inputs inside widgets unless the focused element has this attribute. Set on the
// window, so before JupyterLab looks; once on a page, for all widgets.
if (typeof window !== "undefined" && !window.courseKeys) {
  window.courseKeys = true;
  window.addEventListener("keydown", (event) => {
    const at = event.target;
    if (!at.matches?.(".course-widget *")) return;
    const isArea = at.matches("textarea"), isText = isArea || at.matches("input:not([type]), input[type=text], input[type=number]");
    at.toggleAttribute("data-lm-suppress-shortcuts", isOurs(event, isText, isArea));
  }, true);
}

/** Dim `results` and say in `note` what they belong to: after a problem, and while something else is typed. */
export function markOlder(results, note, text, isTyped, problem) {
  const isOlder = Boolean(isTyped || problem);
  results.classList.toggle("older", isOlder);
  note.textContent = isOlder ? `Below is still ${quoted(cut(text, 60))}.${isTyped && !problem ? " Press Enter to run what you have typed." : ""}` : "";
}

const GONE = "The kernel that made this is gone: run this cell again.";
const BUSY = "No answer yet: the kernel is busy. If you have restarted it, run this cell again.";
const LOST = "The Jupyter server doesn't answer. If it was stopped, start it again, reload this page and run its cells.";
const NOTHING = "The kernel has stopped without an answer: try again.";
const PATIENCE = 1500; // milliseconds without a sign of life

/**
 * The page asks, the kernel answers (AskingWidget in base.py): one for every widget that runs something.
 * `status` says meanwhile that it runs; a note beside it says when there's no kernel any more. `answered` is
 * called when an answer is there, or when there will be none. Call it when `status` is in its place in `root`.
 */
export function asking(model, root, status, answered, words = "Running …") {
  const manager = model.widget_manager, kernel = manager?.kernel;
  let press = model.get("asked")[0], waiting = false, gone = false, begun, start, queued, timers = [];
  const note = element("div", { class: "problem kernel", role: "alert" });
  const seconds = element("span", { class: "seconds", "aria-hidden": "true" });
  const stop = element("button", { type: "button", class: "stop", onclick: halt }, "Stop");
  root.tabIndex = -1; // the focus goes here when what had it is no longer there
  status.after(note);

  function wait() {
    waiting = true;
    begun = false;
    start = Date.now();
    note.textContent = "";
    status.className = "status";
    status.textContent = words;
    root.classList.add("running");
    timers = [setTimeout(doubt, PATIENCE), setInterval(tick, 500)];
  }

  // A kernel that is idle has not got the question; outside JupyterLab, nothing says whether it is.
  const isMissing = () => manager && "kernel" in manager && (!kernel || kernel.status === "idle");
  // JupyterLab tries for minutes to reach a server that was stopped, and keeps what is asked meanwhile.
  const isLost = () => ["connecting", "disconnected"].includes(kernel?.connectionStatus);
  const why = () => (isLost() ? LOST : isMissing() ? GONE : BUSY);

  function doubt() {
    if (begun) return;
    if (why() === BUSY) note.textContent = BUSY;
    else end(why());
  }

  function listen() {
    if (isLost()) timers.push(setTimeout(() => waiting && isLost() && end(LOST), PATIENCE)); // it may be back by then
  }

  function tick() {
    seconds.textContent = `${Math.round((Date.now() - start) / 1000)} s`;
    if (!seconds.isConnected) note.before(seconds);
    if (begun && kernel?.interrupt && !stop.isConnected) note.before(stop); // before that, it would stop another cell
  }

  function end(said = "") {
    const focused = document.activeElement === stop;
    waiting = false;
    timers.forEach(clearInterval); // clears timeouts, too
    note.textContent = said;
    root.classList.remove("running");
    seconds.remove();
    stop.remove();
    if (focused) root.focus();
    answered();
  }

  function ask(...wanted) {
    if (gone || (kernel && manager.kernel?.id !== kernel.id)) return ++press, lose(); // a press that nothing answers
    if (waiting) return void (queued = wanted);
    wait();
    model.set("asked", [++press, ...wanted]);
    model.save_changes();
  }

  function halt() {
    queued = undefined; // who pressed Run twice doesn't want to stop twice
    kernel.interrupt();
  }

  function lose() {
    gone = true;
    end(GONE);
  }

  /** Something was sent that is no press. `isDone` tells whether its answer is there: in time, or the note says why not. */
  function expect(isDone) {
    if (kernel && manager.kernel?.id !== kernel.id) return lose();
    setTimeout(() => gone || waiting || !manager || isDone() || (note.textContent = why()), PATIENCE);
  }

  function hear({ begun: which, progress }) {
    if (which === press && !gone) {
      if (!waiting) wait(); // later than we waited for it
      begun = true;
    }
    if (!gone) note.textContent = ""; // there's a kernel, and it's at work for this page
    if (progress && waiting) status.textContent = `${words} ${progress}`;
  }

  function finish() {
    if (model.get("answered") < press || gone) return;
    const next = queued;
    queued = undefined;
    end();
    if (next) ask(...next);
  }

  function watch(_, state) {
    if (/restarting|terminating|dead/.test(state)) lose();
    // The answer comes before this, but the page may need a moment for it.
    else if (state === "idle" && waiting && begun) timers.push(setTimeout(() => waiting && end(NOTHING), 1000));
  }

  kernel?.statusChanged?.connect(watch);
  kernel?.disposed?.connect(lose);
  kernel?.connectionStatusChanged?.connect(listen);
  model.on("msg:custom", hear);
  model.on("change:answered", finish);
  if (press > model.get("answered")) wait(); // the page was loaded again while the kernel was at work
  return {
    ask,
    expect,
    get waiting() { return waiting; },
    get gone() { return gone; },
    /** What was wrong with the last press; "" while it has no answer: what is there is of the one before. */
    get problem() { return model.get("answered") < press ? "" : model.get("problem"); },
    leave() {
      timers.forEach(clearInterval);
      kernel?.statusChanged?.disconnect(watch);
      kernel?.disposed?.disconnect(lose);
      kernel?.connectionStatusChanged?.disconnect(listen);
      model.off("msg:custom", hear);
      model.off("change:answered", finish);
    },
  };
}
