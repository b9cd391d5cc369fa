// The three steps of a pipeline; the tables are here, so that stepping does not wait for the kernel.

/** (1, 9) of Python, from the list [1, 9]. */
export function shapeText(shape) {
  return `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
}

/** What a cell shows: texts as they are, numbers with a real minus sign. */
export function cellText(cell) {
  return typeof cell === "number" ? String(cell).replace(/^-/, "−") : cell;
}

/** Where the bars of one step's logits begin and end: 0 is always inside, so that a negative one points the other way. */
export function logitRange(tables) {
  const numbers = tables.flatMap(([, , columns, rows]) => columns.flatMap((name, i) => (name === "logit" ? rows.map((row) => row[i]) : [])));
  return [Math.min(0, ...numbers), Math.max(0, ...numbers)];
}

/** A bar from 0 to `number` on a scale from `low` to `high`: left end and width in percent. */
export function barSpan(number, [low, high]) {
  const share = (value) => (100 * (value - low)) / (high - low || 1);
  return [share(Math.min(0, number)), share(Math.max(0, number)) - share(Math.min(0, number))];
}

/** The columns whose numbers are drawn as bars: logits and scores, not ids. */
export function barColumns(columns) {
  return columns.flatMap((name, i) => (name === "logit" || name === "score" ? [i] : []));
}

const SAID = {
  preprocess: "The text becomes numbers: tokens and their ids. Nothing is computed yet.",
  forward: "The model turns the ids into logits. They are not probabilities yet.",
  postprocess: "The logits become an answer that people can read.",
};
const SIDE_BY_SIDE = 690; // pixels that three panels need; below, only the chosen one is open

function barOf(number, range) {
  const [left, width] = barSpan(number, range);
  return element("span", { class: "bar-place", "aria-hidden": "true" },
    element("span", { class: `bar${number < 0 ? " negative" : ""}`, style: `left:${left}%;width:${width}%` }),
    element("span", { class: "zero", style: `left:${barSpan(0, range)[0]}%` }));
}

/** A title that may go on in a second line after its first underscore. */
const titled = (name) => name.split(/(?<=_)/).flatMap((part, i) => (i === 1 ? [element("wbr"), part] : part));

function tableOf([title, shape, columns, rows], logits) {
  const bars = barColumns(columns);
  const head = element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, ...titled(name))));
  const body = rows.map((row) => element("tr", {}, ...row.map((cell, i) => {
    const made = element("td", { class: typeof cell === "number" ? "number" : "" }, cellText(cell));
    if (bars.includes(i) && typeof cell === "number") made.append(barOf(cell, columns[i] === "score" ? [0, 1] : logits));
    return made;
  })));
  const scale = columns.includes("score") ? " · bars from 0 to 1" : columns.includes("logit") ? " · bars from 0" : "";
  const caption = element("caption", {}, `${title} · shape ${shapeText(shape)}${scale}`);
  return element("table", {}, caption, element("thead", {}, head), element("tbody", {}, ...body));
}

function render({ model, el }) {
  const group = `xray-${Math.random().toString(36).slice(2)}`; // each widget loads its own copy of this module
  const box = element("input", { type: "text", "aria-label": "text for the pipeline" });
  const button = element("button", { type: "button" }, "Run");
  const status = element("div", { class: "status", "aria-live": "polite" });
  const panels = [0, 1, 2].map((step) => {
    const radio = element("input", { type: "radio", name: group, id: `${group}-${step}`, onchange: () => (write(model, { step }), paint()) });
    const label = element("label", { for: radio.id }), body = element("div", { class: "body" });
    return { radio, label, body, all: element("section", {}, element("div", { class: "step" }, radio, label), body) };
  });
  const tables = element("div", { class: "tables", tabindex: "0", role: "region", "aria-label": "values of the three steps" },
    element("div", { class: "flow", role: "radiogroup", "aria-label": "step of the pipeline" },
      ...panels.flatMap(({ all }) => [element("span", { class: "arrow", "aria-hidden": "true" }, "→"), all])));
  const intro = element("p", { class: "intro" }, "A pipeline is three steps. Follow the text from left to right: what does each step make of it? Then change a word.");
  const ask = element("div", { class: "ask" }, box, button, greyed(model, box, button));
  const note = element("div"), results = element("div", {}, tables);
  const root = element("div", { class: "course-widget xray" }, intro, ask, status, note, results);
  let drawn;

  const show = keptText(box, note, results);
  const kernel = asking(model, root, status, paint);
  const run = () => kernel.ask(box.value);
  button.addEventListener("click", run);
  onEnter(box, run);

  function paint() {
    const steps = model.get("steps"), step = model.get("step"), problem = kernel.problem;
    panels.forEach(({ radio, label, body, all }, i) => {
      const { name, tables: made } = steps[i];
      radio.checked = i === step;
      all.classList.toggle("current", i === step);
      if (drawn === steps) return;
      label.textContent = `${i + 1} · ${name}`;
      const range = logitRange(made);
      body.replaceChildren(element("p", {}, SAID[name]), ...made.map((table) => tableOf(table, range)));
    });
    drawn = steps;
    fit();
    show(model.get("text"), problem);
    if (!kernel.waiting) {
      status.className = problem ? "status problem" : "status";
      status.textContent = problem || `${model.get("task")}: ${quoted(cut(model.get("text"), 100))}`;
    }
    markDrawn(root);
  }
  const fit = () => root.classList.toggle("narrow", root.clientWidth < SIDE_BY_SIDE);
  return mount({ model, el }, root, paint, { "change:steps change:step": paint }, { kernel, resized: fit });
}

export default { render };
