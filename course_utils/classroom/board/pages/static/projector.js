import { $, count, drawOptions, listen, measured, room } from "./common.js";

function show({ people, question, asks_names }) {
  $("people").textContent = `${count(people, "learner")} joined`;
  $("names").textContent = asks_names ? "This room asks for names; you may leave yours out." : "Nobody's name is asked for or kept.";
  $("welcome").hidden = question !== null;
  $("question").hidden = question === null;
  if (question === null) return;
  const round = question.round === 2 ? "Second round" : "First round";
  $("stage").textContent = question.is_open ? `${round}: answer now` : `${round}: closed`;
  $("text").textContent = question.text;
  drawOptions($("options"), question);
  const late = question.late ? ` ${count(question.late, "answer")} came after the end.` : "";
  $("answered").textContent = `${question.answered} of ${people} have answered.${late}`;
  $("measured").textContent = measured(question);
}

listen(`/events/projector/${room}`, show);
