// All layers are here, so that moving through them does not wait for the kernel.

const MOST_LABELS = 60, MOST_LISTED = 12;

/** The point of a word at a layer: [x, y]. */
export const pointOf = (points, words, layer, word) => points.subarray(2 * (layer * words + word), 2 * (layer * words + word) + 2);

const svgOf = (width, high, parts) => `<svg viewBox="0 0 ${width} ${high}" width="${width}" height="${high}">${parts.join("")}</svg>`;

/** How far the map reaches, [x, y], for the points of a layer or of all; equal words stay together. */
export function reachOf(points, words, layer) {
  const far = (from, to) => [0, 1].map((axis) => points.slice(from, to).reduce((most, value, i) => (i % 2 === axis ? Math.max(most, Math.abs(value)) : most), 0));
  const all = far(0), most = Math.max(...all) || 1;
  return (layer === undefined ? all : far(2 * layer * words, 2 * (layer + 1) * words)).map((one) => Math.max(one * 1.1, most / 20));
}

/** The cosines with the pinned word, where those of all pairs are there; else of the only word that is. */
export function cosinesOf(all, layers, words, pinned) {
  const one = layers * words;
  return all.length > one ? all.subarray(pinned * one, (pinned + 1) * one) : all;
}

/** A dot: the senses are circles and squares in turn, the pinned word is a diamond. */
function dotOf(x, y, r, sense, kind) {
  const form = kind === "pin" ? `m0-${r}l${r} ${r}l-${r} ${r}l-${r}-${r}z`
    : sense % 2 === 1 ? `m-${r}-${r}h${2 * r}v${2 * r}h-${2 * r}z` : `m-${r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0-${2 * r} 0z`;
  return `<path d="M${x.toFixed(1)} ${y.toFixed(1)}${form}" class="${kind}${tint(sense)}"/>`;
}

const tint = (sense) => (sense >= 0 ? ` s${sense}` : "");

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

/** Where the name of each dot [x, y, letters] goes, the most important first: at the first free place. */
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
export function picture({ points, names, texts = names, senses = [], layers, layer, pinned, near, path, reach, width }) {
  const words = names.length, high = 400, scale = Math.min(width / reach[0], high / reach[1]) / 2, parts = [];
  const place = (at, word) => {
    const [x, y] = pointOf(points, words, at, word);
    return [width / 2 + x * scale, high / 2 - y * scale];
  };
  const fixed = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  parts.push(`<path d="M0 ${high / 2}H${width}M${width / 2} 0V${high}" class="axis"/>`,
    `<text x="${width - 4}" y="${high / 2 - 4}" text-anchor="end" class="small">axis 1</text>`,
    `<text x="${width / 2 + 4}" y="10" class="small">axis 2</text>`);
  if (path && layers > 1) {
    const line = (from, to) => `M${[...Array(to - from + 1).keys()].map((i) => fixed(place(from + i, pinned))).join("L")}`;
    if (layer < layers - 1) parts.push(`<path d="${line(layer, layers - 1)}" class="path later"/>`);
    if (layer > 0) parts.push(`<path d="${line(0, layer)}" class="path"/>`);
    for (const end of new Set([0, layers - 1])) {
      const [x, y] = place(end, pinned);
      if (end !== layer) parts.push(`<path d="M${x - 4} ${y - 4}l8 8m0 -8l-8 8" class="path"/>`,
        `<text x="${Math.round(x)}" y="${Math.round(y) + 16}" text-anchor="middle" class="small">layer ${end}</text>`);
    }
  }
  const here = place(layer, pinned);
  for (const word of near) parts.push(`<path d="M${fixed(here)}L${fixed(place(layer, word))}" class="link"/>`);
  const first = [pinned, ...near], all = words <= MOST_LABELS ? [...Array(words).keys()] : [];
  const named = [...first, ...all.filter((word) => !first.includes(word))];
  const written = placeNames(named.map((word) => [...place(layer, word), [...names[word]].length + 4 * near.includes(word)]), width, [[width - 40, high / 2 - 14, width, high / 2]]);
  for (let word = 0; word < words; word++) {
    const [x, y] = place(layer, word), rank = near.indexOf(word), sense = senses[word];
    const mark = word === pinned ? dotOf(x, y, 9, sense, "pin") : rank < 0 ? dotOf(x, y, 4, sense, "dot") : dotOf(x, y, 6, sense, "dot near");
    parts.push(`<g data-word="${word}"><title>${escapeText(texts[word])}</title>${mark}`);
    const at = written[named.indexOf(word)];
    if (at) {
      const bold = word === pinned ? ' class="bold"' : "", where = `x="${at.x.toFixed(1)}" y="${at.y.toFixed(1)}" text-anchor="${at.anchor}"`;
      parts.push(`<text ${where}${bold}>\u2068${escapeText(names[word])}\u2069${rank < 0 ? "" : ` (${rank + 1})`}</text>`);
    }
    parts.push("</g>");
  }
  return svgOf(width, high, parts);
}

/** Cosine with the pinned word over the layers: every word thin, the compared one thick. */
export function curvePicture({ cosines, names, senses = [], layers, layer, pinned, compared, width }) {
  const words = names.length, high = 150, left = 40, low = Math.min(0.9, Math.floor(Math.min(...cosines) * 10) / 10);
  const x = (at) => left + (layers > 1 ? at / (layers - 1) : 0.5) * (width - left - 12);
  const y = (value) => 12 + ((1 - value) / (1 - low)) * (high - 34);
  const line = (word) => `M${[...Array(layers).keys()].map((at) => `${x(at).toFixed(1)} ${y(cosines[at * words + word]).toFixed(1)}`).join("L")}`;
  const parts = [];
  for (let word = 0; word < Math.min(words, MOST_LABELS); word++) {
    if (word !== pinned && word !== compared) parts.push(`<path d="${line(word)}" class="thin${tint(senses[word])}"/>`);
  }
  const value = cosines[layer * words + compared];
  parts.push(`<path d="${line(compared)}" class="thick"/>`, `<path d="M${x(layer)} 8V${high - 20}" class="here"/>`,
    `<circle cx="${x(layer)}" cy="${y(value)}" r="5" class="dot near"/>`);
  for (const mark of [1, (1 + low) / 2, low]) {
    parts.push(`<text x="${left - 6}" y="${y(mark) + 4}" text-anchor="end" class="small">${twoDecimals(mark)}</text>`);
  }
  parts.push(`<text x="${x(0)}" y="${high - 4}" class="small">layer 0</text>`,
    `<text x="${x(layers - 1)}" y="${high - 4}" text-anchor="end" class="small">${layers - 1}</text>`);
  return svgOf(width, high, parts);
}

const floatsOf = (view) => numbersOf(view, Float32Array);

function render({ model, el }) {
  let source, points, cosines, widthDrawn;
  const get = (name) => model.get(name);
  const set = (name, value) => write(model, { [name]: value });
  const named = (label, control) => element("label", { class: "named" }, `${label} `, control);
  // Of many words, the cosines come from the kernel.
  const isPaired = () => get("_cosines").byteLength > 4 * get("words").length * get("explained").length;
  const pinWord = (number) => (isPaired() ? set("pinned", number) : pin.disabled || kernel.ask("pin", number));
  const slider = (name, max) => element("input", { type: "range", min: 0, max, "data-trait": name, "aria-label": name, oninput: ({ target }) => set(name, +target.value) });
  const choice = (name, choose) => element("select", { "data-trait": name, onchange: ({ target }) => choose(+target.value) });
  const tick = (name) => element("input", { type: "checkbox", onchange: ({ target }) => set(name, target.checked) });
  const field = (label, size) => element("input", { type: "text", size, "aria-label": label, placeholder: label });
  const layer = slider("layer", 0), neighbours = slider("neighbours", 10);
  const pin = choice("pinned", pinWord), compare = choice("compared", (word) => set("compared", word));
  const path = tick("path"), fixed = tick("fixed"), intro = element("p", { class: "intro" },
    "Words that the model treats alike are near each other. Move the layer slider: where does the pinned word go?");
  const map = element("div", { class: "map", role: "img", onclick: ({ target }) => target.closest("[data-word]") && pinWord(+target.closest("[data-word]").dataset.word) }), curveName = element("b"), curve = element("div", { class: "curve", role: "img" });
  const status = element("div", { class: "status", "aria-live": "polite" });
  const wrong = element("div", { class: "problem", role: "alert" });
  const heading = element("div", { class: "heading" }), list = element("table"), table = element("table");
  const details = element("details", {}, element("summary", {}, "Show as table"), table);
  const text = field("one more text", 20), word = field("word in it", 12);
  const add = element("button", { type: "button", onclick: run }, "Add"), legend = element("p", { class: "legend" });
  function run() {
    wrong.textContent = "";
    kernel.ask("add", text.value, word.value);
  }
  for (const box of [text, word]) onEnter(box, run);
  const root = element("div", { class: "course-widget embedding-map" }, intro, heading,
    element("div", { class: "row" }, named("layer", layer), named("pinned", pin), named("compared", compare)),
    element("div", { class: "row" }, named("neighbours", neighbours), named("path of the pinned word", path), named("same axes at every layer", fixed)),
    element("div", { class: "row ask" }, text, word, add, greyed(model, text, word, add), wrong), status,
    element("div", { class: "views" }, element("div", {}, map, legend), element("div", { class: "below" }, list, element("div", {}, curveName, curve))), details);

  const later = together(() => keepFocus(root, paint)), kernel = asking(model, root, status, later);
  pin.disabled = !get("can_run") && !model.widget_manager?.kernel && !isPaired();

  function read() {
    const names = get("words");
    source = get("_points");
    points = floatsOf(source);
    layer.max = get("explained").length - 1;
    for (const select of [pin, compare]) {
      select.replaceChildren(...names.map((name, i) => element("option", { value: i, title: get("texts")[i] }, name)));
    }
  }

  const rowOf = (cells, kind) => element("tr", {}, ...cells.map((cell) => element(kind, {}, cell)));
  const bar = (cosine) => element("span", {}, element("span", { class: "bar", style: `width:${Math.max(0, cosine) * 60}px` }), ` ${twoDecimals(cosine)}`);
  const key = (sense, kind) => {
    const made = element("span", { class: "key" });
    made.innerHTML = svgOf(16, 16, [dotOf(8, 8, 6, sense, kind)]);
    return made;
  };

  function paint() {
    if (source !== get("_points")) read();
    widthDrawn = root.clientWidth;
    const [names, texts, explained] = ["words", "texts", "explained"].map(get);
    const [at, pinned, compared] = ["layer", isPaired() ? "pinned" : "_of", "compared"].map(get);
    const known = [...new Set(get("senses"))].filter(Boolean), senses = get("senses").map((sense) => known.indexOf(sense));
    cosines = cosinesOf(floatsOf(get("_cosines")), explained.length, names.length, pinned);
    const layers = explained.length, ranked = ranking(cosines, names.length, at, pinned);
    const near = ranked.slice(0, get("neighbours")).map(([other]) => other), shown = { points, cosines, names, texts, senses, layers, layer: at, pinned };
    if (!kernel.waiting) pin.value = pinned; // arrow keys may be ahead of the kernel
    [layer.value, compare.value, neighbours.value, path.checked, fixed.checked] = [at, compared, ...["neighbours", "path", "fixed"].map(get)];
    heading.textContent = `${get("source")}: ${names.length} words · ${quoted(names[pinned])} in ${quoted(texts[pinned])}`;
    const width = Math.max(280, Math.min(root.clientWidth - 16, 680));
    legend.replaceChildren(...known.flatMap((sense, i) => [key(i, "dot"), ` ${sense} `]), key(senses[pinned], "pin"), " pinned" +
      (near.length ? "; orange: to its nearest" : "") + (path.checked ? "; grey: its way, dotted after this layer" : ""));
    map.innerHTML = picture({ ...shown, near, path: path.checked, reach: reachOf(points, names.length, fixed.checked ? undefined : at), width });
    const words = summary(names, layers, at, explained[at], pinned, ranked);
    map.setAttribute("aria-label", `Embedding map. ${words}`);
    const hidden = names.length > MOST_LABELS ? ` Only the pinned word and its nearest are named: ${names.length} names don't fit.` : "";
    if (!kernel.waiting) status.textContent = words + hidden;
    wrong.textContent = kernel.problem;
    const listed = ranked.slice(0, MOST_LISTED), left = ranked.length - listed.length;
    list.replaceChildren(element("caption", {}, `cosine with ${quoted(names[pinned])}`),
      ...listed.map(([other, cosine]) => rowOf([names[other], bar(cosine), cut(texts[other], 44)], "td")),
      ...(left ? [rowOf(["", "", `… ${left} more`], "td")] : []));
    curveName.textContent = `cosine with ${quoted(names[pinned])} at every layer; thick: ${quoted(names[compared])}`;
    curve.innerHTML = curvePicture({ ...shown, compared, width: Math.min(330, width) });
    const ends = [0, at, layers - 1].map((where) => `${twoDecimals(cosines[where * names.length + compared])} at layer ${where}`);
    curve.setAttribute("aria-label", `${curveName.textContent}: ${ends.join(", ")}.`);
    if (details.open) {
      const rows = names.map((name, i) => [name, ...Array.from(pointOf(points, names.length, at, i), twoDecimals), twoDecimals(cosines[at * names.length + i]), texts[i]]);
      table.replaceChildren(rowOf(["word", "axis 1", "axis 2", `cosine with ${names[pinned]}`, "text"], "th"), ...rows.map((row) => rowOf(row, "td")));
    }
    markDrawn(root);
  }
  details.addEventListener("toggle", paint);
  const watched = "change:layer change:compared change:neighbours change:path change:fixed change:pinned change:senses change:_cosines change:_points change:problem";
  return mount({ model, el }, root, paint, { [watched]: later }, { kernel, resized: () => root.clientWidth !== widthDrawn && paint() });
}

export default { render };
