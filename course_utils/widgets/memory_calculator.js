// Pure functions first (tests import them), then the page. The rules of measuring/memory_budget.py, in bytes.

export const PARTS = ["weights", "KV cache", "attention scores", "hidden states and logits"];

/** A number that is being computed with: as in the cache, but at least 16 bits. */
const active = (set, formats) => Math.max(formats[set.cache], 2);

/** Bytes of each of PARTS. */
export function parts(shape, set, formats) {
  const { context, batch } = set, one = active(set, formats);
  return [
    shape.parameters * formats[set.dtype],
    2 * shape.layers * set.heads * shape.head_dim * context * batch * formats[set.cache],
    set.naive ? shape.query_heads * context * context * batch * one : 0,
    (shape.hidden_size * context + shape.vocab_size * (set.all ? context : 1)) * batch * one,
  ];
}

export const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];

/** "538 MB", "46.1 kB", "7 B": three digits, in units of 1,000. */
export function sizeText(bytes) {
  let unit = 0;
  for (; bytes >= 999.5 && unit < UNITS.length - 1; unit++) bytes /= 1000;
  const digits = bytes >= 99.95 || !unit ? 0 : bytes >= 9.995 ? 1 : 2;
  return `${(Math.floor(bytes * 10 ** digits + 0.5) / 10 ** digits).toFixed(digits)} ${UNITS[unit]}`;
}

/** The KV heads to compare with: one a query head, and where it is so already, one for all. */
const otherHeads = (shape, heads) => (heads === shape.query_heads ? 1 : shape.query_heads);

/** The bars: as set, and with one thing changed in each. */
export function rows(shape, set, formats) {
  const other = otherHeads(shape, set.heads);
  return [["as set", {}], ["context × 2", { context: 2 * set.context }], ["batch × 2", { batch: 2 * set.batch }],
    [plural(other, "KV head"), { heads: other }]].map(([name, change]) => [name, parts(shape, { ...set, ...change }, formats)]);
}

/** Every part's formula with the numbers of now. */
export function formulas(shape, set, formats) {
  const tokens = thousands(set.context), texts = plural(set.batch, "text"), one = active(set, formats);
  const bytes = (count) => `${count} byte${count === 1 ? "" : "s"}`;
  return [
    `${thousands(shape.parameters)} parameters × ${bytes(formats[set.dtype])}`,
    `2 × ${shape.layers} layers × ${plural(set.heads, "KV head")} × ${shape.head_dim} × ${tokens} tokens × ${texts} × ${bytes(formats[set.cache])}`,
    set.naive ? `${shape.query_heads} heads × ${tokens} × ${tokens} tokens × ${texts} × ${bytes(one)}, of one layer` : "not written down",
    `(${thousands(shape.hidden_size)} × ${tokens} tokens + ${thousands(shape.vocab_size)} × ${set.all ? tokens : 1}) × ${texts} × ${bytes(one)}`,
  ];
}

/** A context that is longer than the model can read, in a sentence, or "". */
export const warning = (name, shape, context) => context <= shape.context_length ? ""
  : `⚠ ${thousands(context)} tokens are more than the context length of ${name} (${thousands(shape.context_length)}).`;

/** "fits, 9 %" or "too small, 147 %". */
export function fit(total, bytes) {
  const share = (total / bytes) * 100;
  return `${share <= 100 ? "fits" : "too small"}, ${thousands(share)} %`;
}

/** "fits, 7.80 GB left" or "13.0 GB over". */
export const room = (total, bytes) => (total <= bytes ? `fits, ${sizeText(bytes - total)} left` : `${sizeText(total - bytes)} over`);

/** The limits that can be drawn: not far past the longest bar. */
export const near = (limits, longest) => limits.filter(([, bytes]) => bytes <= 1.6 * longest).sort((a, b) => a[1] - b[1]);

/** What is written above the lines, and where: lines closer than `gap` bytes share a label, "8, 16 GB cards". */
export function limitLabels(limits, gap) {
  const groups = [];
  for (const [name, bytes] of limits) {
    const last = groups.at(-1), number = name.split(" ")[0];
    if (last && bytes - last.to < gap) last.numbers.push(number), (last.to = bytes);
    else groups.push({ numbers: [number], from: bytes, to: bytes });
  }
  return groups.map(({ numbers, from, to }) => [`${numbers.join(", ")} GB card${numbers.length > 1 ? "s" : ""}`, (from + to) / 2]);
}

/** What is wrong with a number, or "". */
export function problem(name, value) {
  if (notANumber(name, value)) return notANumber(name, value);
  if (!(Number.isInteger(value) && value >= 1)) return `${name} must be a whole number of at least 1, got ${value}`;
  return value > 2 ** 24 ? `${name} must be at most 16,777,216, got ${thousands(value)}` : "";
}

export const divisors = (count) => Array.from({ length: count }, (_, i) => i + 1).filter((n) => count % n === 0);

/** 1, 2, 3, 4, 6, 8, 12 … up to `most`. */
export const ladder = (least, most) => {
  const steps = [];
  for (let n = least; n <= most; n *= 2) steps.push(n, ...(n > 1 && n * 1.5 <= most ? [n * 1.5] : []));
  return steps;
};

/** The stacked bars with the limits as SVG source; a `card` frames the first bar instead. */
export function picture(bars, limits, width, id, card) {
  const drawn = card ? [card] : near(limits, Math.max(...bars.map(([, bar]) => sum(bar))));
  const left = 96, right = 64, top = drawn.length ? 40 : 8, high = 26, row = 40, longest = Math.max(...bars.map(([, bar]) => sum(bar)));
  const end = 1.02 * Math.max(longest, ...drawn.map((limit) => limit[1]));
  const x = (bytes) => left + (bytes / end) * (width - left - right), floor = top + bars.length * row, out = [];
  const text = (at, ...more) => out.push(svgText(at.toFixed(1), ...more));
  const shape = { 1: '<path d="M0 6L6 0" class="ink"/>', 2: '<circle cx="3" cy="3" r="1.1" class="dot"/>', 3: '<path d="M0 0L6 6M0 6L6 0" class="ink"/>' };
  out.push("<defs>", ...Object.keys(shape).map((i) => `<pattern id="${id}-${i}" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" class="part${i}"/>${shape[i]}</pattern>`), "</defs>");
  for (let at = 0, step = axisStep(end) * (width < 480 ? 2 : 1); at <= end; at += step) {
    out.push(`<path d="M${x(at).toFixed(1)} ${top}V${floor}" class="grid"/>`);
    text(x(at), floor + 14, at ? sizeText(at).replace(/\.0+ /, " ").replace(/(\.\d)0 /, "$1 ") : "0", 'text-anchor="middle"');
  }
  bars.forEach(([name, bar], i) => {
    const y = top + i * row + 6;
    text(left - 6, y + 17, name, `text-anchor="end"${i ? "" : ' class="head"'}`);
    let at = 0;
    bar.forEach((bytes, p) => {
      if (bytes) out.push(`<rect x="${x(at).toFixed(1)}" y="${y}" width="${Math.max(x(at + bytes) - x(at), 0.5).toFixed(1)}" height="${high}" class="part part${p}"${p ? ` style="fill:url(#${id}-${p})"` : ""}/>`);
      at += bytes;
    });
  });
  if (card) {
    const total = sum(bars[0][1]), far = x(card[1]), middle = far > width / 2;
    out.push(`<rect x="${left}" y="${top + 2}" width="${(far - left).toFixed(1)}" height="${high + 8}" class="frame ${total > card[1] ? "over" : ""}"/>`);
    text(middle ? far : left, 24, `${card[0]}: ${room(total, card[1])}`, `class="head" ${middle ? 'text-anchor="end"' : ""}`);
  } else drawn.forEach(([name, bytes, own]) => {
    out.push(`<path d="M${x(bytes).toFixed(1)} ${top - 8}V${floor}" class="limit${own ? " own" : ""}"/>`);
    if (own) text(x(bytes), top - 25, name, 'text-anchor="middle" class="halo"');
  });
  for (const [name, bytes] of limitLabels(card ? [] : drawn.filter((limit) => !limit[2]), (end * 90) / (width - left - right))) text(x(bytes), top - 12, name, 'text-anchor="middle" class="halo"');
  bars.forEach(([, bar], i) => text(x(card && !i ? Math.max(sum(bar), card[1]) : sum(bar)) + 5, top + i * row + 23, sizeText(sum(bar)), 'class="head halo"'));
  return `<svg viewBox="0 0 ${width} ${floor + 20}" width="${width}">${out.join("")}</svg>`;
}

function render({ model, el }) {
  const id = `memory-${Math.random().toString(36).slice(2)}`;
  const shapes = model.get("shapes"), formats = model.get("formats"), devices = model.get("devices");
  const limits = devices.map(([name, bytes], i) => [name, bytes, i === devices.length - 1]);
  const set = (name, value) => write(model, { [name]: value });
  const refresh = [];
  const field = (label, ...children) => element("label", { class: "field" }, element("span", {}, label), ...children);
  function choice(name, label, values, words = values) {
    const box = element("select", { "aria-label": label, onchange() {
      if (name === "model") model.set("key_value_heads", null); // another model has other heads
      set(name, box.value);
    } }, ...values.map((value, i) => element("option", { value }, words[i])));
    refresh.push(() => (box.value = model.get(name)));
    return field(label, box);
  }
  function number(name, label, steps) {
    const range = element("input", { type: "range", min: 0, max: steps.length - 1, step: 1, "aria-label": label });
    const { box, wrong, show } = numberBox(model, name, { set, wrongWith: problem, write: thousands, size: 8 });
    range.addEventListener("input", () => set(name, steps[+range.value]));
    refresh.push(() => {
      const value = model.get(name), at = steps.findIndex((step) => step >= value);
      range.value = at < 0 ? steps.length - 1 : at;
      range.setAttribute("aria-valuetext", thousands(value));
      show();
    });
    return element("div", { class: "field" }, element("span", {}, label), range, box, wrong);
  }
  function tickBox(name, label) {
    const box = element("input", { type: "checkbox", onchange: () => set(name, box.checked) });
    refresh.push(() => (box.checked = model.get(name)));
    return element("label", { class: "tick" }, box, label);
  }
  const heads = element("select", { "aria-label": "KV heads", onchange: () => set("key_value_heads", +heads.value) });
  let headsOf;
  refresh.push(() => {
    const shape = shapes[model.get("model")];
    if (headsOf !== shape) {
      headsOf = shape;
      heads.replaceChildren(...divisors(shape.query_heads).map((n) => element("option", { value: n },
        n + (n === shape.query_heads ? " (every query head its own)" : n === 1 ? " (one for all)" : "") + (n === shape.key_value_heads ? ", as published" : ""))));
    }
    heads.value = model.get("key_value_heads") ?? shape.key_value_heads;
  });

  const alarm = element("div", { class: "problem", role: "alert" });
  const status = element("div", { class: "status", "aria-live": "polite" });
  const canvas = element("div", { role: "img", class: "picture", tabindex: 0 });
  const sums = element("table", { class: "sums" }), fits = element("ul", { class: "fits" });
  const table = asTable(() => [["bytes", ...PARTS, "in all"], ...bars.map(([what, b]) => [what, ...[...b, sum(b)].map(thousands)])]);
  const formatNames = Object.keys(formats);
  const root = element("div", { class: "course-widget memory-calculator" },
    element("p", { class: "intro" }, "What fills the memory of a running model, and which machine can hold it? Choose a model and a card, then move the context."),
    element("div", { class: "settings" }, choice("model", "model", Object.keys(shapes)),
      choice("card", "card", ["", ...limits.map(([name]) => name)], ["all that are near", ...limits.map(([name]) => name)]), field("KV heads", heads),
      choice("dtype", "weights in", formatNames), choice("cache_dtype", "KV cache in", formatNames.filter((name) => name !== "int4")),
      number("context", "context", ladder(128, 2 ** 20)), number("batch", "batch", ladder(1, 512)),
      tickBox("naive", "attention scores of a layer written in full (naive)"), tickBox("all_logits", "logits at every position")),
    alarm, canvas, status, sums, fits, element("div", { class: "notice" },
      "GB are 10⁹ bytes; memory is sold in 2³⁰: an 8 GB card holds 8.59 GB. Weights stay as published when KV heads change. Left out: the wide vectors inside the MLPs, which live for a moment."),
    element("div", { class: "checked" }, model.get("checked")), table.details);

  let bars;
  const now = () => {
    const shape = shapes[model.get("model")];
    return [shape, { dtype: model.get("dtype"), cache: model.get("cache_dtype"), context: model.get("context"), batch: model.get("batch"),
      heads: model.get("key_value_heads") ?? shape.key_value_heads, naive: model.get("naive"), all: model.get("all_logits") }];
  };

  function paint() {
    refresh.forEach((show) => show());
    const [shape, chosen] = now(), name = model.get("model");
    bars = rows(shape, chosen, formats);
    const bar = bars[0][1], total = sum(bar), card = limits.find(([device]) => device === model.get("card"));
    canvas.innerHTML = picture(bars, limits, Math.max(300, Math.min(root.clientWidth - 16, 1000)), id, card);
    alarm.textContent = warning(name, shape, chosen.context);
    status.textContent = `${name}: ${sizeText(total)} in all; ${card ? `${card[0]}: ${room(total, card[1])}` : `${devices.at(-1)[0]}: ${fit(total, devices.at(-1)[1])}`}.`;
    const written = formulas(shape, chosen, formats);
    sums.replaceChildren(...PARTS.map((part, i) => element("tr", {}, element("td", {}, element("span", { class: `key part${i}` }), ` ${part}`),
      element("td", {}, sizeText(bar[i])), element("td", {}, `= ${written[i]}`))));
    fits.replaceChildren(...devices.map(([device, bytes]) => element("li", { class: total <= bytes ? "fits" : "small" }, `${total <= bytes ? "✓" : "✗"} ${device}: ${fit(total, bytes)}`)));
    canvas.setAttribute("aria-label", `Stacked bars of memory. ${bars.map(([what, b]) => `${what}: ${sizeText(sum(b))}`).join(", ")}.`);
    table.show();
    markDrawn(root);
  }
  const watched = "change:model change:dtype change:cache_dtype change:context change:batch change:key_value_heads change:naive change:all_logits change:card";
  const soon = together(paint); // a new model changes the KV heads, too
  return mount({ model, el }, root, paint, { [watched]: soon }, { resized: soon });
}

export default { render };
