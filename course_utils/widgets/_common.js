// Shared by every widget (see base.py).

/** element("button", {type: "button", onclick: f}, "Draw", child, ...) */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  // JupyterLab 4 takes arrow keys from inputs inside widgets unless the focused element itself says no.
  if (/^(input|button|select|textarea|summary)$/.test(tag)) made.setAttribute("data-lm-suppress-shortcuts", "true");
  made.append(...children.filter((child) => child != null));
  return made;
}

/** Escape text that goes into SVG or HTML source. */
export function escapeText(text) {
  return String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** 49152 -> "49,152": the same in every locale, so that page and Python agree. */
export function thousands(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Call `commit` when typing in `input` is done; JupyterLab swallows the Enter that would fire "change". */
export function whenTyped(input, commit) {
  input.addEventListener("change", commit);
  input.addEventListener("keydown", (event) => event.key === "Enter" && commit());
}
