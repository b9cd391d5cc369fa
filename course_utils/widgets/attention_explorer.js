// Pure functions first (tests import them), then the page.

/** Two stages show scores, two show weights. */
export const kindOf = (stage) => (stage === "scores" || stage === "masked" ? "scores" : "weights");

export const sharedHead = (about, head) => Math.floor((head * about.key_value_heads) / about.heads);

/** Whether the mask hides `key` from `query`, or the reader has hidden the first token (`about.bare`). */
export const hidden = (about, stage, query, key) => (about.bare && key === 0) || (about.kind === "causal" && stage !== "scores" && key > query);

/** The row of `query`; −∞ where hidden. */
export function rowOf(about, packet, stage, head, query) {
  const { low, high, lengths, cells } = packet, start = (head * about.queries.length + query) * about.keys.length;
  return about.keys.map((_, key) => {
    if (hidden(about, stage, query, key)) return -Infinity;
    const value = low[head] + (cells[start + key] / 255) * (high[head] - low[head]);
    return stage === "values" ? value * lengths[sharedHead(about, head)][key] : value;
  });
}

/** The values at both ends of the scale of colours. */
export function limits(about, packet, stage, head) {
  const ends = stage === "values" ? [0, packet.most[head]] : [packet.low[head], packet.high[head]];
  if (!about.bare) return ends;
  const rest = about.queries.flatMap((_, query) => rowOf(about, packet, stage, head, query)).filter(isFinite);
  return [Math.min, Math.max].map((edge) => rest.reduce((a, b) => edge(a, b), rest[0] ?? 0));
}

/** Places, largest value first. */
export function largest(row, count) {
  return [...row.keys()].filter((i) => row[i] > -Infinity).sort((a, b) => row[b] - row[a] || a - b).slice(0, count);
}

/** Head, row and stage in words. */
export function sentences(about, packet, { stage, layer, head }, query) {
  const row = rowOf(about, packet, stage, head, query), [low, high] = limits(about, packet, stage, head).map((edge) => edge.toFixed(2));
  const shared = about.key_value_heads < about.heads ? ` on KV head ${sharedHead(about, head)}` : "";
  const said = Object.entries(about.measures).map(([name, values]) => `${name} ${values[layer * about.heads + head].toFixed(2)}`);
  const best = largest(row, 4).map((key) => `${quoted(about.keys[key])} ${row[key].toFixed(2)}`).join(", ") || "nothing";
  return [`Head ${layer}.${head}${shared}: ${said.join(" · ")} bits.`,
    `${quoted(about.queries[query])} ${stage === "weights" ? "looks at" : "has"} ${best}.`,
    `${about.stages[stage][1]} The colours go from ${low} to ${high}.`];
}

const upTo = (many) => [...Array(many).keys()];
const bytesOf = (view) => numbersOf(view, Uint8Array);

function pixels(width, height, color) {
  const canvas = element("canvas", { width, height }), context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) image.data.set([...color(i), 255], 4 * i);
  context.putImageData(image, 0, 0);
  return canvas;
}

function render({ model, el }) {
  const store = new Map(), name = `stage-${Math.random()}`, get = (trait) => model.get(trait), ramp = bytesOf(get("_ramp"));
  let about, hover = null, requested, small, heat = {}, rowAt, isDark;
  const set = (values) => write(model, values);
  const here = () => get("layer") * about.heads + get("head");
  const choose = (place) => place >= 0 && set({ layer: Math.floor(place / about.heads), head: place % about.heads });
  const step = (by, all = about.orders[get("order")]) => choose(all[all.indexOf(here()) + by]);
  const ramped = (byte) => ramp.subarray(3 * (isDark ? 255 - byte : byte)).subarray(0, 3); // nothing has the page's colour
  const sliders = ["layer", "head", "token"].map((trait) => {
    const input = element("input", { type: "range", min: 0, "data-trait": trait, oninput: () => set({ [trait]: +input.value }) });
    return element("label", {}, element("b", {}, trait), input, element("output"));
  });
  const stages = element("div", { class: "row", role: "radiogroup", "aria-label": "stage of the formula" });
  const order = element("select", { onchange: () => set({ order: order.value }) });
  const sheet = element("style"), heads = element("div", { id: name, role: "img", onclick: ({ target }) => choose(small.indexOf(target)) }), one = element("canvas", { role: "img" });
  const status = element("div", { class: "status" }), strip = element("div", { class: "strip" }), title = element("p");
  const bare = element("input", { type: "checkbox", onchange: () => set({ hide_first: bare.checked }) }), scale = element("div", { class: "row" });
  let row;
  const table = asTable(() => [["token", "place", "value"], ...largest(row, 15).map((key) => [about.keys[key], key, row[key].toFixed(3)])]);
  const results = element("div", {}, title,
    element("div", { class: "row" }, ...sliders.slice(0, 2), element("label", {}, element("b", {}, "order"), order),
      pressed("◀ previous head", () => step(-1)), pressed("next head ▶", () => step(1))), sheet, heads,
    element("div", { class: "row" }, stages, element("label", {}, bare, "hide the first token")),
    element("div", { class: "focus" }, one, element("div", { class: "side" }, sliders[2], status, scale, strip)), table.details);
  const ask = textRow(model, "text for the model", (text) => (kernel.ask(text), open()), results);
  const root = element("div", { class: "course-widget attention-explorer" },
    element("p", { class: "intro" }, "Who looks at whom, in every head. Click a small picture, then hover over the tokens."),
    ...ask.parts, results);
  const kernel = asking(model, root, status, open);

  const keep = (packet, cells) => packet.version === about.version && store.set(packet.layer + packet.kind, { ...packet, cells: bytesOf(cells) });

  function open() {
    if (about?.version !== get("about").version) keepFocus(root, () => {
      about = { ...get("about") };
      store.clear();
      hover = requested = null;
      isDark = undefined;
      small = about.orders.place.map((i, _, { length }) => element("i", { title: `head ${Math.floor(i / about.heads)}.${i % about.heads}`, style: `background-position: 0 ${(100 * i) / (length - 1 || 1)}%` }));
      title.textContent = about.title;
      [about.layers, about.heads, about.queries.length].forEach((many, i) => (sliders[i].children[1].max = many - 1));
      order.replaceChildren(...Object.keys(about.orders).map((value) => element("option", { value }, value)));
      stages.replaceChildren(...Object.entries(about.stages).map(([value, [label]]) =>
        element("label", {}, element("input", { type: "radio", name, value, onchange: () => set({ stage: value }) }), label)));
      strip.replaceChildren(...about.keys.map((text) => element("span", { class: "token" }, element("span", {}, text), element("small"))));
      heads.style = `--layers: ${about.layers}; --heads: ${about.heads}; --all: ${small.length}00%`;
      heads.className = "";
      keep(get("_packet"), get("_packet").cells);
    });
    paint();
  }

  /** The small pictures, in the colours of the theme. */
  function ink() {
    const [r, g, b] = getComputedStyle(root).backgroundColor.match(/\d+/g).map(Number);
    if (isDark === (isDark = r + g + b < 384)) return;
    const columns = Math.min(14, about.keys.length), bytes = bytesOf(get("_thumbnails")), all = pixels(columns, bytes.length / columns, (i) => ramped(bytes[i]));
    sheet.textContent = `[id="${name}"] i {background-image: url(${all.toDataURL()})}`; // a rule is read once
    heat = {};
  }

  /** Of a short text, ask for all layers. An answer can be lost. */
  function need(layer, kind) {
    const every = Math.max(about.queries.length, about.keys.length) <= 64;
    const layers = upTo(about.layers).filter((i) => (every || i === layer) && !store.has(i + kind));
    if (Date.now() - requested < 5e3 || !layers.length || kernel.gone) return;
    requested = Date.now();
    // A page without a kernel answers this, too: {packets: [what _pack returns of each pair, without its cells]} as a
    // custom message, with the cells as its buffers. Above 64 tokens it is one layer at a time.
    model.send({ ask: layers.map((i) => [i, kind]), version: about.version });
    kernel.expect(() => !requested);
  }
  function arrive({ packets }, buffers) {
    if (!packets) return;
    requested = 0;
    packets.forEach((packet, i) => keep(packet, buffers[i]));
    paint();
  }

  function paint() {
    const [layer, head, stage, token, by] = ["layer", "head", "stage", "token", "order"].map(get), kind = kindOf(stage);
    [layer, head, token].forEach((value, i) => (sliders[i].children[1].value = sliders[i].children[2].textContent = value));
    order.value = by;
    stages.querySelectorAll("input").forEach((radio) => (radio.checked = radio.value === stage));
    sortHeads(by, layer, head);
    const packet = store.get(layer + kind);
    need(layer, kind);
    about.bare = bare.checked = get("hide_first");
    ink();
    ask.show(get("text"), kernel.problem);
    one.classList.toggle("older", !packet);
    if (!packet) {
      const here = kernel.gone || !model.widget_manager;
      if (!kernel.waiting) status.textContent = here ? `Layer ${layer} isn't on this page: it comes from a kernel.` : `Waiting for layer ${layer} …`;
      return;
    }
    const query = hover ?? token, said = sentences(about, packet, { stage, layer, head }, query);
    const [low, high] = limits(about, packet, stage, head);
    row = rowOf(about, packet, stage, head, query);
    const [best] = largest(row, 1), stops = [0, 64, 128, 191, 255].map((byte) => `rgb(${ramped(byte).join()})`);
    scale.replaceChildren(low.toFixed(2), element("i", { class: "ramp", style: `background: linear-gradient(90deg, ${stops})` }), high.toFixed(2));
    const share = (value) => Math.max(0, Math.min(1, (value - low) / (high - low || 1)));
    drawMatrix(packet, stage, head, query, share);
    [...strip.children].forEach((span, key) => {
      const masked = hidden(about, stage, query, key), part = masked ? 0 : share(row[key]);
      span.className = `token ${masked ? "masked" : ""} ${key === best ? "best" : ""} ${about.kind !== "cross" && key === query ? "looks" : ""}`;
      span.style.setProperty("--part", `${100 * part}%`);
      span.children[1].textContent = part >= 0.05 || key === best ? row[key].toFixed(2) : "";
    });
    status.ariaLive = hover === null ? "polite" : "off";
    if (!kernel.waiting) status.replaceChildren(...said.map((line) => element("p", {}, line)));
    heads.ariaLabel = `All heads by ${by}. ${said[0]}`;
    one.ariaLabel = said.join(" ");
    table.show();
    markDrawn(root);
  }

  function sortHeads(by, layer, head) {
    if (heads.className !== `heads ${by}`) {
      const group = about.heads / about.key_value_heads, isMap = by === "place", shared = group > 1 ? about.key_value_heads : 1, rows = about.heads / shared;
      const left = (text, row, span, kind) => element("b", { style: `grid-row: ${row} / span ${span}`, class: kind }, text);
      const names = isMap ? [...upTo(shared).map((kv) => left(shared > 1 ? `KV ${kv}` : "head", kv * rows + 1, rows)), left("layer", about.heads + 1, 1, "axis")] : [];
      const under = (layer) => element("small", {}, about.layers > 12 && layer % 5 ? "" : `${layer}`);
      heads.className = `heads ${by}`;
      heads.replaceChildren(...names, ...about.orders[by].flatMap((i) => (isMap && (i + 1) % about.heads === 0 ? [small[i], under(Math.floor(i / about.heads))] : [small[i]])));
    }
    small.forEach((picture, i) => {
      const mate = Math.floor(i / about.heads) === layer && sharedHead(about, i % about.heads) === sharedHead(about, head);
      picture.className = i === here() ? "now" : mate ? "mate" : "";
    });
  }

  function drawMatrix(packet, stage, head, query, share) {
    const queries = about.queries.length, keys = about.keys.length, most = Math.max(queries, keys), wide = root.clientWidth - 20;
    const room = Math.min(wide, 560, 220 + wide / 3), labels = room - 126 > 11 * most, left = labels ? 86 : 8, after = labels ? 40 : 4;
    const top = labels ? 66 : 18, cell = Math.min((room - left - after) / most, 40), below = top + queries * cell, right = left + keys * cell;
    const key = [packet.layer, head, stage, about.version, about.bare].join(), { color, backgroundColor } = getComputedStyle(root);
    if (heat.key !== key) {
      const shares = about.queries.flatMap((_, q) => rowOf(about, packet, stage, head, q).map(share));
      heat = { key, canvas: pixels(keys, queries, (i) => ramped(Math.round(255 * shares[i]))) };
    }
    const dense = devicePixelRatio, context = one.getContext("2d"), width = right + after;
    Object.assign(one, { width: width * dense, height: (below + 4) * dense }).style.width = `${width}px`;
    context.scale(dense, dense);
    Object.assign(context, { imageSmoothingEnabled: false, fillStyle: backgroundColor, strokeStyle: color, font: "11px sans-serif" });
    context.drawImage(heat.canvas, left, top, right - left, below - top);
    const isMasked = about.kind === "causal" && stage !== "scores";
    if (isMasked || about.bare) {
      const mask = new Path2D();
      for (let q = 0; isMasked && q < queries; q++) mask.rect(left + (q + 1) * cell, top + q * cell, (keys - q - 1) * cell, cell + 0.5);
      if (about.bare) mask.rect(left, top, cell, below - top);
      context.save();
      context.fill(mask);
      context.clip(mask);
      context.globalAlpha = 0.4;
      for (let x = left; x < right + below; x += 7) context.stroke(new Path2D(`M${x} 0L${x - below} ${below}`));
      context.restore();
    }
    context.fillStyle = color;
    if (!labels) context.fillText("looked at →", left, 12);
    const short = (text = "") => cut(text, 11);
    for (let i = 0; labels && i < most; i++) {
      context.fillText((i === query ? "▸" : "") + short(about.queries[i]), 2, top + (i + 0.5) * cell + 4);
      context.save();
      context.translate(left + (i + 0.6) * cell, top - 5);
      context.rotate(-0.9);
      context.fillText(short(about.keys[i]), 0, 0);
      context.restore();
    }
    Object.assign(context, { strokeStyle: "#E69F00", lineWidth: 2 });
    context.strokeRect(left, top + query * cell, right - left, cell);
    rowAt = ({ offsetY }) => {
      const place = Math.floor((offsetY - top) / cell);
      return place >= 0 && place < queries ? place : null;
    };
  }

  const spanAt = ({ target }) => {
    const place = [...strip.children].indexOf(target.closest(".token"));
    return place < 0 || about.kind === "cross" ? null : place;
  };
  const look = (place) => place !== hover && ((hover = place), paint());
  for (const [part, at] of [[one, (event) => rowAt(event)], [strip, spanAt]]) {
    part.addEventListener("pointermove", (event) => look(at(event)));
    part.addEventListener("click", (event) => at(event) !== null && set({ token: at(event) }));
    part.addEventListener("pointerleave", () => look(null));
  }
  const theme = new MutationObserver(paint);
  theme.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  return mount({ model, el }, root, open, { change: open, "msg:custom": arrive }, { kernel, resized: paint, leave: () => theme.disconnect() });
}

export default { render };
