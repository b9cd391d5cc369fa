// Pure functions first (tests import them), then the page.

const OFF = { top_k: null, top_p: 1, min_p: 0 };
const ROWS = 12;

/** No filter changes the ranking: each stage keeps the first `kept`. */
export function rank(logits) {
  const ids = Uint32Array.from(logits, (_, id) => id).sort((a, b) => logits[b] - logits[a] || a - b);
  return { ids, sorted: Float64Array.from(ids, (id) => logits[id]) };
}

/** Of the first `kept`: probabilities, entropy in bits. */
export function softmax(sorted, kept, temperature) {
  // 32 bits as in the kernel, else other tokens stay.
  const divided = (i) => Math.fround(sorted[i] / Math.fround(temperature));
  const fits = isFinite(divided(0)) && isFinite(divided(kept - 1));
  const p = new Float64Array(kept);
  let total = 0;
  for (let i = 0; i < kept; i++)
    total += p[i] = Math.exp(fits ? divided(i) - divided(0) : (sorted[i] - sorted[0]) / temperature);
  let entropy = 0;
  for (let i = 0; i < kept; i++) {
    p[i] /= total;
    if (p[i] > 0) entropy -= p[i] * Math.log2(p[i]);
  }
  return { p, entropy };
}

/** How many tokens `name` keeps, as in engine/sampling.py. */
export function keep(name, value, sorted, stage) {
  const { kept, p } = stage;
  let left = kept;
  if (name === "temperature") return value === 0 ? 1 : kept;
  if (value === OFF[name]) return kept;
  if (name === "top_k") {
    left = Math.min(value, kept);
    while (left < kept && sorted[left] === sorted[left - 1]) left++;
  } else if (name === "top_p") {
    for (let mass = 0; left > 1 && (mass += p[left - 1]) - 1e-5 * p[left - 1] <= 1 - value; ) left--;
  } else {
    while (left > 1 && p[left - 1] < value * p[0]) left--;
  }
  return left;
}

/** The start and all filters: [{name, value, kept, temperature, p, entropy}]. */
export function stagesOf(sorted, settings) {
  const stages = [{ name: "start", kept: sorted.length, temperature: 1, ...softmax(sorted, sorted.length, 1) }];
  for (const name of settings.order) {
    const before = stages.at(-1), value = settings[name];
    const temperature = name === "temperature" && value > 0 ? before.temperature * value : before.temperature;
    const kept = keep(name, value, sorted, before);
    const same = kept === before.kept && temperature === before.temperature;
    const after = same ? { p: before.p, entropy: before.entropy } : softmax(sorted, kept, temperature);
    stages.push({ name, value, kept, temperature, ...after });
  }
  return stages;
}

/** How often each ranked token is drawn, in the order of the vocabulary. */
export function drawCounts(ids, stage, uniforms, draws) {
  const edges = new Float64Array(ids.length), rankOf = new Uint32Array(ids.length), counts = new Map();
  for (let i = 0; i < ids.length; i++) rankOf[ids[i]] = i;
  for (let id = 0, total = 0; id < ids.length; id++) edges[id] = total += stage.p[rankOf[id]] ?? 0;
  for (let d = 0; d < draws; d++) {
    const point = uniforms[d] * edges[ids.length - 1];
    let low = 0, high = ids.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (edges[middle] < point) low = middle + 1;
      else high = middle;
    }
    counts.set(rankOf[low], (counts.get(rankOf[low]) ?? 0) + 1);
  }
  return counts;
}

/** torch.rand(count, dtype=torch.float64) with this seed: the Mersenne Twister of Matsumoto and Nishimura (1998). */
export function uniformNumbers(count, seed) {
  const s = new Uint32Array(624).fill(seed % 2 ** 32);
  for (let i = 1; i < 624; i++) s[i] = Math.imul(1812433253, s[i - 1] ^ (s[i - 1] >>> 30)) + i;
  let at = 0;
  const next = () => {
    const y = (s[at] & 0x80000000) | (s[(at + 1) % 624] & 0x7fffffff);
    let x = (s[at] = s[(at + 397) % 624] ^ (y >>> 1) ^ (-(y & 1) & 0x9908b0df));
    at = (at + 1) % 624;
    x ^= x >>> 11;
    x ^= (x << 7) & 0x9d2c5680;
    x ^= (x << 15) & 0xefc60000;
    return (x ^ (x >>> 18)) >>> 0;
  };
  return Float64Array.from({ length: count }, () => ((next() % 2 ** 21) * 2 ** 32 + next()) / 2 ** 53);
}

/** What is wrong with a setting, or "". */
export function problem(name, value) {
  const rules = {
    temperature: ["a finite number of at least 0", value >= 0 && value < Infinity],
    top_k: ["a whole number of at least 1", value === null || (Number.isInteger(value) && value >= 1)],
    top_p: ["in (0, 1]", value > 0 && value <= 1],
    min_p: ["in [0, 1]", value >= 0 && value <= 1],
    seed: ["a whole number of at least 0", Number.isInteger(value) && value >= 0],
  };
  const [allowed, ok] = rules[name];
  if (value !== null && notANumber(name, value)) return notANumber(name, value);
  return ok ? "" : `${name} must be ${allowed}, got ${value}`;
}

/** 0.25 -> "0.250"; never "0e+0". */
export function digits(p) {
  if (p >= 0.0005) return p.toFixed(3);
  return p < 1e-6 ? "<0.000001" : p.toFixed(6).replace(/(0[1-9]).*/, "$1");
}

/** "50", "off", "0.9 · yours". */
export function setting({ name, value, own }) {
  if (name === "start") return "";
  return (value === OFF[name] ? "off" : +value.toPrecision(4)) + (own ? " · yours" : "");
}

/** "top_k 50", "min_p off". */
export const title = (stage) => `${stage.name} ${setting(stage)}`.trim();

/** What removed the token at `position`, if anything. */
export function removedBy(stages, position) {
  return stages[stages.findLastIndex(({ p }) => p[position] !== undefined) + 1]?.name;
}

/** Where the own function differs. */
const mark = (stage, position) => (stage.differs?.includes(position) ? " ≠" : "");

/** As SVG. */
export function picture(stages, labels, first, rows, width, counts, draws) {
  const left = 130, rowHeight = 22, top = 94, column = (width - left) / stages.length, small = 'class="small"';
  const end = Math.min(first + rows, labels.length), parts = [];
  const share = (s, r) => (s === stages.length - 1 && draws ? (counts.get(r) ?? 0) / draws : 0);
  let most = 1e-12; // one scale: the columns are compared
  for (let r = first; r < end; r++) stages.forEach(({ p }, s) => (most = Math.max(most, p[r] ?? 0, share(s, r))));
  const text = (...what) => parts.push(svgText(...what));
  for (let r = first; r < end; r++) {
    const gone = removedBy(stages, r), y = top + (r - first) * rowHeight + 15;
    text(left - 8, y, `${r + 1}. \u2068${cut(labels[r], 14)}\u2069`, `text-anchor="end"${gone ? ' class="gone"' : ""}`);
  }
  ["tokens kept", "entropy", `these ${end - first} | all others`].forEach((what, i) => text(left - 8, 44 + 14 * i, what, `text-anchor="end" ${small}`));
  stages.forEach((stage, s) => {
    const x = left + s * column, room = column - 58;
    text(x, 14, stage.name, 'class="head"');
    text(x, 29, setting(stage), 'class="head"');
    text(x, 44, thousands(stage.kept), small);
    text(x, 58, `${stage.entropy.toFixed(2)} bits`, small);
    let shown = 0;
    for (let r = first; r < end; r++) {
      const y = top + (r - first) * rowHeight, p = stage.p[r], drawn = (share(s, r) / most) * room;
      if (p !== undefined) {
        shown += p;
        const long = (p / most) * room;
        parts.push(`<rect x="${x}" y="${y + 3}" width="${Math.max(long, 0.5)}" height="${rowHeight - 7}" class="bar"/>`);
        text(x + Math.max(long + 4, drawn && drawn + 9), y + 15, digits(p) + mark(stage, r), small);
      } else if (stages[s - 1].p[r] !== undefined) {
        parts.push(`<path d="M${x} ${y + 11}H${x + column - 10}" class="strike"/>`);
        text(x + 12, y + 15, `✗ ${stage.name}${mark(stage, r)}`, 'class="killer"');
      }
      if (drawn) parts.push(`<path d="M${x + drawn} ${y + 5}l5 6l-5 6l-5 -6z" class="drawn"/>`);
    }
    // The strip is the whole probability.
    text(x, 72, `${(shown * 100).toFixed(1)} | ${Math.abs(100 - shown * 100).toFixed(1)} %`, small);
    for (const [part, kind] of [[1, "others"], [shown, "shown"]])
      parts.push(`<rect x="${x}" y="77" width="${(column - 14) * part}" height="9" class="${kind}"/>`);
  });
  return `<svg viewBox="0 0 ${width} ${top + rows * rowHeight}" width="${width}">${parts.join("")}</svg>`;
}

/** The picture in words. */
export function summary(stages, labels) {
  const last = stages.at(-1), best = last.best ?? 0;
  return `${thousands(last.kept)} of ${thousands(labels.length)} tokens kept, entropy ${last.entropy.toFixed(2)} bits; ` +
    `most likely ${quoted(labels[best])} with ${(last.p[best] * 100).toFixed(1)} %.`;
}

async function unzip(view) {
  const stream = new Blob([view]).stream().pipeThrough(new DecompressionStream("gzip"));
  return (await new Response(stream).text()).split("\n");
}

async function render({ model, el }) {
  const byId = await unzip(model.get("_labels"));
  const own = model.get("_answer") !== null, needsKernel = own && !model.get("can_run");
  let logits, ids, sorted, labels, answer, stages, counts, seed, uniforms;

  const canvas = element("div", { role: "img", class: "picture" });
  const status = element("div", { class: "status", "aria-live": "polite" });
  const said = element("div", { "aria-live": "polite" });
  const controls = element("fieldset", { class: "settings", disabled: needsKernel });
  const refresh = []; // model -> controls

  const set = (name, value) => {
    write(model, { [name]: value });
    if (own) kernel.ask(); // which has the functions
  };

  function typed(name) {
    const { box, wrong, show } = numberBox(model, name, {
      set,
      wrongWith: problem,
      write: (value) => (value === OFF[name] ? "off" : `${+value.toPrecision(9)}`),
      read: (text) => (name in OFF && /^\s*(off)?\s*$/i.test(text) ? OFF[name] : readNumber(text)),
    });
    refresh.push(show);
    return [box, wrong];
  }

  /** A slider and a box; `scale` maps slider positions to values. */
  function control(name, slider, scale) {
    const [box, wrong] = typed(name);
    const range = element("input", { type: "range", ...slider, "aria-label": name });
    range.addEventListener("input", () => set(name, scale.value(+range.value)));
    refresh.push(() => {
      range.value = scale.position(model.get(name));
      range.setAttribute("aria-valuetext", box.value);
    });
    const move = pressed("◀ apply earlier", () => {
      const order = [...model.get("order")], at = order.indexOf(name);
      if (at) order.splice(at - 1, 2, name, order[at - 1]);
      set("order", order);
      move.focus();
    });
    move.ariaLabel = `apply ${name} one step earlier`;
    return element("div", { class: "control", "data-filter": name }, element("label", {}, name), range, box, move, wrong);
  }

  const linear = { position: Number, value: Number };
  const steps = [1, 10, 100, 1000, 1e4].flatMap((n) => [1, 2, 3, 5, 8].map((k) => k * n)).filter((k) => k < byId.length);
  steps.push(null);
  const ladder = {
    position: (value) => steps.findIndex((k) => k === null || (value !== null && k >= value)),
    value: (position) => steps[position],
  };
  const made = {
    temperature: control("temperature", { min: 0, max: 2, step: 0.05 }, linear),
    top_k: control("top_k", { min: 0, max: steps.length - 1, step: 1 }, ladder),
    top_p: control("top_p", { min: 0.01, max: 1, step: 0.01 }, linear),
    min_p: control("min_p", { min: 0, max: 0.5, step: 0.01 }, linear),
  };
  refresh.push(() => {
    const order = model.get("order");
    if (order.some((name, i) => controls.children[i] !== made[name])) controls.replaceChildren(...order.map((name) => made[name]));
  });

  const draw = (label, count) => pressed(label, () => set("draws", count(model.get("draws"))));
  // not past the end
  const go = (label, where) => pressed(label, () => set("_first", Math.max(0, Math.min(where(model.get("_first")), byId.length - ROWS))));
  const buttons = element("fieldset", { class: "row", disabled: needsKernel }, draw("Draw 1", (now) => Math.min(now + 1, 1000)),
    draw("Draw 1000", () => 1000), draw("Clear draws", () => 0), "seed", ...typed("seed"),
    go("Top tokens", () => 0), go("Earlier", (first) => first - ROWS), go("Later", (first) => first + ROWS),
    go("Where it cuts", () => stages.at(-1).kept - ROWS / 2));

  const ask = (...wanted) => (model.set("_first", 0), kernel.ask(...wanted));
  const prompt = element("div", { class: "prompt" });
  const legend = swatches([["bar", "probability, on one scale"], ["shown", "these rows"], ["others", "all others"], ["drawn", "share of the draws"]]);
  const results = element("div", {}, prompt, controls, buttons, said, element("div", { class: "legend" }, ...legend), canvas);
  const row = textRow(model, "prompt", (text) => ask("run", text), results, pressed("Draw 1 and append", () => ask("append")));

  function changed() {
    if (logits !== (logits = model.get("_logits"))) {
      ({ ids, sorted } = rank(numbersOf(logits, Float32Array)));
      labels = Array.from(ids, (id) => byId[id]);
      prompt.replaceChildren(...dotted(model.get("prompt_tokens")), " → ?");
    }
    refresh.forEach((show) => show());
    // With functions of one's own, the kernel answers.
    if (!own || (!kernel.waiting && answer !== model.get("_answer"))) paint();
  }

  const shownFirst = () => answer?.first ?? model.get("_first");
  function paint() {
    answer = model.get("_answer");
    if (seed !== (seed = model.get("seed"))) uniforms = uniformNumbers(1000, seed);
    const draws = model.get("draws"), settings = { order: model.get("order") };
    for (const name in made) settings[name] = model.get(name);
    stages = answer?.stages ?? stagesOf(sorted, settings);
    counts = answer ? new Map(answer.counts) : draws ? drawCounts(ids, stages.at(-1), uniforms, draws) : new Map();
    said.replaceChildren(...(answer?.said ?? []).map((line) => element("div", { class: /^[≠✗]/.test(line) && "problem" }, line)));
    row.show(model.get("prompt"), kernel.problem);
    const width = Math.max(620, Math.min(root.clientWidth - 16, 1000));
    canvas.innerHTML = picture(stages, labels, shownFirst(), ROWS, width, counts, draws);
    const words = summary(stages, labels);
    canvas.setAttribute("aria-label", `Sampling lab. ${words}`);
    const best = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 5).map(([r, n]) => `${quoted(labels[r])} ${n}`);
    if (!kernel.waiting) status.textContent = words + (draws ? ` ◆ ${thousands(draws)} drawn: ${best.join(", ")}.` : "");
    table.show();
    markDrawn(root);
  }

  const table = asTable(() => {
    const rows = [["rank", "token", ...stages.map(title), "drawn"]], first = shownFirst();
    for (let r = first; r < Math.min(first + ROWS, labels.length); r++) {
      const cells = stages.map((s) => (s.p[r]?.toPrecision(3) ?? (removedBy(stages, r) === s.name ? "removed here" : "–")) + mark(s, r));
      rows.push([r + 1, labels[r], ...cells, counts.get(r) ?? 0]);
    }
    return rows;
  });
  const root = element("div", { class: "course-widget sampling-lab" },
    element("p", { class: "intro" }, "Which tokens may come next? Move a filter, and see what it removes and what the others gain."),
    ...(model.get("prompt") ? row.parts : row.parts.slice(1, 2)), needsKernel ? inYourCopy("Your own functions need a kernel") : null,
    results, status, table.details);
  const kernel = asking(model, root, status, () => (root.classList.toggle("older", own && kernel.gone), paint()), own ? "Running your functions …" : "Running …");
  return mount({ model, el }, root, changed, { change: changed }, { kernel, resized: paint });
}

export default { render };
