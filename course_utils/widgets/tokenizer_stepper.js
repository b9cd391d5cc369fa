// Every piece that ever exists is here, so that stepping does not wait for the kernel.
// A piece: [first atom, atom after the last, step that makes it, step that uses it up, token id].

const MOST_ATOMS = 60; // of a tree

/** The pieces that are there after `step` steps, word by word. */
export function wordsAt(view, step) {
  const words = view.words.map(() => []);
  let word = 0;
  for (const piece of view.order) {
    const [first, , made, used] = view.pieces[piece];
    while (first >= view.words[word][1]) word++;
    if (made <= step && step < used) words[word].push(piece);
  }
  return words;
}

/** A view with the pieces' order from left to right. */
export function withOrder(view) {
  const order = view.pieces.map((_, i) => i).sort((a, b) => view.pieces[a][0] - view.pieces[b][0] || a - b);
  return { ...view, order };
}

/** What a step did, in Python's words. */
export function stepSaid(pane, view, step) {
  const start = `Step ${step} of ${view.steps.length}: `;
  const unit = pane.kind === "byte pairs" ? "byte" : "character";
  if (!step) return `${start}${plural(view.atoms.length, unit)}, nothing joined yet`;
  const [made, parts, number] = view.steps[step - 1];
  if (unit === "byte") return `${start}${quoted(parts[0])} + ${quoted(parts[1])} → ${quoted(made)} (merge ${thousands(number)} of the training)`;
  if (made === "[UNK]") return `${start}${quoted(parts[0])} can't be built from known pieces: ${made}`;
  return `${start}${quoted(parts[0])} begins with ${quoted(made)} (${plural(number, "candidate")} looked up)`;
}

/** How many tokens the text became, in Python's words. */
export const headline = (text, tokens) => `${plural([...text].length, "character")} → ${plural(tokens, "token")}`;

/** The finished tokens as a text: [{text, id, special, isFirst}]; isFirst: a word begins, which word pieces part with a space. */
export function running(view) {
  return wordsAt(view, view.steps.length).flatMap((pieces, word) => pieces.map((piece, i) => ({
    text: view.labels[piece].replaceAll("␣", " ").replace(/^##(?=.)/, i ? "" : "##"), id: view.pieces[piece][4],
    special: Boolean(view.words[word][2]), isFirst: !i,
  })));
}

/** How long Play waits between `steps` steps: all of them take some seconds. */
export const pause = (steps) => Math.max(80, Math.min(600, 8000 / steps));

/** What the tokens cost, in Python's words. */
export function readout(pane, tokens) {
  const share = (100 * tokens) / pane.context;
  const fits = tokens > pane.context ? ": too long for this model" : "";
  const length = pane.context ? `${share.toFixed(2)} % of the context length of ${thousands(pane.context)}${fits}` : "no limit to the context length";
  const cache = pane.bytes > 0 ? `${thousands(tokens * pane.bytes)} bytes of KV cache`
    : pane.bytes ? "no KV cache that grows by the same with every token" : "an encoder keeps no KV cache";
  return `${plural(tokens, "token")} · ${length} · ${cache}`;
}

/** The bytes of a piece, as hexadecimal numbers. */
export const bytesOf = (view, piece) => view.atoms.slice(view.pieces[piece][0], view.pieces[piece][1]).join(" ");

/** The pieces of one word: [{piece, children, level}], smallest first. */
export function treeOf(view, word) {
  const [begin, end] = view.words[word];
  const inside = view.pieces.flatMap((p, i) => (p[0] >= begin && p[1] <= end ? [i] : []));
  const level = {};
  return inside.map((piece) => {
    const [first, last, made] = view.pieces[piece];
    const children = made ? inside.filter((i) => view.pieces[i][3] === made && view.pieces[i][0] >= first && view.pieces[i][1] <= last) : [];
    level[piece] = 1 + Math.max(-1, ...children.map((child) => level[child]));
    return { piece, children, level: level[piece] };
  });
}

/** The tree as SVG source; what is not made yet is dashed. */
export function treePicture(view, word, step) {
  const tree = treeOf(view, word), begin = view.words[word][0];
  const top = Math.max(...tree.map((node) => node.level)), wide = 46, high = 40;
  const at = Object.fromEntries(tree.map(({ piece, level }) => {
    const [first, end] = view.pieces[piece];
    return [piece, [((first + end) / 2 - begin) * wide, (top - level) * high + 18]];
  }));
  const lines = [], boxes = [];
  for (const { piece, children } of tree) {
    const [x, y] = at[piece], made = view.pieces[piece][2], name = view.labels[piece];
    const later = made > step ? " later" : made && made === step ? " new" : "";
    for (const child of children) lines.push(`<path d="M${x} ${y}L${at[child].join(" ")}" class="branch${later}"/>`);
    const room = Math.max(made ? 42 : 16, [...name].length * 7.5 + 8), tall = made ? 30 : 18;
    boxes.push(`<rect x="${x - room / 2}" y="${y - 12}" width="${room}" height="${tall}" rx="4" class="node${later}"/>`,
      `<text x="${x}" y="${y + 2}" text-anchor="middle">${escapeText(name)}</text>`);
    if (made) boxes.push(`<text x="${x}" y="${y + 14}" text-anchor="middle" class="small">step ${made}</text>`);
  }
  const width = (view.words[word][1] - begin) * wide + 20;
  return `<svg width="${width}" height="${top * high + 44}" viewBox="-10 0 ${width} ${top * high + 44}">${lines.join("")}${boxes.join("")}</svg>`;
}

/** The tree in words, for people who listen. */
export function treeSaid(view, word) {
  const joins = treeOf(view, word).filter(({ children }) => children.length).sort((a, b) => view.pieces[a.piece][2] - view.pieces[b.piece][2]);
  const said = joins.map(({ piece, children }) => `step ${view.pieces[piece][2]}: ${children.map((c) => quoted(view.labels[c])).join(" + ")} → ${quoted(view.labels[piece])}`);
  return said.join("; ") || "one piece, nothing to join";
}

function chip(view, piece, step, special) {
  const [, , made, , id] = view.pieces[piece];
  const kind = `chip${special ? " special" : ""}${id < 0 ? " open" : ""}${made && made === step ? " new" : ""}`;
  return `<span class="${kind}"><b>${escapeText(view.labels[piece])}</b><span>${id < 0 ? "no id" : id}</span><small>${bytesOf(view, piece)}</small></span>`;
}

function render({ model, el }) {
  const set = (values) => write(model, values);
  const box = element("input", { type: "text", "aria-label": "text to tokenize" });
  const button = element("button", { type: "button" }, "Tokenize");
  const status = element("div", { class: "status", "aria-live": "polite" });
  const special = element("input", { type: "checkbox" }), play = element("button", { type: "button", onclick: toggle });
  const bytes = element("input", { type: "checkbox", onchange: () => root.classList.toggle("bytes", bytes.checked) });
  const table = element("div", { class: "tables" });
  const details = element("details", {}, element("summary", {}, "Show as table"), table);
  const sections = element("div"), live = model.get("can_run");
  const intro = element("p", { class: "intro" }, "How a text becomes tokens: each colour below is one. " +
    `Press Play to watch the pieces join${live ? ", then type a text of your own" : ""}.`);
  const note = element("div", { class: "note" }), results = element("div", {}, sections, details);
  const root = element("div", { class: "course-widget stepper" }, intro,
    element("div", { class: "ask" }, box, button, greyed(model, box, button)), status, note,
    element("div", { class: "switches" }, play, element("label", {}, special, " special tokens of the model (chat template)"),
      element("label", {}, bytes, " bytes")), results);

  const show = keptText(box, note, results);
  const later = together(() => keepFocus(root, paint)), kernel = asking(model, root, status, later, "Tokenizing …");
  let timer = null, typed;
  const run = () => {
    clearTimeout(typed);
    stop();
    kernel.ask(box.value);
  };
  button.addEventListener("click", run);
  onEnter(box, run);
  // While someone types, after every short pause; a word that an input method hasn't ended yet waits.
  box.addEventListener("input", (event) => {
    clearTimeout(typed);
    if (!event.isComposing && box.value.trim()) typed = setTimeout(run, 300);
  });
  const views = () => model.get("panes").map((pane) => pane.views[+model.get("special")]);
  const ends = () => views().map((view) => view.steps.length);
  special.addEventListener("change", () => {
    const done = ends().map((end, i) => model.get("step")[i] === end);
    stop();
    model.set("special", special.checked);
    set({ step: ends().map((end, i) => (done[i] ? end : 0)), word: views().map((view) => view.start) });
  });

  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = calm() ? "▶ Next step" : "▶ Play";
  }
  /** One step of every tokenizer that has one left; from the end, back to the beginning. */
  function advance() {
    const now = model.get("step"), last = ends(), isOver = now.every((step, i) => step >= last[i]);
    set({ step: now.map((step, i) => (isOver ? 0 : Math.min(step + 1, last[i]))) });
    if (model.get("step").every((step, i) => step >= last[i])) stop();
  }
  function toggle() {
    if (timer !== null) return stop();
    if (!calm()) timer = setInterval(advance, pause(Math.max(...ends())));
    if (timer !== null) play.textContent = "■ Stop";
    advance();
  }

  /** One tokenizer. */
  function section(number) {
    const name = model.get("panes")[number].model;
    const change = (trait, value) => stop() || set({ [trait]: model.get(trait).map((old, i) => (i === number ? value : old)) });
    const slider = (trait, label) => {
      const range = element("input", { type: "range", min: 0, step: 1, "data-trait": trait, "aria-label": `${label}, ${name}` });
      range.addEventListener("input", () => change(trait, +range.value));
      return range;
    };
    const step = slider("step", "step"), word = slider("word", "word of the tree");
    const text = element("p", { class: "running" }), count = element("b"), cost = element("div", { class: "cost" }), said = element("div", { class: "said", "aria-live": "polite" });
    const notice = element("div", { class: "notice" }), wordName = element("span", { class: "word-name" });
    const chips = element("div", { class: "chips", tabindex: "0", role: "region", "aria-label": `tokens of ${name}` });
    const tree = element("div", { class: "tree", role: "img" });
    chips.addEventListener("click", (event) => {
      const found = event.target.closest("[data-word]");
      if (found) change("word", +found.dataset.word);
    });
    sections.append(element("section", {}, element("h4", {}, `${name}: ${model.get("panes")[number].kind} · `, count), text, cost,
      element("div", { class: "row" }, element("label", {}, "step"), step, said), notice, chips,
      element("div", { class: "row" }, element("label", {}, "tree of"), word, wordName), tree));

    let source, view, keys, spans, drawnTree;
    return function paint() {
      const pane = model.get("panes")[number], now = pane.views[+model.get("special")];
      const at = model.get("step")[number], chosen = model.get("word")[number];
      if (source !== now) {
        [source, view, keys, drawnTree] = [now, withOrder(now), [], ""];
        spans = view.words.map((_, i) => element("span", { class: "word", "data-word": i }));
        chips.replaceChildren(...spans);
        [step.max, word.max] = [view.steps.length, view.words.length - 1];
        const shown = view.pieces.filter((p) => p[3] > view.steps.length).length;
        notice.textContent = shown < view.tokens ? `Only the first ${plural(shown, "token")} of ${thousands(view.tokens)} are drawn.` : "";
        cost.textContent = readout(pane, view.tokens);
        count.textContent = headline(model.get("text"), view.tokens);
        text.className = `running${pane.kind === "word pieces" ? " parted" : ""}`;
        text.replaceChildren(...running(view).map(({ text, id, special, isFirst }) =>
          element("span", { class: `token${special ? " special" : ""}${isFirst ? " first" : ""}`, title: `id ${id}` }, text)));
      }
      [step.value, word.value] = [at, chosen];
      said.textContent = stepSaid(pane, view, at);
      step.setAttribute("aria-valuetext", said.textContent);
      const words = wordsAt(view, at);
      words.forEach((pieces, w) => {
        const key = pieces.map((p) => (at && view.pieces[p][2] === at ? `${p}!` : p)).join() + (w === chosen);
        if (key === keys[w]) return;
        keys[w] = key;
        spans[w].innerHTML = pieces.map((piece) => chip(view, piece, at, view.words[w][2])).join("");
        spans[w].className = w === chosen ? "word chosen" : "word";
      });
      wordName.replaceChildren(...dotted(words[chosen].map((piece) => view.labels[piece])));
      word.setAttribute("aria-valuetext", wordName.textContent);
      const [begin, end] = view.words[chosen];
      const key = `${chosen} ${Math.min(at, Math.max(...treeOf(view, chosen).map(({ piece }) => view.pieces[piece][2])))} ${words[chosen]}`;
      if (key === drawnTree) return;
      drawnTree = key;
      const tooWide = end - begin > MOST_ATOMS;
      tree.innerHTML = tooWide ? "" : treePicture(view, chosen, at);
      if (tooWide) tree.textContent = `This word begins as ${end - begin} pieces: too wide for a tree.`;
      tree.setAttribute("aria-label", `Tree of ${wordName.textContent}: ${treeSaid(view, chosen)}`);
    };
  }
  stop();
  const paints = model.get("panes").map((_, number) => section(number));

  function fillTable() {
    table.replaceChildren(...model.get("panes").map((pane, number) => {
      const view = withOrder(pane.views[+model.get("special")]);
      const rows = wordsAt(view, model.get("step")[number]).flat().map((piece, i) =>
        [i + 1, view.labels[piece], view.pieces[piece][4] < 0 ? "–" : view.pieces[piece][4], bytesOf(view, piece)]);
      const cells = [["place", "token", "id", "bytes"], ...rows];
      return element("table", {}, element("caption", {}, pane.model), element("tbody", {},
        ...cells.map((row, i) => element("tr", {}, ...row.map((cell) => element(i ? "td" : "th", {}, String(cell)))))));
    }));
  }

  function paint() {
    special.checked = model.get("special");
    paints.forEach((draw) => draw());
    const problem = kernel.problem, text = model.get("text");
    show(text, problem);
    if (!kernel.waiting) {
      status.className = problem ? "status problem" : "status";
      status.textContent = problem || quoted(cut(text, 100));
    }
    if (details.open) fillTable();
    markDrawn(root);
  }
  details.addEventListener("toggle", paint);
  const watched = "change:step change:word change:special change:panes change:problem";
  return mount({ model, el }, root, paint, { [watched]: later }, { kernel, leave: () => (stop(), clearTimeout(typed)) });
}

export default { render };
