// Widgets without a kernel: what a page of the website, or a file of slides, runs.
//
// A place for a widget is `<div class="live" data-live="KEY">` after its picture. When it comes near the screen, its
// state and its JavaScript are loaded, and its `render` gets a stand-in for the model of anywidget. Files are classic
// scripts that call `courseLive.put(name, text)`: a page that was opened from a folder may load no others.
(() => {
  const { src } = document.currentScript, folder = src.slice(0, src.lastIndexOf("/") + 1); // in slides, all is in the page
  const OWN_COPY = "This needs the model: try it in your own copy of the course.";
  const LOST = "A part of this page didn't arrive: reload the page.";
  const files = new Map(), loading = new Map(), modules = new Map(), models = new Map();

  /** What `make` promises for `name`, made once; what failed is tried again by the next who wants it. */
  function once(made, name, make) {
    if (!made.has(name)) made.set(name, make().catch((error) => { made.delete(name); throw error; }));
    return made.get(name);
  }

  /** A file by its name: one that is in the page already, or one beside this script. */
  async function file(name) {
    if (!files.has(name)) await once(loading, name, () => new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${folder}${name}.js`;
      script.onload = () => (files.has(name) ? resolve() : reject(new Error(`${name} is damaged`)));
      script.onerror = () => reject(new Error(`${name} is missing`));
      document.head.append(script);
    }));
    return files.get(name);
  }

  const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  async function unpacked(name) {
    const text = await file(name);
    try {
      const packed = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
      return new Uint8Array(await new Response(packed).arrayBuffer());
    } catch {
      throw new Error(`${name} is damaged`);
    }
  }

  /** What JSON cannot have is bytes: {$bytes: base64}, or in a file of their own {$file: name}. Widgets get a DataView. */
  async function withBytes(value) {
    if (Array.isArray(value)) return Promise.all(value.map(withBytes));
    if (value === null || typeof value !== "object") return value;
    if ("$bytes" in value) return new DataView(bytesOf(value.$bytes).buffer);
    if ("$file" in value) return new DataView((await unpacked(value.$file)).buffer);
    return Object.fromEntries(await Promise.all(Object.entries(value).map(async ([name, one]) => [name, await withBytes(one)])));
  }
  const read = async (name) => withBytes(JSON.parse(new TextDecoder().decode(await unpacked(name))));

  /** Whether two values of a trait are the same: lists, objects and bytes by what is in them. */
  function same(a, b) {
    if (a === b) return true;
    if (!a || !b || typeof a !== "object" || a.constructor !== b.constructor) return false;
    if (a instanceof DataView) [a, b] = [listed(a), listed(b)];
    if ("length" in a) return a.length === b.length && a.every((one, i) => same(one, b[i]));
    const names = Object.keys(a);
    return names.length === Object.keys(b).length && names.every((name) => name in b && same(a[name], b[name]));
  }
  const listed = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);

  /**
   * What anywidget promises the `render` of a widget: get, set, on, off, save_changes and send, with the events
   * "change", "change:NAME" and "msg:custom" (tests/browser/test_every_widget.py has both say the same). Where a kernel
   * would answer, it looks into what was recorded. There's no `widget_manager`: a widget sees by that that it's alone.
   */
  class Model {
    constructor(state, answers) {
      this.state = state;
      this.answers = answers; // async: what is asked, as JSON -> traits, or a packet
      this.calls = new Map(); // event -> functions; a list is never changed, so one that is being called stays whole
    }
    get(name) { return this.state[name]; }
    /**
     * One event for each value that is new, then one for all. A `set` within a handler ends what it is in, as the model
     * of ipywidgets has it: the event for all isn't repeated.
     */
    set(name, value) {
      const values = typeof name === "object" ? name : { [name]: value };
      const changed = Object.keys(values).filter((one) => !same(this.state[one], values[one]));
      const within = this.changing;
      this.changing = true;
      try {
        Object.assign(this.state, values);
        if (changed.length) this.pending = true;
        for (const one of changed) this.emit(`change:${one}`, this, this.state[one]);
        while (!within && this.pending) {
          this.pending = false;
          this.emit("change", this);
        }
      } finally {
        this.changing = this.pending = false;
      }
    }
    on(events, call) { for (const event of events.split(/\s+/)) this.calls.set(event, [...(this.calls.get(event) ?? []), call]); }
    off(events, call) {
      for (const event of events?.split(/\s+/) ?? this.calls.keys())
        this.calls.set(event, call ? (this.calls.get(event) ?? []).filter((one) => one !== call) : []);
    }
    emit(event, ...values) { for (const call of this.calls.get(event) ?? []) call(...values); }
    save_changes() {
      const [press, ...wanted] = this.state.asked ?? [0];
      if (press > (this.begun ?? this.state.answered ?? 0)) this.answer((this.begun = press), wanted);
    }
    async answer(press, wanted) {
      await null; // as from a kernel, nothing comes before the caller is done
      this.emit("msg:custom", { begun: press }, []);
      let problem = OWN_COPY;
      const told = await this.answers(JSON.stringify(wanted)).catch(() => void (problem = LOST));
      this.set({ problem: "", ...(told ?? { problem }), answered: press });
      this.onAnswer?.(wanted, told);
    }
    /** A message of the page's own: {ask: [...]} gets a packet for each, and their bytes as buffers. */
    async send({ ask, version }) {
      if (!ask) return;
      const told = await Promise.all(ask.map((one) => this.answers(JSON.stringify(one)))).catch(() => this.set("problem", LOST));
      const packets = (told ?? []).filter(Boolean);
      this.emit("msg:custom", { packets: packets.map(({ cells, ...packet }) => ({ ...packet, version })) }, packets.map(({ cells }) => cells));
    }
  }

  /** A module with what all widgets share in front, as in a notebook. */
  const moduleOf = (name) => once(modules, name, async () => {
    const text = (await Promise.all([file("widgets/_common"), file(`widgets/${name}`)])).join("\n");
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    return (await import(address)).default;
  });

  async function wake(place) {
    const key = place.dataset.live;
    try {
      const { module, state, more } = await read(`states/${key}`);
      const model = new Model(state, async (asked) => {
        const answers = typeof more === "string" ? await once(loading, `answers/${key}`, () => read(more)) : more;
        return Object.hasOwn(answers, asked) ? answers[asked] : undefined;
      });
      remember(place, model, key, module);
      const { render } = await moduleOf(module);
      const el = document.createElement("div");
      place.replaceChildren(el); // where it finds how wide it may be
      await render({ model, el, experimental: {} }); // some unpack first: until then, the picture stays
      (place.closest(".output") ?? place).previousElementSibling?.classList.add("has-live");
      models.set(place, model);
      play(place, model);
    } catch (error) {
      const said = document.createElement("p");
      said.textContent = `This widget couldn't be started (${error.message}). What is above doesn't move.`;
      place.replaceChildren(said);
      throw error;
    }
  }

  /** A kept prediction stays in this browser; nothing is sent. What was measured unfolds with it. */
  function remember(place, model, key, module) {
    if (module !== "question") return;
    const name = `llms-by-hand/${key}`;
    const store = (use) => { try { return use(window.localStorage); } catch { return null; } }; // forbidden, or full
    const show = (wanted) => model.answers(wanted).then((told) => told && (model.set(told), unfold(place)), () => {});
    model.onAnswer = (wanted, told) => {
      if (!told || !model.get("once")) return;
      store((kept) => kept.setItem(name, JSON.stringify(wanted)));
      unfold(place);
    };
    if (!model.get("once")) return;
    const before = store((kept) => kept.getItem(name));
    if (before) show(before);
    // The same page in a second tab.
    window.addEventListener("storage", (event) => event.key === name && event.newValue && show(event.newValue));
  }
  function unfold(place) {
    const all = [...document.querySelectorAll(".live, .tag_hide-output details")];
    const next = all[all.indexOf(place) + 1];
    if (next?.matches("details")) next.open = true;
  }

  /** The front page's widget moves by itself until someone takes it; not for readers who asked for less motion. */
  function play(place, model) {
    const [name, from, to] = (place.dataset.play ?? "").split(" ");
    if (!name || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const [low, high] = [Number(from), Number(to)], start = performance.now();
    let on = true;
    for (const event of ["pointerdown", "keydown", "focusin"]) place.addEventListener(event, () => (on = false), { once: true });
    (function step() {
      if (!on) return;
      const phase = (1 - Math.cos((performance.now() - start) / 2500)) / 2, { top, bottom } = place.getBoundingClientRect();
      if (bottom > 0 && top < innerHeight) model.set(name, Math.round((low + (high - low) * phase) * 50) / 50);
      setTimeout(() => requestAnimationFrame(step), 60);
    })();
  }

  /** Say as JupyterLab does whether the page is light; the website's theme may follow the reader's system, or a switch. */
  function sayTheme() {
    const { theme } = document.body.dataset, system = matchMedia("(prefers-color-scheme: dark)");
    if (!theme) return; // slides are light
    document.body.dataset.jpThemeLight = !(theme === "dark" || (theme === "auto" && system.matches));
    return system;
  }
  function followTheme() {
    sayTheme()?.addEventListener("change", sayTheme);
    new MutationObserver(sayTheme).observe(document.body, { attributeFilter: ["data-theme"] });
  }

  window.courseLive = { put: (name, text) => files.set(name, text), models, Model };
  window.addEventListener("DOMContentLoaded", () => {
    followTheme();
    const near = new IntersectionObserver((seen) => seen.filter(({ isIntersecting }) => isIntersecting).forEach(({ target }) => {
      near.unobserve(target);
      wake(target);
    }), { rootMargin: "600px", scrollMargin: "600px" }); // a long slide scrolls by itself
    document.querySelectorAll(".live").forEach((place) => near.observe(place));
  });
})();
