// The three steps of a pipeline; the tables are here, so that stepping does not wait for the kernel.

/** (1, 9) of Python, from the list [1, 9]. */
export function shapeText(shape) {
  return `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
}

/** What stands in a cell: texts as they are, numbers with a real minus sign. */
export function cellText(cell) {
  return typeof cell === "number" ? String(cell).replace(/^-/, "−") : cell;
}

/** The share of the longest bar that a number gets, 0 to 1; for a column of numbers. */
export function barShares(numbers) {
  const most = Math.max(...numbers.map(Math.abs), 1e-9);
  return numbers.map((number) => Math.abs(number) / most);
}

/** The columns whose numbers are drawn as bars: logits and scores, not ids. */
export function barColumns(columns) {
  return columns.flatMap((name, i) => (name === "logit" || name === "score" ? [i] : []));
}

const SAID = {
  preprocess: "The text becomes numbers: tokens and their ids. Nothing is computed yet.",
  forward: "The model turns the ids into numbers about the text. They are not probabilities yet.",
  postprocess: "The numbers become an answer that people can read.",
};

function tableOf([title, shape, columns, rows]) {
  const bars = barColumns(columns);
  const shares = Object.fromEntries(bars.map((i) => [i, barShares(rows.map((row) => row[i]))]));
  const head = element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name)));
  const body = rows.map((row, r) => element("tr", {}, ...row.map((cell, i) => {
    const made = element("td", { class: typeof cell === "number" ? "number" : "" }, cellText(cell));
    if (shares[i]) {
      const bar = element("span", { class: `bar${cell < 0 ? " negative" : ""}`, style: `width:${100 * shares[i][r]}%` });
      made.append(element("span", { class: "bar-place", "aria-hidden": "true" }, bar));
    }
    return made;
  })));
  const caption = element("caption", {}, `${title} · shape ${shapeText(shape)}`);
  return element("table", {}, caption, element("thead", {}, head), element("tbody", {}, ...body));
}

function render({ model, el }) {
  const group = `xray-${Math.random().toString(36).slice(2)}`; // each widget loads its own copy of this module
  let drawnTimes = 0;
  const box = element("input", { type: "text", "aria-label": "text for the pipeline", value: model.get("text") });
  const button = element("button", { type: "button" }, "Run");
  const status = element("div", { class: "status", "aria-live": "polite" });
  const radios = [0, 1, 2].map((step) => element("input", { type: "radio", name: group, id: `${group}-${step}`, value: step }));
  const labels = radios.map((radio, step) => element("label", { for: radio.id }));
  const tabs = element("div", { class: "steps", role: "radiogroup", "aria-label": "step of the pipeline" },
    ...radios.flatMap((radio, i) => [i ? element("span", { class: "arrow", "aria-hidden": "true" }, "→") : null,
      element("span", { class: "step" }, radio, labels[i])]));
  const tables = element("div", { class: "tables", tabindex: "0", role: "region", "aria-label": "values of this step" });
  const ask = element("div", { class: "ask" }, box, button);
  const root = element("div", { class: "course-widget xray" }, model.get("can_run") ? ask : null, tabs, tables, status);

  const kernel = asking(model, root, status, paint);
  const run = () => kernel.ask(box.value);
  button.addEventListener("click", run);
  onEnter(box, run);
  radios.forEach((radio, step) => radio.addEventListener("change", () => {
    model.set("step", step);
    model.save_changes();
    paint();
  }));

  function paint() {
    const steps = model.get("steps"), step = model.get("step"), problem = model.get("problem");
    steps.forEach(({ name }, i) => {
      labels[i].textContent = `${i + 1} · ${name}`;
      radios[i].checked = i === step;
      labels[i].parentElement.classList.toggle("current", i === step);
    });
    tables.replaceChildren(element("p", {}, SAID[steps[step].name]), ...steps[step].tables.map(tableOf));
    if (!kernel.waiting) {
      status.className = problem ? "status problem" : "status";
      status.textContent = problem || `${model.get("task")}: ${quoted(model.get("text"))}`;
    }
    root.setAttribute("data-drawn", ++drawnTimes);
  }
  el.append(root);
  const watched = "change:steps change:step";
  model.on(watched, paint);
  paint();
  return () => {
    model.off(watched, paint);
    kernel.leave();
  };
}

export default { render };
