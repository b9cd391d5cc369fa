// Pure functions first (tests import them), then the page. The rules of traces/speed.py and speed_lab.py.

export const CURVES = {
  ttft: { title: "TTFT by prompt length", unit: "ms", scale: 1000, x: "prompt", fixed: "batch" },
  tpot: { title: "TPOT by prompt length", unit: "ms", scale: 1000, x: "prompt", fixed: "batch" },
  throughput: { title: "throughput by batch size", unit: "tokens/s", scale: 1, x: "batch", fixed: "prompt" },
};
const BYTES = { fp32: 4, bf16: 2 }, RUNS = 4, MOST_AT_ONCE = 8192; // one run to warm up, then three

/** Median, least and most. */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length / 2;
  const median = sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, least: sorted[0], most: sorted.at(-1) };
}

/** Seconds of a step: the longer of its arithmetic and its reading. */
export function stepSeconds(shape, rates, tokens, context, batch, bytes) {
  const table = shape.vocab_size * shape.hidden_size, cache = 2 * shape.layers * shape.key_value_heads * shape.head_dim;
  const flops = 2 * batch * (tokens * (shape.parameters - table) + table);
  return Math.max(flops / rates.flops, (shape.parameters + cache * context * batch) * bytes / rates.bandwidth);
}

/** What the machine's rates alone predict, in seconds and tokens per second. */
export function predicted(shape, rates, prompt, count, batch, dtype) {
  const ttft = stepSeconds(shape, rates, prompt, prompt, batch, BYTES[dtype]);
  const tpot = stepSeconds(shape, rates, 1, prompt + Math.floor(count / 2), batch, BYTES[dtype]);
  const total = ttft + (count - 1) * tpot;
  return { ttft, tpot, total, throughput: (batch * count) / total };
}

/** The same of every run. */
export function runs(point, count) {
  const total = point.ttft.map((ttft, run) => ttft + (count - 1) * point.tpot[run]);
  return { ttft: point.ttft, tpot: point.tpot, total, throughput: total.map((seconds) => (point.batch * count) / seconds) };
}

/** The value nearest to `wanted` by ratio; of two, the smaller. */
export function nearest(values, wanted) {
  const ratio = (value) => Math.max(value / wanted, wanted / value);
  return [...values].sort((a, b) => ratio(a) - ratio(b) || a - b)[0];
}

/** The points to draw, one list per curve: the nearest batch (or prompt) measured at several x, and the one set. */
export function groups(points, set) {
  const { x, fixed } = CURVES[set.curve], found = new Map();
  let rows = points.filter((point) => point.dtype === set.dtype);
  const threads = nearest(rows.map((point) => point.threads), set.threads);
  rows = rows.filter((point) => point.threads === threads).sort((a, b) => a[x] - b[x]);
  for (const point of rows) found.set(point[fixed], [...(found.get(point[fixed]) ?? []), point]);
  const values = [...found.keys()], curves = values.filter((value) => found.get(value).length > 1);
  return [...new Set([nearest(curves.length ? curves : values, set[fixed]), set[fixed]])].filter((v) => found.has(v)).map((v) => found.get(v));
}

/** What is drawn: for every curve its title and its points. */
export function series(machines, set) {
  const { x, fixed, scale } = CURVES[set.curve];
  return machines.flatMap(({ name, processor, shape, points }) => groups(points, set).map((rows, second) => {
    const one = rows[0];
    const title = `${name}: ${processor}, ${one.threads} thread${one.threads > 1 ? "s" : ""}, ${fixed} ${thousands(one[fixed])}`;
    return { name, second, title, points: rows.map((point) => {
      const { median, least, most } = spread(runs(point, set.count)[set.curve]);
      const best = predicted(shape, point, point.prompt, set.count, point.batch, point.dtype)[set.curve];
      return { x: point[x], median: median * scale, least: least * scale, most: most * scale, predicted: best * scale };
    }) };
  }));
}

/** How TTFT and TPOT make up the total, where this point was measured. */
export function totals(machines, set) {
  return machines.flatMap(({ name, points }) => groups(points, set).flat()
    .filter((point) => point.prompt === set.prompt && point.batch === set.batch).map((point) => {
      const all = runs(point, set.count), middle = (what, scale = 1000) => spread(all[what]).median * scale;
      return `${name}: TTFT ${thousands(middle("ttft"))} ms + ${set.count - 1} × TPOT ${thousands(middle("tpot"))} ms ` +
        `= ${thousands(middle("total"))} ms; ${number(middle("throughput", 1))} tokens/s`;
    }));
}

/** What of a curve is measured here: the recorded points, and the one that is set. */
export function curvePoints(machines, set) {
  const { x } = CURVES[set.curve], measured = machines.flatMap(({ points }) => groups(points, set)[0] ?? []).map((point) => point[x]);
  const all = [...new Set([...measured, set[x]])].sort((a, b) => a - b).map((value) => ({ ...set, [x]: value }));
  return all.filter(({ prompt, batch }) => prompt * batch <= MOST_AT_ONCE);
}

/** What measuring `points` takes: as predicted from the rates, times what the nearest point took beyond that. */
export function estimate(machines, points) {
  const tooMuch = points.map(({ prompt, batch }) => prompt * batch).find((asked) => asked > MOST_AT_ONCE);
  if (tooMuch) return `too much at once: batch × prompt may be at most ${thousands(MOST_AT_ONCE)} tokens, here it is ${thousands(tooMuch)}`;
  const machine = machines.findLast((one) => one.points.length), far = (a, b) => Math.abs(Math.log(a / b));
  if (!machine || !points.length) return "";
  let seconds = 0;
  for (const set of points) {
    const distance = (p) => far(p.prompt * p.batch, set.prompt * set.batch) + far(p.threads, set.threads) + 4 * (p.dtype !== set.dtype);
    const near = [...machine.points].sort((a, b) => distance(a) - distance(b))[0];
    const best = (p) => predicted(machine.shape, near, p.prompt, set.count, p.batch, p.dtype).total;
    seconds += RUNS * best(set) * spread(runs(near, set.count).total).median / best(near);
  }
  return `${RUNS * points.length} runs: about ${seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`}` +
    (machine.name === "here" ? "" : " on the recorded machine");
}

export function number(value) {
  const tenths = Math.round(value * 10);
  return `${thousands(Math.floor(tenths / 10))}.${tenths % 10}`;
}

/** The curves as SVG source; x in powers of two. */
export function picture(lines, set, width) {
  const { unit, title, x: xName } = CURVES[set.curve], left = 64, top = 34, high = 250, right = 20, floor = top + high, out = [];
  const points = lines.flatMap((line) => line.points), at = set[xName];
  const xs = [...new Set([...points.map((point) => point.x), at])].sort((a, b) => a - b);
  const low = Math.log2(xs[0]) - 0.3, span = Math.log2(xs.at(-1)) + 0.3 - low;
  const end = 1.08 * Math.max(1e-9, ...points.flatMap((point) => [point.most, point.predicted]));
  const x = (value) => +(left + ((Math.log2(value) - low) / span) * (width - left - right)).toFixed(1);
  const y = (value) => +(floor - (value / end) * high).toFixed(1);
  const text = (...what) => out.push(svgText(...what));
  for (let value = 0, step = axisStep(end); value <= end && points.length; value += step) {
    out.push(`<path d="M${left} ${y(value)}H${width - right}" class="grid"/>`);
    text(left - 6, y(value) + 4, +value.toPrecision(6), 'text-anchor="end"');
  }
  let last = -99;
  for (const value of xs) {
    if (x(value) - last < 30) continue;
    text(x(value), floor + 16, thousands(value), 'text-anchor="middle"');
    last = x(value);
  }
  out.push(`<path d="M${x(at)} ${top}V${floor}" class="chosen"/><path d="M${x(at)} ${top}l5 -8h-10z" class="mark"/>`);
  text((left + width) / 2, floor + 34, xName === "batch" ? "texts at once (batch)" : "tokens of the prompt", 'text-anchor="middle"');
  text(4, 14, `${title.split(" ")[0]} (${unit})`, 'class="head"');
  for (const line of lines) {
    const path = (what) => `M${line.points.map((point) => `${x(point.x)} ${y(point[what])}`).join("L")}`;
    out.push(`<g class="${line.name}${line.second ? " second" : ""}"><path d="${path("predicted")}" class="predicted"/><path d="${path("median")}" class="line"/>`);
    for (const point of line.points) {
      const px = x(point.x), py = y(point.median);
      out.push(`<path d="M${px - 5} ${y(point.least)}h10M${px - 5} ${y(point.most)}h10M${px} ${y(point.least)}V${y(point.most)}" class="bar"/>`,
        line.name === "here" ? `<rect x="${px - 5}" y="${py - 5}" width="10" height="10" class="point"/>` : `<circle cx="${px}" cy="${py}" r="5" class="point"/>`,
        `<circle cx="${px}" cy="${y(point.predicted)}" r="2.5" class="ring"/>`);
    }
    out.push("</g>");
  }
  return `<svg viewBox="0 0 ${width} ${floor + 40}" width="${width}">${out.join("")}</svg>`;
}

/** The picture in words, for people who listen. */
export function summary(lines, set) {
  const { unit, title } = CURVES[set.curve];
  if (!lines.length) return `Nothing was measured in ${set.dtype} yet.`;
  return `${title}. ` + lines.map((line) => `${line.title}: ` + line.points.map((point) =>
    `${number(point.median)} ${unit} at ${thousands(point.x)}, at best ${number(point.predicted)}`).join("; ")).join(". ") + ".";
}

function render({ model, el }) {
  const id = `speed-${Math.random().toString(36).slice(2)}`;
  const set = (name, value) => write(model, { [name]: value });
  const refresh = [];
  const radios = Object.entries(CURVES).map(([name, { title }]) => {
    const input = element("input", { type: "radio", name: id, id: `${id}-${name}`, onchange: () => set("curve", name) });
    refresh.push(() => (input.checked = model.get("curve") === name));
    return element("span", { class: "choice" }, input, element("label", { for: input.id }, title));
  });
  function slider(name, label, steps) {
    const range = element("input", { type: "range", min: 0, max: steps.length - 1, step: 1, "aria-label": label });
    const shown = element("output", {});
    range.addEventListener("input", () => set(name, steps[+range.value]));
    refresh.push(() => {
      const value = model.get(name), at = steps.findIndex((step) => step >= value);
      range.value = at < 0 ? steps.length - 1 : at;
      const tooMuch = /prompt|batch/.test(name) && model.get("prompt") * model.get("batch") > MOST_AT_ONCE;
      shown.textContent = `${thousands(value)}${tooMuch ? " ✗" : ""}`;
      range.ariaValueText = shown.textContent;
    });
    return element("div", { class: "field" }, element("span", {}, label), range, shown);
  }
  const powers = (least, most) => Array.from({ length: Math.log2(most / least) + 1 }, (_, i) => least * 2 ** i);
  function choice(name, label, values) {
    const box = element("select", { "aria-label": label, onchange: () => set(name, typeof values()[0] === "number" ? +box.value : box.value) });
    refresh.push(() => {
      const all = values();
      if (box.textContent !== all.join("")) box.replaceChildren(...all.map((value) => element("option", { value }, value)));
      box.value = model.get(name);
    });
    return element("label", { class: "field" }, element("span", {}, label), box);
  }
  const machines = () => model.get("machines");
  const threads = () => [...new Set([model.get("threads"), model.get("own_threads"), ...machines().flatMap((m) => m.points.map((point) => point.threads))])].sort((a, b) => a - b);
  const cannot = !model.get("can_run");
  function measuring(words, points) {
    const button = pressed(words, () => measure(points())), cost = element("span");
    button.disabled = cannot;
    refresh.push(() => {
      button.ariaDisabled = kernel.waiting;
      cost.textContent = cannot ? "" : estimate(machines(), points());
      cost.className = /^too/.test(cost.textContent) ? "problem" : "";
    });
    return element("span", { class: "field" }, button, cost);
  }
  const wrong = element("div", { class: "problem", role: "alert" });
  const legend = element("div", { class: "legend" }), facts = element("div", { class: "facts" });
  const canvas = element("div", { role: "img", class: "picture", tabindex: 0 });
  const status = element("div", { class: "status", "aria-live": "polite" });
  const table = asTable(() => {
    const wanted = now(), { unit, x } = CURVES[wanted.curve], rows = [["machine", x, `median ${unit}`, "least", "most", "at best"]];
    for (const line of series(machines(), wanted)) for (const p of line.points) rows.push([line.title, thousands(p.x), ...[p.median, p.least, p.most, p.predicted].map(number)]);
    return rows;
  });
  const root = element("div", { class: "course-widget speed-lab" },
    element("p", { class: "intro" }, "What does one more token cost? TTFT is the time to the first token, TPOT the time per output token after it. Choose a curve, then measure your own machine."),
    element("fieldset", {}, element("legend", {}, "curve"), ...radios),
    element("div", { class: "settings" }, slider("prompt", "prompt tokens", powers(8, 1024)), slider("new_tokens", "new tokens", powers(2, 256)),
      slider("batch", "batch", powers(1, 32)), choice("threads", "threads", threads), choice("dtype", "format", () => Object.keys(BYTES)),
      measuring("Measure here", () => [now()]), measuring("Measure this curve", () => curvePoints(machines(), now())),
      cannot ? inYourCopy("This is a recorded run. Measuring needs the model") : null),
    wrong, status, legend, canvas, facts, table.details);

  const now = () => Object.fromEntries([["count", model.get("new_tokens")], ...["curve", "prompt", "batch", "threads", "dtype"].map((name) => [name, model.get(name)])]);

  const kernel = asking(model, root, status, () => (wrong.textContent = kernel.problem, paint()), "Measuring …");
  function measure(points) {
    if (kernel.waiting || !points.length) return;
    const { count, threads: many, dtype } = now(), each = (name) => [...new Set(points.map((point) => point[name]))];
    wrong.textContent = "";
    kernel.ask(each("prompt"), count, each("batch"), many, dtype);
    paint();
  }

  function paint() {
    refresh.forEach((show) => show());
    const wanted = now(), lines = series(machines(), wanted), said = totals(machines(), wanted);
    const { prompt, batch } = wanted;
    canvas.innerHTML = picture(lines, wanted, Math.max(300, Math.min(root.clientWidth - 16, 1000)));
    canvas.ariaLabel = summary(lines, wanted);
    if (!kernel.waiting) status.textContent = lines.length ? "▼ marks your setting. Bars reach from the fastest run to the slowest." : summary(lines, wanted);
    const sign = { recorded: "●○", here: "■□" };
    legend.replaceChildren(...lines.map((line) => element("span", { class: line.name }, element("b", {}, sign[line.name][line.second]), ` ${line.title}`)),
      ...(lines.length ? [element("span", {}, element("b", {}, "- -○- -"), " at best, from GFLOP/s and GB/s alone")] : []));
    const missing = machines().map((m) => m.name).filter((name) => !said.some((line) => line.startsWith(name)));
    facts.replaceChildren(...[...said, ...missing.map((name) => `${name}: ${thousands(prompt)} prompt tokens at batch ${batch} were not measured.`)].map((line) => element("div", {}, line)));
    table.show();
    markDrawn(root);
  }

  return mount({ model, el }, root, paint, { change: paint }, { kernel, resized: paint });
}

export default { render };
