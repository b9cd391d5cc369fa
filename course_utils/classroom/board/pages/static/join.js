import { $, element, base, listen, room, send } from "./common.js";

let mine = null; // question, round and option that were sent last

function show({ asks_names, question }) {
  $("name-row").hidden = !asks_names;
  $("text").textContent = question ? question.text : "Wait for the next question.";
  const isMine = question && mine?.name === question.name && mine.round === question.round;
  if (!isMine) $("said").textContent = "";
  $("options").replaceChildren(...(question?.options ?? []).map((option) => {
    const button = element("button", { type: "button", disabled: !question.is_open, onclick: () => answer(question, option, button) }, option);
    button.setAttribute("aria-pressed", String(Boolean(isMine) && mine.option === option));
    return button;
  }));
  if (question && !question.is_open) $("said").textContent = `${isMine ? `You chose ${mine.option}. ` : ""}This question is closed.`;
  else if (question?.round === 2 && !isMine) $("said").textContent = "Second round: choose again.";
}

async function answer(question, option, button) {
  const message = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    await send("/api/answers", { code: room, message, question: question.name, choice: option });
  } catch (problem) {
    $("said").textContent = problem.message;
    return;
  }
  mine = { name: question.name, round: question.round, option };
  for (const other of $("options").children) other.setAttribute("aria-pressed", String(other === button));
  $("said").textContent = `Shared with the room: ${option}. Until it's closed you can change it.`;
}

$("find")?.addEventListener("submit", (event) => {
  event.preventDefault();
  location.href = `${base}/join/${encodeURIComponent($("code").value.trim().toUpperCase())}`;
});
$("enter")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await send("/api/join", { code: room, name: $("name").value });
  } catch (problem) {
    $("said").textContent = problem.message;
    $("question").hidden = false;
    return;
  }
  $("enter").hidden = $("in-a-notebook").hidden = true;
  $("question").hidden = false;
  $("said").textContent = "";
});
if (room) listen(`/events/learner/${room}`, show);
