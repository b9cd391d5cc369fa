// A question with options; the kernel keeps the choice and answers with feedback.

/** What the button and the options may do: after a final choice, nothing. */
export function isLocked(once, attempt) {
  return once && attempt > 0;
}

function render({ model, el }) {
  const group = `question-${Math.random().toString(36).slice(2)}`; // each widget loads its own copy of this module
  let drawnTimes = 0;
  const boxes = model.get("options").map((option, i) => {
    const id = `${group}-${i}`;
    return { input: element("input", { type: "radio", name: group, id, value: i }), label: element("label", { for: id }, option) };
  });
  const button = element("button", { type: "button" }, model.get("button"));
  const feedback = element("div", { class: "status", "aria-live": "polite" });
  const fieldset = element("fieldset", {}, element("legend", {}, model.get("question")),
    ...boxes.map(({ input, label }) => element("div", { class: "option" }, input, label)), button);
  const root = element("div", { class: "course-widget question", tabindex: -1 }, fieldset, feedback);

  button.addEventListener("click", () => {
    const choice = boxes.findIndex(({ input }) => input.checked);
    if (choice < 0) {
      feedback.textContent = "Choose an option first.";
      return;
    }
    model.set("choice", choice);
    model.set("attempt", model.get("attempt") + 1);
    model.save_changes();
  });

  function paint() {
    const locked = isLocked(model.get("once"), model.get("attempt")), choice = model.get("choice");
    // A disabled button gives its focus to the page, and Shift+Enter would do nothing any more.
    if (locked && root.contains(document.activeElement)) root.focus();
    boxes.forEach(({ input }, i) => {
      if (choice !== null) input.checked = i === choice;
      input.disabled = locked;
    });
    button.disabled = locked;
    feedback.textContent = model.get("feedback");
    root.setAttribute("data-drawn", ++drawnTimes);
  }
  el.append(root);
  const watched = "change:choice change:attempt change:feedback";
  model.on(watched, paint);
  paint();
  return () => model.off(watched, paint);
}

export default { render };
