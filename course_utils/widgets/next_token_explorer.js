// Pure functions first (tests import them), then the page. The kernel sends the 30 likeliest tokens of the full
// softmax, its entropy and the shift; showing more or fewer bars doesn't ask the kernel.

/** The probability that is left for the tokens without a bar. */
export function tail(best, bars) {
  return Math.max(1 - best.slice(0, bars).reduce((sum, [, , p]) => sum + p, 0), 0);
}

/** How high a token's surprisal is drawn, 0 to 1: 12 bits, a chance of 1 in 4,096, fill it. */
export function height(bits) {
  return bits === null ? 0 : Math.min(bits / 12, 1);
}

/** A token of the prompt for people who listen. */
export function chipName(token, bits) {
  return `${quoted(token)}, ${bits === null ? "too little before it to predict it" : `${bits.toFixed(1)} bits`}`;
}

/** One prompt in a sentence; a first look goes without bits. */
export function summary(side, bars, bits = true) {
  const [, label, p] = side.best[0], others = side.vocabulary - Math.min(bars, side.best.length);
  const rest = others ? [`${thousands(others)} tokens without a bar share ${percent(tail(side.best, bars))}`] : [];
  const entropy = bits ? [`entropy ${side.entropy.toFixed(2)} bits`] : [];
  return `Most likely next: ${[`${quoted(label)}, ${percent(p)}`, ...rest, ...entropy].join("; ")}.`;
}

/** The shift in a sentence. */
export function shiftSummary(changes) {
  const most = (rows) => (rows.length ? `${quoted(rows[0][0])} (${percent(rows[0][1])} → ${percent(rows[0][2])})` : "no token");
  return `${percent(changes.moved)} of the probability moved from the first prompt to the second. ` +
    `${most(changes.gained)} gained most, ${most(changes.lost)} lost most.`;
}

/** Where an arrow key leads in a row of `count` buttons. */
export function moveTo(key, at, count) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[key];
  if (step) return Math.max(0, Math.min(count - 1, at + step));
  return { Home: 0, End: count - 1 }[key] ?? at;
}

/** Put `parts` into `place`: one stop for Tab, arrow keys inside; 200 tokens are not 200 stops. */
function fill(place, parts) {
  if (parts.length === place.childElementCount && parts.every((part, i) => part === place.children[i])) return;
  place.replaceChildren(...parts);
  place.querySelectorAll("button").forEach((button, i) => (button.tabIndex = i ? -1 : 0));
}

function walk(event) {
  const buttons = [...event.currentTarget.querySelectorAll("button")], at = buttons.indexOf(event.target);
  const to = moveTo(event.key, at, buttons.length);
  if (at < 0 || to === at) return;
  event.preventDefault();
  buttons[at].tabIndex = -1;
  buttons[to].tabIndex = 0;
  buttons[to].focus();
}

function render({ model, el }) {
  const live = model.get("can_run"), bits = model.get("bits");
  let focusAfter = null;

  const range = element("input", { type: "range", min: 1, max: 30, step: 1, "aria-label": "number of bars" });
  const count = element("output");
  const second = element("button", { type: "button" });
  const status = element("div", { class: "status", "aria-live": "polite" });
  const intro = element("p", { class: "intro" }, live
    ? "What comes next? Click a bar to add its token to the prompt; click a token to see what else could have been there."
    : "What comes next? Each bar is a token's probability, out of 100 %. Change the number of bars: how much is left for all the others?");
  const places = element("div", { class: "places" });
  const shift = element("div", { class: "shift", "aria-live": "polite" });
  const table = element("tbody");
  const details = element("details", {}, element("summary", {}, "Show as table"), element("table", {}, table));
  const controls = element("div", { class: "settings" }, element("label", {}, "bars ", range, " ", count), second, greyed(model, second), status);
  const root = element("div", { class: "course-widget explorer" }, intro, controls, places, shift, details);
  const later = together(draw), kernel = asking(model, root, status, later);
  const ask = (side, action, value, focus) => {
    focusAfter = focus;
    made[side].wrong.textContent = "";
    kernel.ask(side, action, value);
  };
  range.addEventListener("input", () => {
    write(model, { bars: +range.value });
  });
  second.addEventListener("click", () => {
    const sides = model.get("sides");
    if (sides.length === 2) ask(0, "close", "");
    else ask(1, "second", sides[0].prompt);
  });

  const made = [0, 1].map((number) => {
    const box = element("textarea", { rows: 2, "aria-label": `prompt ${number + 1}` });
    const button = element("button", { type: "button" }, "Run");
    const wrong = element("div", { class: "problem", role: "alert" });
    const stream = element("div", { class: "stream", role: "group", onkeydown: walk });
    const notice = element("div", { class: "notice" });
    const said = element("div", { class: "said", "aria-live": "polite" });
    const bars = element("div", { class: "bars", role: "group", onkeydown: walk });
    const go = () => ask(number, "text", box.value);
    button.addEventListener("click", go);
    onEnter(box, (event) => {
      event.preventDefault(); // with Shift it begins a new line
      go();
    });
    greyed(model, box, button);
    const note = element("div"), results = element("div", { class: "results" }, stream, notice, said, bars);
    const all = element("section", {}, element("div", { class: "ask" }, box, button), wrong, note, results);
    return { box, wrong, stream, notice, said, bars, show: keptText(box, note, results), all };
  });

  function chip(token, surprisal, number, position) {
    const drawn = height(bits ? surprisal : null), name = bits ? chipName(token, surprisal) : quoted(token);
    const inside = [element("span", { class: "token" }, token)];
    if (bits) {
      inside.unshift(element("span", { class: "meter", style: `height:${(2 + 24 * drawn).toFixed(1)}px` }));
      inside.push(element("span", { class: "bits" }, surprisal === null ? "–" : surprisal.toFixed(1)));
    }
    const style = `background:rgba(213,94,0,${(0.5 * drawn).toFixed(2)})`;
    if (!live || !position) return element("span", { class: "chip", style, title: name }, ...inside);
    const title = `${name}: what else could be here?`;
    return element("button", { type: "button", class: "chip", style, title, "aria-label": title,
      onclick: () => ask(number, "cut", position, firstBar(1)) }, ...inside);
  }

  const firstBar = (number) => () => made[number].bars.querySelector("button");

  function bar([id, label, p], rank, number) {
    const drawn = element("span", { class: "track", "aria-hidden": "true" },
      element("span", { class: "bar", style: `width:${100 * p}%` }), element("span", { class: "value" }, percent(p)));
    const name = element("span", { class: "label" }, `${rank + 1}. `, element("bdi", {}, label));
    if (!live) return element("div", { class: "line" }, name, drawn);
    const append = element("button", { type: "button", class: "line", "aria-label": `append ${quoted(label)}, ${percent(p)}`,
      onclick: () => ask(number, "append", id, firstBar(number)) }, name, drawn);
    const branch = element("button", { type: "button", class: "branch", title: "put the longer prompt beside this one",
      "aria-label": `compare: put the prompt with ${quoted(label)} beside this one`,
      onclick: () => ask(number, "branch", id, firstBar(1)) }, "compare");
    return element("div", { class: "pair" }, append, branch);
  }

  function paintSide(side, number) {
    const part = made[number], bars = model.get("bars"), key = part.side === side ? part.key : JSON.stringify(side);
    part.side = side;
    if (part.key !== key) {
      part.key = key;
      part.box.rows = Math.max(2, Math.min(8, side.prompt.split("\n").length));
      part.stream.setAttribute("aria-label", `tokens of prompt ${number + 1}${bits ? " with their surprisal in bits" : ""}; arrow keys move`);
      fill(part.stream, side.tokens.map((token, i) => chip(token, side.bits[i], number, i + side.hidden)));
      requestAnimationFrame(() => (part.stream.scrollTop = part.stream.scrollHeight)); // the newest tokens
      part.notice.textContent = (bits && side.measured ? "Orange: surprisal in bits. The higher, the less expected. " : "") +
        (side.hidden ? `The first ${thousands(side.hidden)} tokens are read, and not shown.` : "");
      part.lines = side.best.map((row, rank) => bar(row, rank, number));
    }
    part.said.textContent = summary(side, bars, bits);
    part.bars.setAttribute("aria-label", `likeliest next tokens of prompt ${number + 1}`);
    const left = tail(side.best, bars), lines = part.lines.slice(0, bars), others = side.vocabulary - lines.length;
    // As wide as the rows above it, or its bar would have another scale.
    if (others > 0) lines.push(element("div", { class: "pair" }, element("div", { class: "line rest" }, element("span", { class: "label" }, `${thousands(others)} others`),
      element("span", { class: "track" }, element("span", { class: "bar hatched", style: `width:${100 * left}%` }), element("span", { class: "value" }, percent(left)))),
      live ? element("span", { class: "branch none", "aria-hidden": "true" }, "compare") : null));
    fill(part.bars, lines);
  }

  /** Before and after in one row, on one scale. */
  function paintShift(changes) {
    const bars = (a, b) => element("span", { class: "two", "aria-hidden": "true" }, ...[[a, "before"], [b, "after"]].map(([p, kind]) =>
      element("span", { class: `bar ${kind}`, style: `width:${100 * p}%` })));
    const list = (name, mark, rows) => element("div", {}, element("b", {}, name), element("ul", {}, ...rows.map(([label, a, b]) =>
      element("li", {}, element("span", { class: "label" }, `${mark} `, element("bdi", {}, label)), bars(a, b), element("span", { class: "moved" }, `${percent(a)} → ${percent(b)}`)))));
    const key = (kind, said) => [element("span", { class: `key bar ${kind}` }), ` ${said} `];
    shift.replaceChildren(...(changes.gained ? [element("p", {}, shiftSummary(changes)),
      element("div", { class: "legend" }, ...key("before", "first prompt"), ...key("after", "second prompt")),
      element("div", { class: "lists" }, list("gained", "▲", changes.gained), list("lost", "▽", changes.lost))] : []));
  }

  function fillTable(sides) {
    const rows = [["prompt", "rank", "token", "probability"]];
    sides.forEach((side, n) => side.best.slice(0, model.get("bars")).forEach(([, label, p], r) => rows.push([n + 1, r + 1, label, p])));
    sides.forEach((side, n) => side.tokens.forEach((token, i) => rows.push([n + 1, `token ${i + side.hidden + 1}`, token, !bits || side.bits[i] === null ? "–" : `${side.bits[i].toFixed(2)} bits`])));
    table.replaceChildren(...rows.map((row, i) => element("tr", {}, ...row.map((c) => element(i ? "td" : "th", {}, String(c))))));
  }

  function paint() {
    const sides = model.get("sides"), problem = kernel.problem, [, wrongSide = 0] = model.get("asked");
    range.value = model.get("bars");
    count.textContent = model.get("bars");
    second.textContent = sides.length === 2 ? "Remove the second prompt" : "Compare with a second prompt";
    if (places.children.length !== sides.length) places.replaceChildren(...sides.map((_, i) => made[i].all));
    sides.forEach(paintSide);
    made.forEach((part, i) => {
      const wrong = i === Math.min(wrongSide, sides.length - 1) ? problem : "";
      part.wrong.textContent = wrong;
      if (sides[i]) part.show(sides[i].prompt, wrong);
    });
    paintShift(model.get("changes"));
    if (details.open) fillTable(sides);
    if (!kernel.waiting) status.textContent = "";
    markDrawn(root);
  }

  /** What was pressed is drawn again: the keyboard stays where it was. */
  function draw() {
    const focused = root.contains(document.activeElement);
    keepFocus(root, paint);
    if (kernel.waiting) return;
    if (focused && !kernel.problem) focusAfter?.()?.focus();
    focusAfter = null;
  }

  details.addEventListener("toggle", paint);
  return mount({ model, el }, root, paint, { "change:bars change:sides change:problem": later }, { kernel });
}

export default { render };
