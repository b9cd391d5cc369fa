// A question with options; the kernel keeps the choice and answers with feedback.

/** What the button and the options may do: after a final choice that has arrived in the kernel, nothing. */
export function isLocked(once, attempt) {
  return once && attempt > 0;
}

/** What a learner must know when a choice has reached no kernel. */
export function notKept(option) {
  return `Your choice, ${quoted(option)}, wasn't saved.`;
}

function render({ model, el }) {
  const group = `question-${Math.random().toString(36).slice(2)}`; // each widget loads its own copy of this module
  const once = model.get("once"), options = model.get("options");
  let pressed = null; // the choice that is on its way to the kernel
  const boxes = options.map((option, i) => {
    const id = `${group}-${i}`;
    return { input: element("input", { type: "radio", name: group, id, value: i }), label: element("label", { for: id }, option) };
  });
  const button = element("button", { type: "button", onclick: commit }, model.get("button"));
  const feedback = element("div", { class: "status", "aria-live": "polite" });
  const fieldset = element("fieldset", {}, element("legend", {}, model.get("question")),
    ...boxes.map(({ input, label }) => element("div", { class: "option" }, input, label)), button);
  const root = element("div", { class: "course-widget question" }, fieldset, feedback);
  const kernel = asking(model, root, feedback, answered, "Saving your choice …");

  function commit() {
    const choice = boxes.findIndex(({ input }) => input.checked);
    if (choice < 0) {
      feedback.textContent = "Choose an option first.";
      return;
    }
    pressed = choice;
    kernel.ask(choice);
    paint();
  }

  function answered() {
    if (!kernel.gone && model.get("answered") >= model.get("asked")[0]) pressed = null;
    paint();
  }

  function paint() {
    const locked = isLocked(once, model.get("attempt")), choice = model.get("choice"), problem = kernel.problem;
    // A disabled button gives its focus to the page, and Shift+Enter would do nothing any more.
    if (locked && root.contains(document.activeElement)) root.focus();
    boxes.forEach(({ input }, i) => {
      if (pressed === null && choice !== null) input.checked = i === choice;
      input.disabled = locked;
    });
    button.disabled = locked;
    if (!kernel.waiting) {
      const lost = pressed !== null;
      feedback.className = lost || problem ? "status problem" : "status";
      feedback.textContent = lost ? notKept(options[pressed]) : [model.get("feedback"), problem].filter(Boolean).join("\n");
    }
    markDrawn(root);
  }
  return mount({ model, el }, root, paint, { "change:choice change:attempt change:feedback": paint }, { kernel });
}

export default { render };
