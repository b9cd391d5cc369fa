// The whole run is here: moving the step does not wait for the kernel.

const BANNED = -32768, NEW = 32767, ROW = 24, LEFT = 118, RIGHT = 150, PAGE = 10, HIGH = 70;
// The first and last place of each slider, its step, and what is off.
const NUMBERS = {
  presence_penalty: [-2, 2, 0.1, 0], frequency_penalty: [-2, 2, 0.1, 0], repetition_penalty: [0.5, 2, 0.05, 1],
  no_repeat_ngram: [0, 10, 1, 0], min_new_tokens: [0, 200, 1], max_new_tokens: [1, 200, 1],
};

/** "\\n|User:" -> ["\n", "User:"]: what is typed, as stop strings; "\\|" is a bar. */
export function readStops(typed) {
  return typed.split(/(?<!\\)\|/).map((stop) => stop.replaceAll("\\n", "\n").replaceAll("\\|", "|")).filter((stop) => stop);
}

/** The other way round. */
export function writeStops(stops) {
  return stops.map((stop) => stop.replaceAll("\n", "\\n").replaceAll("|", "\\|")).join("|");
}

/** 0.0012 -> "0.0012", and never "1e-9". */
export const chance = (p) => (p === 0 || p >= 1e-6 ? String(+p.toPrecision(2)) : "< 0.000001");

/** Which tokens are part of a run of `size` tokens that came before. */
export function repeated(ids, size) {
  const seen = new Set(), marks = ids.map(() => false);
  for (let end = size; end <= ids.length; end++) {
    const run = ids.slice(end - size, end).join();
    if (seen.has(run)) marks.fill(true, end - size, end);
    seen.add(run);
  }
  return marks;
}

/** One logit: {before, after, change}; null before the token is in the text. */
export function changeOf(before, after) {
  if (before === NEW) return null;
  const now = after === BANNED ? -Infinity : after / 100;
  return { before: before / 100, after: now, change: after === BANNED ? now : (after - before) / 100 };
}

/** 1.5 -> "1.50", -Infinity -> "−∞"; with a sign where asked. */
export function number(value, signed = false) {
  if (value === -Infinity) return "−∞";
  return (value < 0 ? "−" : signed && value > 0 ? "+" : "") + (value && Math.abs(value).toFixed(2));
}

/** One row as paths: lowered hangs down, raised goes up, banned is crossed. */
export function rowPaths(changes, most, left, width, top, height) {
  const paths = { lowered: "", raised: "", banned: "" }, w = width.toFixed(1);
  changes.forEach((change, step) => {
    if (!change) return;
    const x = (left + step * width).toFixed(1), h = Math.max(1, (Math.abs(change) / most) * height);
    if (change === -Infinity) paths.banned += `M${x} ${top}l${w} ${height}m0-${height}l-${w} ${height}`;
    else if (change < 0) paths.lowered += `M${x} ${top}h${w}v${h.toFixed(1)}h-${w}z`;
    else paths.raised += `M${x} ${top + height}h${w}v-${h.toFixed(1)}h-${w}z`;
  });
  return paths;
}

/** Which control a sentence is about, if one: "top_p must be …" -> "top_p". */
export function namedIn(sentence, names) {
  return names.find((name) => sentence.startsWith(name) || sentence.startsWith(`your ${name}`));
}

const visible = (text) => text.replaceAll("\n", "⏎");

/** As the page needs it. */
export function unpack(logits, chances, steps, rows) {
  const at = (part, step, row) => logits[(part * steps + step) * rows + row];
  const cells = Array.from({ length: rows }, (_, row) => Array.from({ length: steps }, (_, step) => changeOf(at(0, step, row), at(1, step, row))));
  const finite = cells.flat().filter((cell) => cell && cell.change > -Infinity).map((cell) => Math.abs(cell.change));
  const part = (which) => [...chances.slice(which * steps, (which + 1) * steps)];
  return { cells, most: Math.max(0.01, ...finite), chosen: part(0), eosBefore: part(1), eosAfter: part(2) };
}

/** What a step does not change. */
export function picture(data, rows, ids, first, width) {
  const right = width - RIGHT, column = (right - LEFT) / ids.length, parts = [], at = (step) => (LEFT + (step + 0.5) * column).toFixed(1);
  const text = (y, what, kind) => parts.push(`<text x="${LEFT - 8}" y="${y}" text-anchor="end" class="${kind}">${escapeText(what)}</text>`);
  const path = (d, kind) => d && parts.push(`<path d="${d}" class="${kind}"/>`);
  let top = 8;
  rows.slice(first, first + PAGE).forEach(([label, id], i) => {
    text(top + 4, cut(label, 14), "");
    path(`M${LEFT} ${top}H${right}`, "base");
    const paths = rowPaths(data.cells[first + i].map((cell) => cell?.change ?? 0), data.most, LEFT, column, top, ROW - 6);
    for (const kind in paths) path(paths[kind], kind);
    ids.forEach((other, step) => other === id && parts.push(`<circle cx="${at(step)}" cy="${top}" r="3"/>`));
    top += ROW;
  });
  // All probabilities have one scale.
  for (const mark of [1, 0.5, 0]) {
    text(top + 10 + HIGH * (1 - mark), mark || "0", "small");
    path(`M${LEFT} ${top + 6 + HIGH * (1 - mark)}H${right}`, "base");
  }
  text(top + 28, "probability", "small");
  for (const [name, kind] of [["chosen", "line"], ["eosBefore", "eos"], ["eosAfter", "after"]]) {
    path(data[name].map((p, step) => `${step ? "L" : "M"}${at(step)} ${(top + 6 + HIGH * (1 - p)).toFixed(1)}`).join(""), kind);
  }
  top += HIGH + 12;
  return { source: `<svg width="${width}" viewBox="0 0 ${width} ${top + 6}">${parts.join("")}<g></g></svg>`, column, top, right };
}

/** What it does: its column, and the numbers beside the rows. */
export function cursor(data, { column, top, right }, step, first) {
  const said = data.cells.slice(first, first + PAGE).map(({ [step]: cell }) => (cell ? `${number(cell.before)} → ${number(cell.after)}` : "not yet"));
  const text = (y, what) => `<text x="${right + 8}" y="${y}" class="small">${what}</text>`;
  return `<rect x="${LEFT + step * column}" y="2" width="${Math.max(column, 2)}" height="${top}" class="cursor"/>` +
    said.map((what, i) => text(12 + i * ROW, what)).join("") + text(top - HIGH, `chosen: ${data.chosen[step].toFixed(3)}`) +
    text(top - HIGH + 26, `end of text: ${chance(data.eosBefore[step])}`) + text(top - HIGH + 40, `→ ${chance(data.eosAfter[step])}`);
}

function render({ model, el }) {
  const get = (name) => model.get(name);
  let data, ids, rows, drawing, loaded, shown, first = 0, sent, belongs, trouble, marked;
  const wrongs = {}, boxes = {}, sliders = {}, live = get("can_run");
  const make = (tag, name, ...children) => element(tag, { class: name }, ...children);
  const alarm = () => element("span", { class: "problem", role: "alert" });
  const set = (name, value) => write(model, { [name]: value });
  const field = (name, size, [min, max, step, off] = [], placeholder) => {
    const box = (boxes[name] = element("input", { type: "text", size, placeholder, oninput: compare }));
    if (max) sliders[name] = element("input", { type: "range", min, max, step, "aria-label": `${name}, slider`, oninput: ({ target }) => ((box.value = target.value), compare()) });
    onEnter(box, run);
    return make("div", `field ${name}`, element("label", {}, `${name} `, box, sliders[name]), off === undefined ? "" : make("small", "", off + " is off"), (wrongs[name] = alarm()));
  };
  const eosBox = element("input", { type: "checkbox", onchange: compare }), numbers = Object.keys(NUMBERS);
  const button = pressed("Run", run), todo = make("p", "todo");
  const slider = element("input", { type: "range", min: 0 }), runBox = element("input", { type: "text", size: 3 }), runWrong = alarm();
  const turn = (label, by) => pressed(label, () => ((first = Math.max(0, Math.min(first + by, rows.length - PAGE))), draw(), paint()));
  const why = make("p", "why"), words = element("p", { class: "words", dir: "auto" }), buffer = make("p", "buffer"), notice = make("span", "");
  const status = element("div", { class: "status", "aria-live": "polite" }), stage = element("div", { class: "picture", role: "img" }), body = element("tbody"), details = element("details", { ontoggle: () => paint() }, element("summary", {}, "Show as table"), element("table", {}, body));
  const key = (kind, said) => [make("span", `key ${kind}`), ` ${said} `];
  const ask = make("div", "ask", field("prompt", 40), button), fields = make("div", "fields", ...numbers.map((name) => field(name, 5, NUMBERS[name])),
    field("stop_strings", 18, [], "\\n: new line, |: or"), make("div", "field", element("label", {}, "stop_at_eos ", eosBox)));
  const root = make("div", "course-widget repetition-lab",
    make("p", "intro", "What do penalties do to a text that repeats itself (marked)? Move the step, then change a setting and press Enter."),
    ask, greyed(model, button, eosBox, ...Object.values(boxes), ...Object.values(sliders)), why, words, buffer, status,
    make("div", "row", element("label", { class: "step" }, "step ", slider), element("label", {}, "mark repeated runs of ", runBox, " tokens"), runWrong),
    fields, todo, stage, make("div", "row", turn("Earlier rows", -PAGE), turn("Later rows", PAGE), notice),
    make("p", "small", ...key("lowered", "logit lowered"), ...key("raised", "raised"), "× banned ● chosen; probability: ", ...key("line", "chosen token"),
      ...key("eos", "end of text"), ...key("after", "the same after penalties")), details);
  const kernel = asking(model, root, status, answered);

  // A text box has no line breaks; a prompt may.
  const flat = () => get("prompt").replace(/[\r\n]/g, "");
  const form = () => [boxes.prompt.value === flat() ? get("prompt") : boxes.prompt.value, {
    ...Object.fromEntries(numbers.map((name) => [name, readNumber(boxes[name].value)])),
    stop_strings: readStops(boxes.stop_strings.value), stop_at_eos: eosBox.checked,
  }];

  function run() {
    const wanted = form();
    for (const name in wrongs) wrongs[name].textContent = numbers.includes(name) ? notANumber(name, wanted[1][name]) : "";
    if (Object.values(wrongs).some((wrong) => wrong.textContent)) return compare();
    sent = JSON.stringify(wanted);
    kernel.ask(...wanted);
    paint();
  }

  /** Say when what is in the boxes has not run. */
  function compare() {
    const older = live && !kernel.waiting && JSON.stringify(form()) !== belongs;
    for (const name in sliders) sliders[name].value = readNumber(boxes[name].value);
    root.classList.toggle("older", older);
    todo.textContent = older ? "These settings have not run: press Run or Enter. What you see is the run before." : "";
  }

  function answered() {
    const problem = kernel.problem, about = namedIn(problem, Object.keys(wrongs));
    for (const name in wrongs) wrongs[name].textContent = name === about ? problem : "";
    trouble = about ? "" : problem;
    paint();
    queueMicrotask(compare); // another run may be waiting, and begins now
  }

  const go = (step) => ids[step] === undefined || kernel.waiting || (set("step", step), (trouble = ""), paint());
  slider.addEventListener("input", () => go(+slider.value));
  whenTyped(runBox, () => {
    const value = readNumber(runBox.value), ok = Number.isInteger(value) && value >= 1;
    runWrong.textContent = ok ? "" : `A run must have a whole number of tokens, at least 1, got ${runBox.value || "nothing"}.`;
    if (ok) set("run_length", value);
  });
  const point = ({ buttons, clientX }) => {
    const svg = stage.firstChild, { left, width } = svg.getBoundingClientRect(), scale = width / svg.viewBox.baseVal.width; // slides enlarge it
    if (buttons) go(Math.floor(((clientX - left) / scale - LEFT) / drawing.column));
  };
  stage.addEventListener("pointerdown", point);
  stage.addEventListener("pointermove", point);

  function load() {
    loaded = get("_logits");
    shown = get("settings");
    ids = get("ids");
    rows = get("rows");
    data = unpack(numbersOf(loaded, Int16Array), numbersOf(get("_chances"), Float32Array), ids.length, rows.length);
    first = marked = 0;
    slider.max = ids.length - 1;
    words.replaceChildren(...get("tokens").map((token) => element("span", {}, token.replaceAll("␣", " "))));
    const values = { ...shown, prompt: flat(), stop_strings: writeStops(shown.stop_strings ?? []) }, stopAtEos = shown.stop_at_eos ?? true;
    const now = JSON.stringify(form());
    if (belongs === undefined || now === belongs || now === sent) { // what was typed meanwhile stays
      for (const name in boxes) boxes[name].value = values[name] ?? "";
      eosBox.checked = stopAtEos;
    }
    belongs = JSON.stringify([get("prompt"), {
      ...Object.fromEntries(numbers.map((name) => [name, shown[name] ?? ""])), stop_strings: [...(shown.stop_strings ?? [])], stop_at_eos: stopAtEos,
    }]);
    draw();
  }

  function draw() {
    drawing = picture(data, rows, ids, first, Math.max(400, Math.min(root.clientWidth - 16, 1000)));
    stage.innerHTML = drawing.source;
    const left = get("held") - rows.length;
    notice.textContent = `${first + 1}–${Math.min(first + PAGE, rows.length)} of ${rows.length} tokens, most changed first${left > 0 ? `; ${left} left out` : ""}`;
  }

  function paint() {
    if (get("_logits") !== loaded || get("settings") !== shown) load();
    const tokens = get("tokens"), step = Math.min(get("step"), ids.length - 1), spans = [...words.children], runs = get("run_length");
    if (marked !== runs) {
      runBox.value = marked = runs;
      repeated(ids, runs).forEach((again, i) => spans[i].classList.toggle("again", again));
    }
    slider.value = step;
    slider.setAttribute("aria-valuetext", `${step + 1} of ${ids.length}, ${quoted(tokens[step])}`);
    spans.forEach(({ classList }, i) => (classList.toggle("later", i > step), classList.toggle("now", i === step)));
    words.scrollTop = spans[step].offsetTop - words.offsetTop - 60;
    stage.querySelector("g").innerHTML = cursor(data, drawing, step, first);
    const held = get("withheld")[step], kind = held && (step === ids.length - 1 ? "cut off" : "held back");
    const seen = characters([...get("text")].slice(0, get("shown")[step]).join("")).slice(-60).join("");
    buffer.replaceChildren("The reader sees: “…", make("b", "token", visible(seen)), "” ", held ? make("span", kind, `${kind}: `, make("span", "token", visible(held))) : "Nothing is held back.");
    const said = `Step ${step + 1} of ${ids.length}: ${quoted(tokens[step])} chosen; the model gave it the probability ${data.chosen[step].toFixed(2)}.`;
    stage.setAttribute("aria-label", `Logit changes of ${rows.length} tokens. ${said}`);
    if (!kernel.waiting) {
      status.className = trouble ? "status problem" : "status";
      status.textContent = trouble || said;
    }
    compare();
    why.textContent = `${get("why")} ${get("differs")}`;
    if (details.open) table(step);
    root.setAttribute("data-model-ms", get("model_milliseconds"));
    markDrawn(root);
  }

  function table(step) {
    const line = (cells, tag) => element("tr", {}, ...cells.map((cell) => element(tag, {}, cell)));
    body.replaceChildren(line(["token", "times before", "logit before", "after", "change"], "th"), ...rows.map(([label, id], row) => {
      const cell = data.cells[row][step], count = ids.slice(0, step).filter((other) => other === id).length;
      return line([make("bdi", "", label), ...(cell ? [count, number(cell.before), number(cell.after), number(cell.change, true)] : [0, "–", "–", "–"])], "td");
    }));
  }

  const watched = "change:answered change:step change:run_length change:settings change:_logits";
  return mount({ model, el }, root, paint, { [watched]: paint }, { kernel, resized: () => (draw(), paint()) });
}

export default { render };
