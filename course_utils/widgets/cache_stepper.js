// Pure functions first (tests import them), then the page.

const MOST_COLUMNS = 200;

/** How many tokens the model reads in `step`; step 0 is prefill. */
export function tokensRead(prompt, step, useCache) {
  return useCache && step > 0 ? 1 : prompt + step;
}

/** Tokens read in all steps up to `step`. */
export function totalRead(prompt, step, useCache) {
  return useCache ? prompt + step : prompt * (step + 1) + (step * (step + 1)) / 2;
}

/** Milliseconds of all steps up to `step`. */
export const total = (milliseconds, step) => milliseconds.slice(0, step + 1).reduce((a, b) => a + b, 0);

/** "64 ms", "1.42 s". */
export const timeText = (ms) => (ms < 999.5 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(2)} s`);

/** The first column that is drawn: with too many, the window follows the last token read. */
export const firstColumn = (now) => Math.max(0, now - MOST_COLUMNS);

/** What happens in this step, as a sentence. */
export function sentence(run, step, useCache) {
  const prompt = run.promptTokens.length, reads = tokensRead(prompt, step, useCache), last = prompt + step;
  const phase = step ? `Step ${step} · decode step` : "Step 0 · prefill";
  const what = !step ? `all ${plural(reads, "prompt token")} at once`
    : useCache ? `1 token (${quoted(run.newTokens[step - 1])}), looks back at ${thousands(last - 1)} in the cache`
    : `all ${plural(reads, "token")} again`;
  const ends = step === run.newTokens.length - 1 ? ` It ends here: ${run.ended}.` : "";
  return `${phase}: reads ${what}, chooses ${quoted(run.newTokens[step])}.${ends}`;
}

/** Time and work of this step and so far, both ways. */
export function costs(run, step) {
  return [["■ With cache", "with"], ["▨ Without cache", "without"]].map(([label, name]) =>
    `${label}: ${timeText(run[name][step])} in this step, ${timeText(total(run[name], step))} so far, ` +
    `${thousands(totalRead(run.promptTokens.length, step, name === "with"))} tokens read.`);
}

/** Milliseconds that `count` new tokens after a prompt of `characters` take both ways, at the pace of the last run. */
export function estimate(run, characters, count) {
  const { length } = run.promptTokens, steps = run.newTokens.length, prompt = (length * characters) / run.prompt.length;
  const each = total(run.without, steps) / totalRead(length, steps - 1, false);
  return each * (2 * prompt + totalRead(prompt, count - 1, false)) + (count * total(run.with, steps)) / steps;
}

/** The bytes of the cache after this step, as a product. */
export function weight(run, step) {
  const [layers, heads, size] = run.shape, tokens = run.promptTokens.length + step, bytes = run.bytes[step];
  return `Cache: 2 (keys, values) × ${layers} layers × ${heads} KV heads × ${size} numbers × ` +
    `${+(bytes / tokens / layers / heads / size / 2).toFixed(3)} bytes × ${plural(tokens, "token")} = ${thousands(bytes)} bytes.`;
}

/** Whether both ways agree. */
export function proof(run) {
  return `Proof: both ways choose ${run.same ? "the same token" : "not always the same token"} in ${plural(run.newTokens.length, "step")}; ` +
    `the largest difference between their logits is ${run.difference.toFixed(6)}.`;
}

/** As SVG source: the cache with a column per token, the time of every step, and the time so far; `keys` are drawn if there are any. */
export function picture(run, step, useCache, keys, width) {
  const prompt = run.promptTokens.length, tokens = [...run.promptTokens, ...run.newTokens];
  const positions = tokens.length - 1; // the last token is never read
  const now = prompt + step, reads = tokensRead(prompt, step, useCache), kept = now - reads;
  const from = firstColumn(now), shown = Math.min(MOST_COLUMNS, positions);
  const left = 86, column = Math.min(36, (width - left - 8) / shown), named = column >= 15;
  const [layers, heads] = run.shape, row = Math.max(1, Math.round(270 / (layers * heads)));
  const high = row * layers * heads, top = 44, under = top + high, barTop = under + (named ? 112 : 60), barHigh = 80;
  const x = (position) => left + Math.max(0, position - from) * column;
  const parts = [];
  const text = (...what) => parts.push(svgText(...what));
  const rect = (at, y, wide, tall, extra = "") => `<rect x="${at}" y="${y}" width="${wide}" height="${tall}" ${extra}/>`;
  const inside = (at, label) => Math.min(at, width - 6.6 * label.length); // no label sticks out to the right
  const bracket = (a, b, y, down, label, free = 0) => {
    if (x(b) <= x(a)) return 0;
    parts.push(`<path d="M${x(a) + 1} ${y + down}V${y}H${x(b) - 1}V${y + down}" class="bracket"/>`);
    const at = Math.max(free, inside(x(a) + 1, label));
    text(at, y - (down > 0 ? 4 : -14), label);
    return at + 6.6 * label.length;
  };
  const hatch = (name) => `<pattern id="${run.id}-${name}" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path d="M0 0V5" class="${name}"/></pattern>`;
  parts.push(`<defs>${hatch("light")}${hatch("red")}<clipPath id="${run.id}-clip">${rect(left, top, x(now) - left, high)}</clipPath></defs>` +
    rect(left, top, shown * column, high, 'class="empty"'));
  parts.push(keys ? `<image href="${keys}" x="${left - from * column}" y="${top}" width="${positions * column}" height="${high}" preserveAspectRatio="none" clip-path="url(#${run.id}-clip)"/>`
    : rect(left, top, x(kept) - left, high, 'class="kept"') + rect(x(kept), top, x(now) - x(kept), high, 'class="now"'));
  if (now > prompt && prompt > from) parts.push(`<path d="M${x(prompt)} ${top}V${under}" class="border"/>`);
  parts.push(rect(x(kept), top, x(now) - x(kept), high, `fill="url(#${run.id}-light)" class="reading"`));
  bracket(0, kept, top - 8, 5, `kept: ${thousands(kept)}`);
  const read = `▨ reads ${thousands(reads)}${kept || !step ? "" : " again"}`;
  text(inside(x(kept) + 2, read), top - 24, read, 'class="head"');
  const end = 'text-anchor="end"';
  for (let l = 0; l < layers; l += 10) text(left - 6, top + l * heads * row + 10, `layer ${l}`, end);
  text(left - 6, under, `layer ${layers - 1}`, end);
  if (named) for (let p = from; p < now; p++) {
    text(0, 0, cut(tokens[p], 10), `${end} transform="translate(${x(p) + column / 2 + 4} ${under + 12}) rotate(-55)"`);
  }
  const free = bracket(from, prompt, barTop - 42, -5, `prompt: ${thousands(prompt)}`);
  bracket(prompt, now, barTop - 42, -5, `generated: ${thousands(step)}`, free);
  const most = Math.max(...run.with, ...run.without), steps = run.newTokens.length, floor = barTop + barHigh;
  const each = Math.min(60, (width - left - 8) / steps), wide = each * 0.4, ends = width - left - 80;
  text(left, barTop - 4, "time of each step", 'class="head"');
  text(left, floor + 34, "time so far", 'class="head"');
  ["with", "without"].forEach((name, way) => {
    const all = run[name], kind = way ? `plain" fill="url(#${run.id}-red)` : "cached", y = floor + 42 + 20 * way;
    all.forEach((ms, s) => {
      const tall = (ms / most) * barHigh;
      parts.push(rect(left + s * each + way * wide * 1.05, floor - tall, wide, tall, `class="step${s > step ? " later" : ""} ${kind}"`));
    });
    const long = (total(all, step) / Math.max(total(run.with, steps), total(run.without, steps))) * ends;
    parts.push(rect(left, y, long, 14, `class="${kind}"`));
    text(left - 6, y + 11, `${name} cache`, end);
    text(left + long + 6, y + 11, timeText(total(all, step)), 'class="head"');
  });
  parts.push(`<path d="M${left + step * each + wide} ${floor + 3}l6 9h-12z" class="marker"/><path d="M${left} ${floor}H${left + steps * each}" class="bracket"/>`);
  text(left - 6, barTop + 8, timeText(most), end);
  return `<svg viewBox="0 0 ${width} ${floor + 84}" width="${width}">${parts.join("")}</svg>`;
}

/** The lengths of the keys as the address of a picture, one pixel per key: the longer, the stronger. */
function raster(view, rows) {
  const bytes = numbersOf(view, Uint8Array), columns = bytes.length / rows;
  const canvas = element("canvas", { width: columns, height: rows }), context = canvas.getContext("2d");
  const pixels = context.createImageData(columns, rows);
  bytes.forEach((value, i) => pixels.data.set([0, 114, 178, value], i * 4));
  context.putImageData(pixels, 0, 0);
  return canvas.toDataURL();
}

function render({ model, el }) {
  const id = `stepper-${Math.random().toString(36).slice(2)}`; // each widget loads its own copy of this module
  let run, keys, ran;
  const set = (name, value) => write(model, { [name]: value });
  const goTo = (step) => set("step", step), last = () => run.newTokens.length - 1;
  const scrolls = { tabindex: 0 }; // with arrow keys
  const prompt = element("input", { type: "text", "aria-label": "prompt; \\n is a new line" });
  const count = element("input", { type: "text", inputmode: "numeric", size: 3, "aria-label": "number of new tokens" });
  const boxes = [prompt, count], button = pressed("Run", start), before = element("span", { class: "estimate" });
  const wrong = element("div", { class: "problem", role: "alert" }), older = element("div");
  const slider = element("input", { type: "range", min: 0, step: 1, "aria-label": "step" });
  const cached = element("input", { type: "checkbox", id: `${id}-cache` });
  const lengths = element("input", { type: "checkbox", id: `${id}-lengths`, onchange: () => set("key_lengths", lengths.checked) });
  const speed = element("select", { "aria-label": "speed of play" }, ...[[1, "measured speed"], [10, "10 times slower"]]
    .map(([value, label]) => element("option", { value }, label)));
  const { button: play, stop } = player({ now: () => model.get("step"), last, go: goTo, wait(step) {
    if (!step) strip.replaceChildren("…");
    return run[model.get("use_cache") ? "with" : "without"][step] * speed.value; // as long as it took the model
  } });
  const strip = element("div", { class: "strip", role: "region", "aria-label": "the text so far", ...scrolls });
  const status = element("div", { class: "status", "aria-live": "polite" });
  const canvas = element("div", { role: "img", class: "picture", ...scrolls });
  const notice = element("div", { class: "notice" }), facts = element("div", { class: "facts" });
  const table = asTable(() => [["step", "phase", "reads", "reads without cache", "ms", "ms without cache", "cache bytes", "chooses"],
    ...run.newTokens.map((token, s) => [s === model.get("step") ? `▸ ${s}` : s, s ? "decode" : "prefill", tokensRead(prompts(), s, true),
      tokensRead(prompts(), s, false), run.with[s].toFixed(1), run.without[s].toFixed(1), thousands(run.bytes[s]), token])]);
  const results = element("div", {}, status, strip, canvas, notice, facts, table.details);
  const root = element("div", { class: "course-widget cache-stepper" },
    element("p", { class: "intro" }, "What does the KV cache save? One text, generated with it and without it: press Play, then switch the cache off."),
    element("div", { class: "row" }, prompt, element("label", {}, "new tokens ", count), button, before,
      greyed(model, prompt, count, button)), wrong, older,
    element("div", { class: "row" }, play, speed, slider, cached, element("label", { for: cached.id }, "KV cache"), lengths, element("label", { for: lengths.id }, "key lengths")), results);
  const kernel = asking(model, root, status, answered);

  function start() {
    stop();
    ran = boxes.map((box) => box.value);
    wrong.textContent = "";
    kernel.ask(prompt.value.replaceAll("\\n", "\n"), readNumber(count.value));
    paint();
  }
  boxes.forEach((box) => (onEnter(box, start), box.addEventListener("input", mark)));
  function mark() {
    const isTyped = boxes.some((box, i) => box.value !== ran[i]), seconds = estimate(run, prompt.value.length, readNumber(count.value)) / 1000;
    before.textContent = isTyped && seconds > 2 ? `about ${seconds.toFixed(0)} s` : "";
    markOlder(results, older, run.prompt, isTyped, kernel.problem);
  }

  const prompts = () => run.promptTokens.length;
  slider.addEventListener("input", () => (stop(), goTo(+slider.value)));
  cached.addEventListener("change", () => set("use_cache", cached.checked));

  function load() {
    stop();
    run = { ...model.get("recorded"), id };
    keys = raster(model.get("_keys"), run.shape[0] * run.shape[1]);
    slider.max = last();
  }

  function chips(step) {
    const chip = (text, kind) => element("span", { class: kind }, text);
    const seen = run.newTokens.slice(0, step + 1);
    strip.replaceChildren(...run.promptTokens.map((text) => chip(text, "prompt")), chip(" ▸ ", "then"),
      ...seen.map((text, s) => chip(text, s === step ? "new current" : "new")));
    strip.scrollTop = strip.scrollHeight;
  }

  function paint() {
    const step = Math.min(model.get("step"), last()), useCache = model.get("use_cache");
    slider.value = step;
    slider.setAttribute("aria-valuetext", `${step} of ${last()}, ${step ? "decode step" : "prefill"}`);
    cached.checked = useCache;
    lengths.checked = model.get("key_lengths");
    const positions = prompts() + last();
    notice.textContent = "Each column is a token, each row one KV head of a layer." + (lengths.checked ? " The stronger the colour, the longer the key stored there." : "") +
      (positions > MOST_COLUMNS ? ` Only ${MOST_COLUMNS} of ${thousands(positions)} tokens fit in.` : "");
    chips(step);
    const width = Math.max(600, Math.min(root.clientWidth - 16, 1000));
    canvas.innerHTML = picture(run, step, useCache, lengths.checked && keys, width);
    const said = sentence(run, step, useCache);
    if (!kernel.waiting) status.textContent = said;
    facts.replaceChildren(...[...costs(run, step), useCache ? weight(run, step) : "Cache: none, 0 bytes.", proof(run)].map((text) => element("div", {}, text)));
    canvas.setAttribute("aria-label", `Cache of ${run.model}. ${said} ${facts.textContent}`);
    table.show();
    mark();
    markDrawn(root);
  }

  function answered() {
    wrong.textContent = kernel.problem;
    paint();
  }
  load();
  ran = [prompt.value, count.value] = [run.prompt.replaceAll("\n", "\\n"), `${run.newTokens.length}`];
  const heard = { "change:step change:use_cache change:key_lengths": paint, "change:recorded": () => (load(), paint()) };
  return mount({ model, el }, root, paint, heard, { kernel, resized: paint, leave: stop });
}

export default { render };
