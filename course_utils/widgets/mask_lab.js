// Pure functions first (tests import them), then the page. The kernel has run every setting; switching only reads.

/** May the token in column `query` look at the one in column `key`? The rules of traces/masks.py. */
export function allows({ kind, window, left, masked }, length, width, query, key) {
  const first = masked && left ? width - length : 0, end = masked && !left ? length : width;
  if (key < first || key >= end) return false;
  if (kind === "none") return true;
  if (key > query) return false;
  if (kind === "causal") return true;
  return key > query - window || (kind === "window + first token" && key === first);
}

/** The allowed cells of every row as runs [query, start, end); a row with none looks at itself: softmax needs one. */
export function runs(setting, length, width) {
  const found = [];
  for (let query = 0; query < width; query++) {
    const before = found.length;
    for (let key = 0, start = -1; key <= width; key++) {
      const may = key < width && allows(setting, length, width, query, key);
      if (may && start < 0) start = key;
      if (!may && start >= 0) found.push([query, start, key]), (start = -1);
    }
    if (found.length === before) found.push([query, query, query + 1]);
  }
  return found;
}

/** The column whose logits are read: the one of the blank, where the prompt has one. */
export function readsAt(padding, length, width, blank = null) {
  if (blank !== null) return blank + (padding === "left" ? width - length : 0);
  return padding.endsWith("last token") ? length - 1 : width - 1;
}

/** Tokens in their columns, null for padding. */
export function columns(tokens, width, left) {
  const pads = Array(width - tokens.length).fill(null);
  return left ? [...pads, ...tokens] : [...tokens, ...pads];
}

const leader = (best) => best.reduce((a, b) => (b[2] > a[2] ? b : a))[0];

/** Does another token lead in the batch than alone? */
export const isWrong = ({ best }) => leader(best) !== best[0][0];

/** What one prompt says now, in a sentence. */
export function sentence({ best, moved }, read) {
  const now = leader(best), alone = best[0][0];
  const winner = now === alone ? `${quoted(now)} still leads` : `${quoted(now)} leads, alone it was ${quoted(alone)}`;
  return `Read at ${read === null ? "padding" : quoted(read)}: ${winner}. ${percent(moved)} of the probability moved.`;
}

/** What this setting does to the batch. */
export function verdict(results) {
  const said = results.flatMap((result, i) => {
    if (isWrong(result)) return `Prompt ${i + 1} is wrong now: ${quoted(leader(result.best))} instead of ${quoted(result.best[0][0])}.`;
    return result.moved > 0.005 ? `Prompt ${i + 1} has moved by ${percent(result.moved)}.` : [];
  });
  return said.join(" ") || "Every prompt says what it says alone.";
}

const SIZE = 210, NAMED = 16;

/** One prompt's grid as SVG source. */
export function grid(setting, tokens, padding, width, blank = null) {
  const left = setting.left, place = columns(tokens, width, left), cell = Math.min(18, SIZE / width);
  const named = width <= NAMED, x0 = named ? 78 : 16, y0 = 14, side = cell * width, parts = [];
  const id = `hatch-${Math.random().toString(36).slice(2)}`;
  parts.push(`<defs><pattern id="${id}" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="1.5" height="5" class="stripe"/></pattern></defs>`);
  const at = (from, place) => (from + place * cell).toFixed(2); // each row ends exactly where the next begins, or a seam shows
  const path = runs(setting, tokens.length, width).map(([q, a, b]) => `M${at(x0, a)} ${at(y0, q)}H${at(x0, b)}V${at(y0, q + 1)}H${at(x0, a)}z`).join("");
  parts.push(`<path d="${path}" class="may" shape-rendering="crispEdges"/>`);
  const pads = width - tokens.length, from = left ? 0 : tokens.length;
  if (pads) parts.push(`<rect x="${x0 + from * cell}" y="${y0}" width="${pads * cell}" height="${side}" fill="url(#${id})" class="pad"/>`);
  if (named) for (let i = 1; i < width; i++) parts.push(`<path d="M${x0} ${y0 + i * cell}h${side}M${x0 + i * cell} ${y0}v${side}" class="line"/>`);
  parts.push(`<rect x="${x0}" y="${y0}" width="${side}" height="${side}" class="frame"/>`);
  const read = readsAt(padding, tokens.length, width, blank);
  parts.push(`<rect x="${x0}" y="${y0 + read * cell}" width="${side}" height="${Math.max(cell, 2)}" class="read"/>`);
  parts.push(`<text x="${x0 + side + 4}" y="${y0 + read * cell + cell / 2 + 4}" class="small">◀ read</text>`);
  if (named) place.forEach((token, i) => parts.push(`<text x="${x0 - 5}" y="${y0 + i * cell + cell / 2 + 4}" text-anchor="end" class="${token === null ? "gone" : "small"}">${escapeText(token === null ? "padding" : cut(token, 9))}</text>`));
  parts.push(`<text x="${x0}" y="10" class="small">looked at →</text>`);
  return `<svg viewBox="0 0 ${x0 + SIZE + 50} ${y0 + side + 4}" width="${x0 + SIZE + 50}">${parts.join("")}</svg>`;
}

/** One prompt's bars, alone and now, as SVG source. */
export function bars(best) {
  const x0 = 106, room = 122, row = 26, parts = []; // the same scale for every prompt
  best.forEach(([label, alone, now], i) => {
    const y = i * row;
    parts.push(`<text x="${x0 - 6}" y="${y + 16}" text-anchor="end">${escapeText(cut(label, 13))}</text>`);
    parts.push(`<rect x="${x0}" y="${y + 2}" width="${Math.max(alone * room, 0.5)}" height="9" class="alone"/>`);
    parts.push(`<rect x="${x0}" y="${y + 13}" width="${Math.max(now * room, 0.5)}" height="9" class="now"/>`);
    parts.push(`<text x="${x0 + alone * room + 4}" y="${y + 10}" class="tiny">${percent(alone)}</text>`);
    parts.push(`<text x="${x0 + now * room + 4}" y="${y + 22}" class="tiny">${percent(now)}</text>`);
  });
  return `<svg viewBox="0 0 276 ${best.length * row + 2}" width="276">${parts.join("")}</svg>`;
}

function render({ model, el }) {
  const group = Math.random().toString(36).slice(2); // radio groups of two labs on a page must not be one
  let shownBatch = null, ran;
  const set = (name, value) => write(model, { [name]: value });
  function radios(name, values, title) {
    const inputs = values.map((value, i) => element("input", { type: "radio", name: `${name}-${group}`, id: `${name}-${i}-${group}`, onchange: () => set(name, value) }));
    const show = () => inputs.forEach((input, i) => (input.checked = model.get(name) === values[i]));
    const all = inputs.map((input, i) => element("span", { class: "choice" }, input, element("label", { for: input.id }, values[i] === "none" ? "none (all see all)" : values[i])));
    return { show, all: element("fieldset", {}, element("legend", {}, title), ...all) };
  }
  const kind = radios("kind", model.get("kinds"), "mask");
  const padding = radios("padding", model.get("paddings"), "padding");
  const check = element("input", { type: "checkbox", id: `masked-${group}`, onchange: () => set("masked", check.checked) });
  const masked = element("fieldset", {}, element("legend", {}, "attention mask"), element("span", { class: "choice" }, check, element("label", { for: check.id }, "hide the padding")));

  const boxes = [0, 1, 2, 3].map((i) => element("input", { type: "text", placeholder: `prompt ${i + 1}`, "aria-label": `prompt ${i + 1}; empty: left out` }));
  const window_ = element("input", { type: "number", min: 1, step: 1, "aria-label": "tokens in the sliding window" });
  const button = element("button", { type: "button", onclick: run }, "Run"), all = [...boxes, window_];
  const wrong = element("div", { class: "problem", role: "alert" }), older = element("div");
  const status = element("div", { class: "status verdict", "aria-live": "polite" });
  const rows = element("div", { class: "rows" }), notice = element("p", { class: "notice" });
  const table = element("tbody");
  const details = element("details", {}, element("summary", {}, "Show as table"), element("table", {}, table));
  const ask = element("div", { class: "ask" }, ...boxes, element("label", {}, "window ", window_), button,
    greyed(model, ...all, button));
  const legend = element("p", { class: "legend" }, "Each row is a token that looks: ", element("span", { class: "key may" }), " it may look there, ",
    element("span", { class: "key stripes" }), " padding, ", element("span", { class: "key read" }), " the row that is read. Bars: ",
    element("span", { class: "key alone" }), " the prompt alone, ", element("span", { class: "key now" }), " in this batch.");
  const results = element("div", {}, legend, rows, notice, details);
  const root = element("div", { class: "course-widget mask-lab" },
    element("p", { class: "intro" }, "One batch, and who may look at whom in it. Pad on the right, or show the padding: which prompt goes wrong?"),
    ask, wrong, element("div", { class: "settings" }, kind.all, padding.all, masked), status, older, results);
  const kernel = asking(model, root, status, paint, "Running every setting …");

  function run() {
    ran = all.map((box) => box.value);
    kernel.ask(boxes.map((box) => box.value), readNumber(window_.value));
    wrong.textContent = "";
    mark();
  }
  const mark = () => markOlder(results, older, shownBatch.prompts.join(" · "), all.some((box, i) => box.value !== ran[i]), kernel.problem);
  all.forEach((box) => (onEnter(box, run), box.addEventListener("input", mark)));

  function paint() {
    const { prompts, tokens, window, blanks, results } = model.get("batch"), pad = model.get("padding"), on = model.get("masked");
    if (shownBatch !== model.get("batch")) {
      shownBatch = model.get("batch");
      if (!ran || all.every((box, i) => box.value === ran[i])) { // what was typed meanwhile stays
        boxes.forEach((box, i) => (box.value = prompts[i] ?? ""));
        window_.value = window;
        ran = all.map((box) => box.value);
      }
    }
    kind.show();
    padding.show();
    check.checked = on;
    const setting = { kind: model.get("kind"), window, left: pad === "left", masked: on };
    const width = Math.max(...tokens.map((row) => row.length));
    const chosen = results[model.get("kinds").indexOf(setting.kind)][model.get("paddings").indexOf(pad)][+on];
    const said = [];
    rows.replaceChildren(...chosen.map((result, i) => {
      const blank = blanks ? blanks[i] : null;
      const read = columns(tokens[i], width, setting.left)[readsAt(pad, tokens[i].length, width, blank)];
      said.push(sentence(result, read));
      const picture = element("div", { class: "picture", role: "img", "aria-label": `Prompt ${i + 1}, ${width - tokens[i].length} of ${width} columns are padding. ${said[i]}` });
      picture.innerHTML = grid(setting, tokens[i], pad, width, blank) + bars(result.best);
      return element("section", {}, element("b", {}, `${i + 1} · `, element("bdi", {}, cut(prompts[i], 70))),
        element("div", { class: result.moved > 0.005 ? "said moved" : "said" }, `${result.moved > 0.005 ? "≠" : "="} ${said[i]}`), picture);
    }));
    notice.textContent = width > NAMED ? `Grids over ${NAMED} tokens are drawn without the tokens' names.` : "";
    if (!kernel.waiting) {
      wrong.textContent = kernel.problem;
      status.className = `status verdict${chosen.some(isWrong) ? " bad" : ""}`; // without it while it runs
      status.textContent = wrong.textContent ? "" : verdict(chosen);
    }
    mark();
    if (details.open) fillTable(chosen, prompts);
    markDrawn(root);
  }

  function fillTable(chosen, prompts) {
    const lines = [["prompt", "token", "alone", "in this batch"]];
    chosen.forEach(({ best }, i) => best.forEach(([label, a, b]) => lines.push([prompts[i], label, a, b])));
    table.replaceChildren(...lines.map((row, i) => element("tr", {}, ...row.map((c) => element(i ? "td" : "th", {}, String(c))))));
  }

  details.addEventListener("toggle", paint);
  return mount({ model, el }, root, paint, { "change:kind change:padding change:masked change:batch": paint }, { kernel });
}

export default { render };
