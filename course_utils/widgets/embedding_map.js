// All layers of the map are here, so that moving through them does not wait for the kernel.

const MOST_LABELS = 60, MOST_LISTED = 12;

/** The point of a word at a layer: [x, y]. */
export const pointOf = (points, words, layer, word) => points.subarray(2 * (layer * words + word), 2 * (layer * words + word) + 2);

/** How far the map must reach so that no point leaves it at any layer. */
export const reachOf = (points) => points.reduce((most, value) => Math.max(most, Math.abs(value)), 0) * 1.1 || 1;

/** Every other word with its cosine to the pinned one at a layer, the most alike first. */
export function ranking(cosines, words, layer, pinned) {
  const rounded = (word) => Math.round(cosines[layer * words + word] * 1e4);
  const others = [...Array(words).keys()].filter((word) => word !== pinned);
  return others.sort((a, b) => rounded(b) - rounded(a) || a - b).map((word) => [word, cosines[layer * words + word]]);
}

/** 0.5 -> "0.50"; never "-0.00" */
export const twoDecimals = (number) => (Math.abs(number) < 0.005 ? "0.00" : number.toFixed(2).replace("-", "−"));

/** What is seen, in a sentence. */
export function summary(names, layers, layer, share, pinned, ranked) {
  const near = ranked.slice(0, 3).map(([word, cosine]) => `${quoted(names[word])} ${twoDecimals(cosine)}`).join(", ");
  const place = layer === 0 ? ", the embedding" : layer === layers - 1 ? ", the last" : "";
  const shown = share ? `the map shows ${Math.round(share * 100)} % of the differences` : "the words don't differ here";
  return `Layer ${layer} of ${layers - 1}${place}: ${shown}. ` +
    (near ? `Nearest to ${quoted(names[pinned])}: ${near}.` : "There is no other word.");
}

/** Where the name of each dot [x, y, letters] is written, the most important first: at the first free place; `taken` isn't. */
export function placeNames(dots, width, taken = []) {
  const free = ([left, top, right, bottom]) => left >= 0 && right <= width &&
    taken.every(([l, t, r, b]) => right < l || left > r || bottom < t || top > b);
  return dots.map(([x, y, letters]) => {
    const wide = 7 * letters;
    for (const down of [-4, 13, 30, -21, 47, -38]) {
      for (const [at, left, anchor] of [[x + 9, x + 9, "start"], [x - 9, x - 9 - wide, "end"]]) {
        const box = [left, y + down - 11, left + wide, y + down + 3];
        if (free(box)) return taken.push(box), { x: at, y: y + down, anchor };
      }
    }
    return { x: x + 9, y: y - 4, anchor: "start" };
  });
}

/** The map as SVG source. */
export function picture({ points, names, texts = names, layers, layer, pinned, near, path, reach, width }) {
  const words = names.length, high = 400, side = Math.min(width, high) / 2, parts = [];
  const place = (at, word) => {
    const [x, y] = pointOf(points, words, at, word);
    return [width / 2 + (x / reach) * side, high / 2 - (y / reach) * side];
  };
  const fixed = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  parts.push(`<path d="M0 ${high / 2}H${width}M${width / 2} 0V${high}" class="axis"/>`,
    `<text x="${width - 4}" y="${high / 2 - 4}" text-anchor="end" class="small">axis 1</text>`,
    `<text x="${width / 2 + 4}" y="10" class="small">axis 2</text>`);
  if (path && layers > 1) {
    const line = (from, to) => `M${[...Array(to - from + 1).keys()].map((i) => fixed(place(from + i, pinned))).join("L")}`;
    if (layer < layers - 1) parts.push(`<path d="${line(layer, layers - 1)}" class="path later"/>`);
    if (layer > 0) parts.push(`<path d="${line(0, layer)}" class="path"/>`);
    const [x, y] = place(0, pinned);
    parts.push(`<path d="M${x - 4} ${y - 4}l8 8m0 -8l-8 8" class="path"/>`,
      `<text x="${x.toFixed(1)}" y="${(y + 16).toFixed(1)}" text-anchor="middle" class="small">layer 0</text>`);
  }
  const here = place(layer, pinned);
  for (const word of near) parts.push(`<path d="M${fixed(here)}L${fixed(place(layer, word))}" class="link"/>`);
  const first = [pinned, ...near], all = words <= MOST_LABELS ? [...Array(words).keys()] : [];
  const named = [...first, ...all.filter((word) => !first.includes(word))];
  const written = placeNames(named.map((word) => [...place(layer, word), [...names[word]].length + 4 * near.includes(word)]), width, [[width - 40, high / 2 - 14, width, high / 2]]);
  for (let word = 0; word < words; word++) {
    const [x, y] = place(layer, word), rank = near.indexOf(word), name = escapeText(names[word]);
    const mark = word === pinned ? `<path d="M${x} ${y - 8}l8 8l-8 8l-8 -8z" class="pin"/>`
      : `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${rank < 0 ? 4 : 6}" class="${rank < 0 ? "dot" : "dot near"}"/>`;
    parts.push(`<g data-word="${word}"><title>${escapeText(texts[word])}</title>${mark}`);
    const at = written[named.indexOf(word)];
    if (at) {
      const bold = word === pinned ? ' class="bold"' : "", where = `x="${at.x.toFixed(1)}" y="${at.y.toFixed(1)}" text-anchor="${at.anchor}"`;
      parts.push(`<text ${where}${bold}>\u2068${name}\u2069${rank < 0 ? "" : ` (${rank + 1})`}</text>`);
    }
    parts.push("</g>");
  }
  return `<svg viewBox="0 0 ${width} ${high}" width="${width}" height="${high}">${parts.join("")}</svg>`;
}

/** Cosine with the pinned word over the layers: every word thin, the compared one thick. */
export function curvePicture({ cosines, names, layers, layer, pinned, compared, width }) {
  const words = names.length, high = 150, left = 40, low = Math.min(0.9, Math.floor(Math.min(...cosines) * 10) / 10);
  const x = (at) => left + (layers > 1 ? at / (layers - 1) : 0.5) * (width - left - 12);
  const y = (value) => 12 + ((1 - value) / (1 - low)) * (high - 34);
  const line = (word) => `M${[...Array(layers).keys()].map((at) => `${x(at).toFixed(1)} ${y(cosines[at * words + word]).toFixed(1)}`).join("L")}`;
  const parts = [];
  for (let word = 0; word < Math.min(words, MOST_LABELS); word++) {
    if (word !== pinned && word !== compared) parts.push(`<path d="${line(word)}" class="thin"/>`);
  }
  const value = cosines[layer * words + compared];
  parts.push(`<path d="${line(compared)}" class="thick"/>`, `<path d="M${x(layer)} 8V${high - 20}" class="here"/>`,
    `<circle cx="${x(layer)}" cy="${y(value)}" r="5" class="dot near"/>`);
  for (const mark of [1, (1 + low) / 2, low]) {
    parts.push(`<text x="${left - 6}" y="${y(mark) + 4}" text-anchor="end" class="small">${twoDecimals(mark)}</text>`);
  }
  parts.push(`<text x="${x(0)}" y="${high - 4}" class="small">layer 0</text>`,
    `<text x="${x(layers - 1)}" y="${high - 4}" text-anchor="end" class="small">${layers - 1}</text>`);
  return `<svg viewBox="0 0 ${width} ${high}" width="${width}" height="${high}">${parts.join("")}</svg>`;
}

const floatsOf = (view) => new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

function render({ model, el }) {
  let source, points, cosines, reach, widthDrawn;
  const set = (name, value) => write(model, { [name]: value });
  const named = (label, control) => element("label", { class: "named" }, `${label} `, control);
  // The cosines with another word come from the kernel.
  const pinWord = (number) => pin.disabled || kernel.ask("pin", number);
  const slider = (name, label, max) => {
    const range = element("input", { type: "range", min: 0, max, step: 1, "data-trait": name, "aria-label": label });
    range.addEventListener("input", () => set(name, +range.value));
    return range;
  };
  const layer = slider("layer", "layer", 0), neighbours = slider("neighbours", "neighbours", 10);
  const pin = element("select", { "data-trait": "pinned" }), compare = element("select", { "data-trait": "compared" });
  pin.addEventListener("change", () => pinWord(+pin.value));
  compare.addEventListener("change", () => set("compared", +compare.value));
  const path = element("input", { type: "checkbox" });
  path.addEventListener("change", () => set("path", path.checked));
  const live = model.get("can_run"), intro = element("p", { class: "intro" },
    "Words that the model treats alike are near each other. Move the layer slider, and watch where a word goes.");
  const map = element("div", { class: "map", role: "img" }), curve = element("div", { class: "curve", role: "img" });
  map.addEventListener("click", (event) => {
    const found = event.target.closest("[data-word]");
    if (found) pinWord(+found.dataset.word);
  });
  const status = element("div", { class: "status", "aria-live": "polite" });
  const wrong = element("div", { class: "problem", role: "alert" });
  const heading = element("div", { class: "heading" }), list = element("table"), table = element("table");
  const details = element("details", {}, element("summary", {}, "Show as table"), table);
  const text = element("input", { type: "text", "aria-label": "one more text", placeholder: "one more text" });
  const word = element("input", { type: "text", size: 12, "aria-label": "word in it", placeholder: "word in it" });
  const add = element("button", { type: "button" }, "Add");
  function run() {
    wrong.textContent = "";
    kernel.ask("add", text.value, word.value);
  }
  add.addEventListener("click", run);
  for (const box of [text, word]) onEnter(box, run);
  const root = element("div", { class: "course-widget embedding-map" }, intro, heading,
    element("div", { class: "row" }, named("layer", layer), named("pinned", pin), named("compared", compare)),
    element("div", { class: "row" }, named("neighbours", neighbours), named("path of the pinned word", path)),
    element("div", { class: "row ask" }, text, word, add, greyed(model, text, word, add), wrong), status, map, element("div", { class: "below" }, list, curve), details);

  const later = together(() => keepFocus(root, paint)), kernel = asking(model, root, status, later);
  pin.disabled = !live && !model.widget_manager?.kernel;
  if (pin.disabled) pin.title = "Another word needs the kernel.";

  function read() {
    const names = model.get("words");
    source = model.get("_points");
    points = floatsOf(source);
    reach = reachOf(points);
    layer.max = model.get("explained").length - 1;
    for (const select of [pin, compare]) {
      select.replaceChildren(...names.map((name, i) => element("option", { value: i, title: model.get("texts")[i] }, name)));
    }
  }

  const rowOf = (cells, kind) => element("tr", {}, ...cells.map((cell) => element(kind, {}, cell)));
  function bar(cosine) {
    const shown = element("span", { class: "bar", style: `width:${Math.max(0, cosine) * 60}px`, "aria-hidden": "true" });
    return element("span", {}, shown, ` ${twoDecimals(cosine)}`);
  }

  function paint() {
    if (source !== model.get("_points")) read();
    widthDrawn = root.clientWidth;
    const names = model.get("words"), texts = model.get("texts"), explained = model.get("explained");
    const [at, pinned, compared] = ["layer", "_of", "compared"].map((name) => model.get(name));
    cosines = floatsOf(model.get("_cosines"));
    const layers = explained.length, ranked = ranking(cosines, names.length, at, pinned);
    if (!kernel.waiting) pin.value = pinned; // arrow keys may be ahead of the kernel
    [layer.value, compare.value, neighbours.value, path.checked] = [at, compared, model.get("neighbours"), model.get("path")];
    heading.textContent = `${model.get("source")}: ${names.length} words · ${quoted(names[pinned])} in ${quoted(texts[pinned])}`;
    const width = Math.max(280, Math.min(root.clientWidth - 16, 760));
    const near = ranked.slice(0, model.get("neighbours")).map(([other]) => other);
    map.innerHTML = picture({ points, names, texts, layers, layer: at, pinned, near, path: model.get("path"), reach, width });
    const words = summary(names, layers, at, explained[at], pinned, ranked);
    map.setAttribute("aria-label", `Embedding map. ${words}`);
    const hidden = names.length > MOST_LABELS ? ` Only the pinned word and its neighbours are named: ${names.length} names don't fit.` : "";
    if (!kernel.waiting) status.textContent = words + hidden;
    wrong.textContent = kernel.problem;
    const listed = ranked.slice(0, MOST_LISTED), left = ranked.length - listed.length;
    list.replaceChildren(element("caption", {}, `cosine with ${quoted(names[pinned])}`),
      ...listed.map(([other, cosine]) => rowOf([names[other], bar(cosine), cut(texts[other], 44)], "td")),
      ...(left ? [rowOf(["", "", `… ${left} more`], "td")] : []));
    curve.innerHTML = curvePicture({ cosines, names, layers, layer: at, pinned, compared, width: Math.min(330, width) });
    const ends = [0, at, layers - 1].map((where) => `${twoDecimals(cosines[where * names.length + compared])} at layer ${where}`);
    curve.setAttribute("aria-label", `Cosine of ${quoted(names[pinned])} and ${quoted(names[compared])} through the layers: ${ends.join(", ")}.`);
    if (details.open) {
      const rows = names.map((name, i) => [name, ...Array.from(pointOf(points, names.length, at, i), twoDecimals), twoDecimals(cosines[at * names.length + i]), texts[i]]);
      table.replaceChildren(rowOf(["word", "axis 1", "axis 2", `cosine with ${names[pinned]}`, "text"], "th"), ...rows.map((row) => rowOf(row, "td")));
    }
    markDrawn(root);
  }
  details.addEventListener("toggle", paint);
  const watched = "change:layer change:compared change:neighbours change:path change:_cosines change:_points change:problem";
  return mount({ model, el }, root, paint, { [watched]: later }, { kernel, resized: () => root.clientWidth !== widthDrawn && paint() });
}

export default { render };
