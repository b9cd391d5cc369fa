import { $, count, drawOptions, element, listen, measured, send } from "./common.js";

const token = document.querySelector("meta[name=token]").content;
const questions = JSON.parse($("questions").content.textContent);
const lessons = [...new Set(questions.map((question) => question.lesson))];
const buttons = [...document.querySelectorAll("[data-act]")];
let state = null, chosen = questions[0]?.name;

const named = (name) => questions.find((question) => question.name === name);
const ofLesson = () => questions.filter((question) => question.lesson === $("lesson").value);

async function act(act, question = chosen) {
  if (act === "reset" && !confirm(`Forget all answers to ${question}?`)) return;
  $("problem").textContent = "";
  await send("/teacher/act", { act, question }, { "X-Board-Token": token }).catch((problem) => ($("problem").textContent = problem.message));
}

function stageOf(name) {
  const stage = state?.stages[name];
  if (!stage) return "";
  const seen = stage.is_revealed ? "revealed" : stage.is_shown ? "bars shown" : "hidden";
  return `round ${stage.round}, ${stage.is_open ? "open" : "closed"}, ${seen}`;
}

function choose(name) {
  chosen = name;
  draw();
  document.querySelector("#list [aria-current=true]")?.scrollIntoView({ block: "nearest" });
}

function draw() {
  if (!state) return;
  $("people").textContent = `· ${count(state.people, "learner")}`;
  $("names").textContent = state.asks_names ? "Stop asking for names (deletes them)" : "Ask for names";
  $("list").replaceChildren(...ofLesson().map(({ name, kind, text }) => {
    const button = element("button", { type: "button", onclick: () => choose(name), title: text }, name, element("small", {}, text),
      element("small", {}, `${kind} · ${state.answered[name] ?? 0} answered${stageOf(name) && ` · ${stageOf(name)}`}`));
    button.setAttribute("aria-current", String(name === chosen));
    return element("li", {}, button);
  }));
  const stage = state.stages[chosen], current = state.question?.name === chosen ? state.question : null;
  $("text").textContent = named(chosen)?.text ?? "";
  $("stage").textContent = `${chosen} · ${stageOf(chosen) || "not opened yet"}${current ? " · on the projector" : ""}`;
  $("options").replaceChildren();
  $("answered").textContent = $("measured").textContent = "";
  if (current) {
    drawOptions($("options"), current);
    const hidden = current.is_shown ? "" : " The room doesn't see the bars.";
    $("answered").textContent = `${current.answered} of ${state.people} have answered in round ${current.round}; ${current.late} came late.${hidden}`;
    const found = measured(current);
    $("measured").textContent = found && found + (current.is_revealed ? "" : " (not revealed)");
  }
  for (const button of buttons) {
    const act = button.dataset.act;
    if (act === "show" || act === "hide") {
      button.dataset.act = stage?.is_shown && !stage.is_revealed ? "hide" : "show";
      button.firstChild.textContent = button.dataset.act === "hide" ? "Hide bars" : "Show bars";
    }
    button.disabled = {
      open: Boolean(current?.is_open),
      close: !stage?.is_open,
      show: !stage || stage.is_revealed,
      second: !stage || (stage.round === 2 && !stage.is_revealed),
      reveal: !stage || stage.is_revealed,
      leave: !current,
      reset: !stage && !state.answered[chosen],
    }[act] ?? false;
  }
  drawStuck();
}

function drawStuck() {
  const tasks = state.stuck.filter(({ task }) => task.startsWith($("lesson").value.match(/\d\d/)?.[0] ?? ""));
  $("stuck").replaceChildren(...tasks.map(({ task, title, tried, solved, sentences }) => element("section", {},
    element("h3", {}, `${task.slice(0, 2)} · ${title}: ${solved} of ${tried} solved`),
    element("ul", {}, ...sentences.map(({ said, learners, now }) =>
      element("li", {}, element("strong", {}, `${count(now, "learner")} now`), `, ${learners} so far: ${said}`))))));
  if (!tasks.length) $("stuck").replaceChildren(element("p", {}, "Nobody has checked a task of this lesson yet."));
}

for (const lesson of lessons) $("lesson").append(element("option", {}, lesson));
let isPointed = false;
$("lesson").onpointerdown = () => (isPointed = true);
$("lesson").onblur = () => (isPointed = false);
$("lesson").onchange = () => {
  choose(ofLesson()[0].name);
  // While the list of lessons has the focus, keys are its own. After a mouse they are the buttons' again.
  if (isPointed) $("lesson").blur();
};
for (const button of buttons) {
  button.append(" ", element("kbd", {}, button.dataset.key.toUpperCase()));
  button.onclick = () => act(button.dataset.act);
}
$("names").onclick = () => act(state.asks_names ? "no names" : "names", "");
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.target.matches("input, select")) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    const names = ofLesson().map(({ name }) => name), next = names[names.indexOf(chosen) + step];
    if (next) choose(next);
    event.preventDefault();
    return;
  }
  const button = buttons.find(({ dataset }) => dataset.key === event.key.toLowerCase());
  if (button && !button.disabled && !event.repeat) button.click();
});
let isFirst = true;
listen("/teacher/events", (said) => {
  state = said;
  if (isFirst && said.question) {
    $("lesson").value = named(said.question.name).lesson;
    chosen = said.question.name;
  }
  isFirst = false;
  draw();
});
