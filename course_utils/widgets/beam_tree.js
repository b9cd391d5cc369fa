// One recorded search: the length penalty and early stopping need neither kernel nor model.

const ROOT = -1;

/** The rules of engine/beam_search.py, up to step `upTo`: {finished: [{node, score}], last}. */
export function replay(tree, penalty, early, upTo = Infinity) {
  const { steps, fates, scores, beams, longest } = tree;
  const end = Math.min(upTo, steps.at(-1));
  let finished = [], step = 1;
  for (; step <= end; step++) {
    let running = -Infinity;
    steps.forEach((of, node) => {
      if (of !== step) return;
      if (fates[node] === "finished") finished.push({ node, score: scores[node] / step ** penalty });
      if (fates[node] === "kept") running = Math.max(running, scores[node]);
    });
    finished = finished.sort((a, b) => b.score - a.score).slice(0, beams);
    if (running === -Infinity) break;
    if (finished.length < beams) continue;
    if (early === true || beams === 1) break;
    const length = early === "never" && penalty > 0 ? longest : step;
    if (running / length ** penalty <= finished.at(-1).score) break;
  }
  return { finished, last: Math.min(step, end) };
}

/** The nodes from the first token to `node`. */
export function pathTo(tree, node) {
  const way = [];
  for (; node !== ROOT; node = tree.parents[node]) way.unshift(node);
  return way;
}

/** −1.03 */
export const number = (value, digits = 2) => value.toFixed(digits).replace("-", "−");

/** Tokens as a text. */
export const textOf = (tokens) => tokens.join("").replaceAll("␣", " ");
const textTo = (tree, node) => textOf(pathTo(tree, node).map((n) => tree.tokens[n]));

const ownScore = ({ scores, parents }, node) => scores[node] - (parents[node] === ROOT ? 0 : scores[parents[node]]);

/** The probability of a token after the text before it. */
export const chanceOf = (tree, node) => Math.exp(ownScore(tree, node));

/** One token in words. */
export function nodeWords(tree, node, penalty) {
  const { tokens, steps, scores, fates, beams } = tree;
  const step = steps[node], own = ownScore(tree, node);
  const better = node - steps.indexOf(step);
  const fate = {
    kept: `kept: number ${better + 1} of step ${step}`,
    finished: `finished: score ${number(scores[node] / step ** penalty, 3)} (${number(scores[node])} / ${step}^${penalty})`,
    pruned: `pruned: ${better} of step ${step} had larger sums, and there ${beams === 1 ? "is 1 beam" : `are ${beams} beams`}`,
  }[fates[node]];
  return `Step ${step}, ${quoted(tokens[node])}: log-probability ${number(own)} (${percent(chanceOf(tree, node))}), ` +
    `sum ${number(scores[node])}, ${fate}. Text: ${quoted(textTo(tree, node))}`;
}

/** Where an arrow key leads: parent, best child, up and down in the column. */
export function walk(tree, node, key, upTo) {
  const { steps, parents, rows } = tree;
  if (key === "ArrowLeft") return parents[node] === ROOT ? node : parents[node];
  if (key === "ArrowRight") {
    const child = parents.indexOf(node);
    return child > -1 && steps[child] <= upTo ? child : node;
  }
  const row = rows[node] + (key === "ArrowDown" ? 1 : -1);
  const there = steps.findIndex((step, other) => step === steps[node] && rows[other] === row);
  return there > -1 ? there : node;
}

/** What is wrong with a length penalty, or "". */
export function problem(value) {
  return notANumber("length penalty", value) || (value >= -5 && value <= 5 ? "" : `length penalty must be in [-5, 5], got ${value}`);
}

const HIGH = 24, TOP = 24, LEFT = 26;

/** Corner and width of a node's box. */
export const place = (tree, node, column) =>
  [LEFT + (tree.steps[node] - 1) * column, TOP + tree.rows[node] * HIGH, column - 24];

/** The picture as SVG source. */
export function picture(tree, found, upTo, column) {
  const { tokens, steps, parents, scores, fates, rows, greedy } = tree;
  const high = TOP + (Math.max(...rows) + 1) * HIGH, wide = LEFT + steps.at(-1) * column;
  const winner = new Set(found.finished.length ? pathTo(tree, found.finished[0].node) : []);
  const onGreedy = new Set(greedy), room = Math.max(3, Math.floor((column - 72) / 6.8));
  const edges = [], boxes = [];
  for (let step = 1; step <= upTo; step++) {
    boxes.push(`<text x="${LEFT + (step - 0.5) * column - 12}" y="12" text-anchor="middle" class="head">step ${step}</text>`);
  }
  steps.forEach((step, node) => {
    if (step > upTo) return;
    const [x, y, w] = place(tree, node, column), from = parents[node];
    const kind = `${fates[node]}${winner.has(node) ? " winner" : ""}${step > found.last ? " beyond" : ""}`;
    const [px, py, pw] = from === ROOT ? [4, high / 2 - 9, 0] : place(tree, from, column), bend = (px + pw + x) / 2;
    edges.push(`<path data-edge="${node}" d="M${px + pw} ${py + 9}C${bend} ${py + 9} ${bend} ${y + 9} ${x} ${y + 9}" class="edge ${kind}"/>`);
    if (onGreedy.has(node)) boxes.push(`<rect x="${x - 3}" y="${y - 3}" width="${w + 6}" height="24" rx="5" class="greedy"/>`);
    const score = number(scores[node]), most = Math.max(3, room - (score.length > 5) - winner.has(node));
    const wall = fates[node] === "finished" ? `<path d="M${x + w} ${y - 1}v20" class="wall"/>` : "";
    const star = winner.has(node) && node === found.finished[0].node ? `<text x="${x + w + 4}" y="${y + 14}">★</text>` : "";
    boxes.push(`<g data-node="${node}" class="node ${kind}"><rect style="--part: ${(100 * chanceOf(tree, node)).toFixed(1)}%" x="${x}" y="${y}" width="${w}" height="18" rx="3"/>` +
      `<text x="${x + 4}" y="${y + 13}">${escapeText(cut(tokens[node], most))}</text>` +
      `<text x="${x + w - 4}" y="${y + 13}" text-anchor="end" class="small">${score}</text>${wall}${star}</g>`);
  });
  if (found.last < upTo) {
    const x = LEFT + found.last * column - 8;
    boxes.push(`<path d="M${x} 2V${high}" class="stop"/><text x="${x + 4}" y="${high - 2}" class="small">stopped here</text>`);
  }
  return `<svg viewBox="0 0 ${wide} ${high + 4}" width="${wide}" height="${high + 4}"><circle cx="4" cy="${high / 2}" r="4" class="root"/>` +
    `${edges.join("")}${boxes.join("")}<rect class="chosen" height="22" width="0" rx="4"/></svg>`;
}

/** The picture in words. */
export function summary(tree, found, upTo) {
  const counts = ["kept", "finished", "pruned"].map((fate) =>
    `${tree.fates.filter((f, node) => f === fate && tree.steps[node] === found.last).length} ${fate}`);
  const best = found.finished.length ? ` Best text: ${quoted(textTo(tree, found.finished[0].node))}.` : "";
  return `Tree of ${tree.beams} beams up to step ${upTo}; step ${found.last}: ${counts.join(", ")}.${best}`;
}

/** Finished texts, beams that still grow, greedy's text: {node, cells}; greedy's node is the last that the tree has. */
export function ranking(tree, found, penalty, over) {
  const row = (place, node, score) => ({ node, cells: [place, textTo(tree, node), tree.steps[node], number(tree.scores[node]), number(score, 3)] });
  const rows = found.finished.map(({ node, score }, i) => row(`${i + 1}`, node, score));
  tree.steps.forEach((step, node) => {
    if (!over && step === found.last && tree.fates[node] === "kept") rows.push(row("grows", node, tree.scores[node] / step ** penalty));
  });
  const long = tree.greedyTokens.length;
  const cells = ["greedy", textOf(tree.greedyTokens), long, number(tree.greedySum), number(tree.greedySum / long ** penalty, 3)];
  return [...rows, { node: tree.greedy.at(-1) ?? ROOT, cells }];
}

const line = (...children) => element("div", { class: "row" }, ...children);
const named = (name, input) => element("label", {}, name, input);

function render({ model, el }) {
  let chosen = 0, column = 110, tree = model.get("tree");
  const said = element("div", { class: "said", "aria-live": "polite" });
  const status = element("div", { class: "status", "aria-live": "polite" });
  const canvas = element("div", { role: "img" });
  const walker = element("div", { class: "picture", tabindex: "0", role: "group",
    "aria-label": "the tree: arrow keys walk from token to token" }, canvas);
  const lit = ({ target }) => light(target.closest("tr")?.dataset.end ?? ROOT);
  const ranked = element("tbody", { onmouseover: lit, onfocusin: lit, onmouseleave: () => light(ROOT), onfocusout: () => light(ROOT) });
  // The story comes from the kernel, and may come late or never.
  const isTold = () => `${model.get("told")}` === `${["length_penalty", "early_stopping", "step"].map((name) => model.get(name))}`;
  const set = (name, value) => {
    write(model, { [name]: value });
    kernel.expect(isTold);
  };

  const box = (name, value, attributes) => element("input", { "aria-label": name, value, ...attributes });
  const prompt = box("prompt", tree.prompt, { type: "text", class: "prompt" });
  const beams = box("beams", tree.beams, { type: "number", min: 1, max: 10 });
  const most = box("most new tokens", tree.longest, { type: "number", min: 1, max: 12 });
  const button = pressed("Search again", search), boxes = [prompt, beams, most];
  const form = line(prompt, named("beams ", beams), named("new tokens ", most), button, greyed(model, ...boxes, button));
  let ran = boxes.map((input) => input.value);
  function search() {
    ran = boxes.map((input) => input.value);
    kernel.ask(prompt.value, readNumber(beams.value), readNumber(most.value));
    mark();
  }
  const mark = () => markOlder(results, older, tree.prompt, boxes.some((input, i) => input.value !== ran[i]), kernel.problem);
  boxes.forEach((input) => (onEnter(input, search), input.addEventListener("input", mark)));

  const last = () => tree.steps.at(-1);
  const { button: play, stop } = player({ now: () => model.get("step"), first: 1, last, go: (to) => set("step", to), wait: () => 1000 });
  const step = box("step", 1, { type: "range", min: 1, step: 1 });
  const slider = box("length penalty", 1, { type: "range", min: -1, max: 3, step: 0.1 });
  const exact = numberBox(model, "length_penalty", { label: "length penalty", set, wrongWith: (_, value) => problem(value), size: 4 });
  const early = element("select", { "aria-label": "early stopping" }, ...["True", "False", "never"].map((v) => element("option", {}, v)));
  step.addEventListener("input", () => (stop(), set("step", +step.value)));
  slider.addEventListener("input", () => set("length_penalty", +(+slider.value).toFixed(1)));
  early.addEventListener("change", () => set("early_stopping", { True: true, False: false }[early.value] ?? "never"));
  const controls = line(play, named("step ", step), named("length penalty ", slider), exact.box, named("early stopping ", early), exact.wrong);

  function choose(node) {
    chosen = node;
    const [x, y, w] = place(tree, node, column), mark = canvas.querySelector(".chosen");
    Object.entries({ x: x - 2, y: y - 2, width: w + 4 }).forEach((side) => mark.setAttribute(...side));
    said.textContent = nodeWords(tree, node, model.get("length_penalty"));
    markDrawn(root);
  }
  /** Show the way to a node. */
  function light(node) {
    const way = new Set(pathTo(tree, +node));
    canvas.querySelectorAll("[data-node], [data-edge]").forEach((one) => one.classList.toggle("lit", way.has(+(one.dataset.node ?? one.dataset.edge))));
  }
  canvas.addEventListener("mouseover", (event) => {
    const found = event.target.closest("[data-node]");
    if (found) choose(+found.dataset.node);
  });
  walker.addEventListener("keydown", (event) => {
    if (!event.key.startsWith("Arrow")) return;
    event.preventDefault();
    choose(walk(tree, chosen, event.key, model.get("step")));
    const [x, , w] = place(tree, chosen, column), from = walker.scrollLeft;
    if (x < from || x + w > from + walker.clientWidth) walker.scrollLeft = x - LEFT;
  });

  let shownStep, shownTree, shown, words;
  function paint() {
    const penalty = model.get("length_penalty"), upTo = model.get("step"), ends = model.get("early_stopping");
    tree = model.get("tree");
    step.max = last();
    step.value = upTo;
    early.value = { true: "True", false: "False" }[ends] ?? ends;
    slider.value = penalty;
    exact.show();
    const found = replay(tree, penalty, ends, upTo), over = upTo >= replay(tree, penalty, ends).last;
    column = Math.max(124, Math.min(150, (root.clientWidth - LEFT - 20) / last()));
    const source = picture(tree, found, upTo, column);
    if (source !== shown) canvas.innerHTML = shown = source; // 240 boxes take time
    words = summary(tree, found, upTo);
    canvas.setAttribute("aria-label", words);
    const rows = ranking(tree, found, penalty, over);
    ranked.replaceChildren(...tableRows([["place", "text", "tokens", "sum", `sum / tokens^${penalty}`], ...rows.map(({ cells }) => cells)]));
    rows.forEach(({ node }, i) => Object.assign(ranked.children[i + 1], { tabIndex: 0 }).dataset.end = node);
    table.show();
    if (tree !== shownTree) chosen = 0;
    if (tree.steps[chosen] > upTo) chosen = pathTo(tree, chosen)[upTo - 1];
    choose(chosen);
    if (shownStep && shownStep !== upTo && upTo * column > walker.clientWidth) walker.scrollLeft = LEFT + upTo * column - walker.clientWidth;
    shownTree = tree;
    shownStep = upTo;
    tell();
  }
  function tell() {
    mark();
    if (kernel.waiting) return;
    status.className = kernel.problem ? "status problem" : "status";
    status.textContent = kernel.problem || (isTold() ? model.get("story") : words);
  }
  const table = asTable(() => [["step", "text before", "token", "sum", "fate"], ...[...tree.steps.keys()]
    .filter((node) => tree.steps[node] <= model.get("step")).map((node) => [tree.steps[node],
      textTo(tree, tree.parents[node]), tree.tokens[node], number(tree.scores[node]), tree.fates[node]])]);

  const keys = { kept: "kept", pruned: "pruned", finished: "finished", greedy: "greedy's path", winner: "★ the best text" };
  const older = element("div"), results = element("div", {}, controls,
    line(...Object.entries(keys).map(([kind, words]) => element("span", { class: `key ${kind}` }, words)), ...swatches([["ramp", "the stronger the shade, the likelier the token"]])),
    walker, said, element("table", { class: "ranking" }, ranked), table.details);
  const root = element("div", { class: "course-widget beam-tree" },
    element("p", { class: "intro" }, "Why does the search choose this text? Press Play to see it grow. Then move the length penalty: which text wins?"),
    form, status, older, results);
  const kernel = asking(model, root, status, paint, "Searching …");
  const heard = { "change:tree change:step change:length_penalty change:early_stopping": paint, "change:story change:told": tell };
  return mount({ model, el }, root, paint, heard, { kernel, resized: paint, leave: stop });
}

export default { render };
