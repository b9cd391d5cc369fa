// Widgets without a kernel: what a page of the website, or a file of slides, runs.
//
// A place for a widget is `<div class="live" data-live="KEY">` after its picture. When it comes near the screen, its
// state and its JavaScript are loaded, and its `render` gets a stand-in for the model of anywidget. Files are classic
// scripts that call `courseLive.put(name, text)`: a page that was opened from a folder may load no others.
(() => {
  const { src } = document.currentScript, folder = src.slice(0, src.lastIndexOf("/") + 1); // in slides, all is in the page
  const OWN_COPY = "This needs the model: try it in your own copy of the course.";
  const files = new Map(), loading = new Map(), models = new Map();

  /** A file by its name: one that is in the page already, or one beside this script. Each is loaded once. */
  function file(name) {
    if (files.has(name)) return Promise.resolve(files.get(name));
    if (!loading.has(name)) {
      loading.set(name, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = `${folder}${name}.js`;
        script.onload = () => resolve(files.get(name));
        script.onerror = () => reject(new Error(`${name} is missing`));
        document.head.append(script);
      }));
    }
    return loading.get(name);
  }

  const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  async function unpacked(name) {
    const packed = new Blob([bytesOf(await file(name))]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(packed).arrayBuffer());
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

  /**
   * What anywidget promises the `render` of a widget: get, set, on, off, save_changes and send, with the events
   * "change", "change:NAME" and "msg:custom". Where a kernel would answer, it looks into what was recorded.
   */
  class Model {
    constructor(state, answers) {
      this.state = state;
      this.answers = answers; // async: what is asked, as JSON -> traits, or a packet
      this.calls = new Map();
    }
    get(name) { return this.state[name]; }
    set(name, value) {
      const values = typeof name === "object" ? name : { [name]: value };
      const changed = Object.keys(values).filter((one) => this.state[one] !== values[one]);
      Object.assign(this.state, values);
      for (const one of changed) this.emit(`change:${one}`, this, values[one]);
      if (changed.length) this.emit("change", this);
    }
    on(events, call) { for (const event of events.split(" ")) this.calls.set(event, [...(this.calls.get(event) ?? []), call]); }
    off(events, call) {
      if (events == null) this.calls.clear();
      else for (const event of events.split(" ")) this.calls.set(event, call ? (this.calls.get(event) ?? []).filter((one) => one !== call) : []);
    }
    emit(event, ...values) { for (const call of this.calls.get(event) ?? []) call(...values); }
    save_changes() {
      const [press, ...wanted] = this.state.asked ?? [0];
      if (press > (this.begun ?? this.state.answered ?? 0)) this.answer((this.begun = press), wanted);
    }
    async answer(press, wanted) {
      this.emit("msg:custom", { begun: press }, []);
      const told = await this.answers(JSON.stringify(wanted)).catch((error) => ({ problem: error.message }));
      this.set({ problem: "", ...(told ?? { problem: OWN_COPY }), answered: press });
      this.onAnswer?.(wanted, told);
    }
    /** A message of the page's own: {ask: [...]} gets a packet for each, and their bytes as buffers. */
    async send({ ask = [], version }) {
      const packets = (await Promise.all(ask.map((one) => this.answers(JSON.stringify(one))))).filter(Boolean);
      this.emit("msg:custom", { packets: packets.map(({ cells, ...packet }) => ({ ...packet, version })) }, packets.map(({ cells }) => cells));
    }
  }

  /** A module with what all widgets share in front, as in a notebook. */
  async function moduleOf(name) {
    const text = (await Promise.all([file("widgets/_common"), file(`widgets/${name}`)])).join("\n");
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    return (await import(address)).default;
  }

  async function wake(place) {
    const key = place.dataset.live;
    try {
      const [{ module, state, more }] = await Promise.all([read(`states/${key}`)]);
      const model = new Model(state, async (asked) => (typeof more === "string" ? await (place.more ??= read(more)) : more)[asked]);
      remember(place, model, key, module);
      const { render } = await moduleOf(module);
      const el = document.createElement("div");
      place.replaceChildren(el); // where it finds how wide it may be
      await render({ model, el, experimental: {} }); // some unpack first: until then, the picture stays
      (place.closest(".output") ?? place).previousElementSibling?.classList.add("has-live");
      models.set(place, model);
      play(place, model);
    } catch (error) {
      place.textContent = `This widget couldn't be started (${error.message}). Its picture is above.`;
      throw error;
    }
  }

  /** A kept prediction stays in this browser; nothing is sent. What was measured unfolds with it. */
  function remember(place, model, key, module) {
    if (module !== "question") return;
    const name = `llms-by-hand/${key}`, store = () => { try { return window.localStorage; } catch { return null; } };
    model.onAnswer = (wanted, told) => {
      if (!told || !model.get("once")) return;
      store()?.setItem(name, JSON.stringify(wanted));
      unfold(place);
    };
    const before = model.get("once") && store()?.getItem(name);
    if (!before) return;
    model.answers(before).then((told) => told && (model.set(told), unfold(place)));
  }
  function unfold(place) {
    const all = [...document.querySelectorAll(".live, .tag_hide-output details, details.measured")];
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
      const phase = (1 - Math.cos((performance.now() - start) / 2500)) / 2;
      model.set(name, Math.round((low + (high - low) * phase) * 50) / 50);
      setTimeout(() => requestAnimationFrame(step), 60);
    })();
  }

  window.courseLive = { put: (name, text) => files.set(name, text), models, Model };
  window.addEventListener("DOMContentLoaded", () => {
    const near = new IntersectionObserver((seen) => seen.filter(({ isIntersecting }) => isIntersecting).forEach(({ target }) => {
      near.unobserve(target);
      wake(target);
    }), { rootMargin: "600px", scrollMargin: "600px" }); // a long slide scrolls by itself
    document.querySelectorAll(".live").forEach((place) => near.observe(place));
  });
})();
