// What the pages of the board share. Whatever comes from a learner is set as text, never as markup.

export const base = document.documentElement.dataset.base, room = document.documentElement.dataset.room;
export const $ = (id) => document.getElementById(id);

/** Make an element with properties and children. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** "1 learner", "2 learners". */
export function count(number, one, more = `${one}s`) {
  return `${number} ${number === 1 ? one : more}`;
}

const QUIET_SECONDS = 20; // the board says that it's still here every 15 seconds

/** Call `show` with what the board says now, and after each change; a board that was away is found again. */
export function listen(path, show) {
  let source, quiet;
  const isAway = () => ($("connection").hidden = false);
  // When a board is killed, a hub's proxy keeps the connection: then the page only hears nothing any more.
  const heard = () => {
    clearTimeout(quiet);
    quiet = setTimeout(() => (isAway(), connect()), 1000 * QUIET_SECONDS);
  };
  const connect = () => {
    source?.close();
    source = new EventSource(base + path);
    source.onopen = () => ($("connection").hidden = true);
    source.onmessage = (event) => (heard(), show(JSON.parse(event.data)));
    source.addEventListener("still-here", heard);
    source.onerror = () => {
      isAway();
      // The browser tries again by itself, but not after an answer that is no stream.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
    };
    heard();
  };
  connect();
}

/** Send JSON; return the answer, or throw what the board says is wrong. */
export async function send(path, said, headers = {}) {
  const options = { method: "POST", body: JSON.stringify(said), headers: { "Content-Type": "application/json", ...headers } };
  const answer = await fetch(base + path, options).catch(() => {
    throw new Error("The board doesn't answer: try again.");
  });
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(content.problem ?? `The board says ${answer.status}.`);
  return content;
}

/** Draw the options of a question with a bar for each round, as far as they may be seen. */
export function drawOptions(list, question) {
  const totals = (question.rounds ?? []).map((counts) => counts.reduce((sum, one) => sum + one, 0));
  list.replaceChildren(...question.options.map((option, place) => {
    const isRight = question.right?.includes(place) ?? false;
    const row = element("li", { className: isRight ? "right" : "" }, element("span", { className: "option" }, (isRight ? "✓ " : "") + option));
    totals.forEach((total, round) => {
      const chosen = question.rounds[round][place], share = total ? chosen / total : 0;
      const bar = element("span", { className: `bar round${round + 1}` });
      bar.style.width = `${(100 * share).toFixed(1)}%`;
      const name = totals.length > 1 ? ["before", "after"][round] : "";
      row.append(element("span", { className: "track" }, element("span", { className: "which" }, name), element("span", { className: "room" }, bar),
        element("span", { className: "number" }, `${chosen} · ${Math.round(100 * share)} %`)));
    });
    return row;
  }));
}

/** What was measured, or "" before it's revealed, and of a quiz question. */
export function measured(question) {
  return question.measured ? `The lesson's own run measured: ${question.measured}.` : "";
}
