// What a widget may expect of its model. Each `does` gets a model with n = 0, list = [1, 2], text = "" and data, two bytes;
// anywidget's in JupyterLab and the one of pages without a kernel both log into `said` what `says` has.
async function until(said, count) {
  for (let i = 0; i < 3000 && said.length < count; i++) await new Promise((done) => setTimeout(done, 10));
}

/** What `does` of each name has said, and what it should say; `modelOf` makes a model of the first state. */
export async function heard(modelOf) {
  const all = [];
  for (const [name, { does, says }] of Object.entries(promises)) {
    const said = [];
    await does(modelOf(), (...values) => said.push(values), said);
    all.push({ name, said, says });
  }
  return all;
}

export const promises = {
  "bytes are a DataView, also those of a message; what was sent is answered later": {
    async does(model, log, said) {
      model.on("msg:custom", ({ packets }, buffers) => log(packets, buffers.map((one) => [one instanceof DataView, one.getUint8(0), one.byteLength])));
      log(model.get("data") instanceof DataView, model.get("data").getUint8(1), model.get("data").byteLength);
      model.send({ ask: [[0, "weights"], [1, "weights"]], version: 7 });
      log("sent");
      await until(said, 3);
    },
    says: [[true, 2, 2], ["sent"], [[{ layer: 0, version: 7 }, { layer: 1, version: 7 }], [[true, 5, 3], [true, 6, 3]]]],
  },
  "a value that is set is there before its event, and the event of all comes last": {
    does(model, log) {
      model.on("change", (same) => log("all", same.get("n")));
      model.on("change:n", (same, value) => log("n", same.get("n"), value));
      model.set("n", 3);
      model.set("n", 3);
    },
    says: [["n", 3, 3], ["all", 3]],
  },
  "several at once: all are there at the first event, each has its own, in their order": {
    does(model, log) {
      for (const name of ["text", "n"]) model.on(`change:${name}`, (_, value) => log(name, value, model.get("text"), model.get("n")));
      model.on("change", () => log("all"));
      model.set({ n: 1, list: [1, 2], text: "a" });
    },
    says: [["n", 1, "a", 1], ["text", "a", "a", 1], ["all"]],
  },
  "lists, objects and bytes are the same when what is in them is": {
    does(model, log) {
      model.on("change:list change:data", (_, value) => log(value.length ?? value.byteLength));
      model.set("list", [1, 2]);
      model.set("list", [1, "2"]);
      model.set("list", [{ a: [null] }]);
      model.set("list", [{ a: [null] }]);
      model.set("list", [{ b: [null] }]);
      model.set("data", new DataView(new Uint8Array([1, 2]).buffer));
      model.set("data", new DataView(new Uint8Array([1, 3]).buffer));
      model.set("data", new DataView(new Uint8Array([1, 3, 3]).buffer));
    },
    says: [[2], [1], [1], [2], [3]],
  },
  "set within a handler: its own event at once, the one of all once": {
    does(model, log) {
      model.on("change:n", (_, value) => {
        log("n", value);
        if (value < 2) model.set("n", value + 1);
        model.set("text", `${value}`);
        log("n done", value);
      });
      model.on("change:text", (_, value) => log("text", value));
      model.on("change", () => log("all", model.get("n"), model.get("text")));
      model.set("n", 1);
    },
    says: [["n", 1], ["n", 2], ["text", "2"], ["n done", 2], ["text", "1"], ["all", 2, "1"], ["n done", 1]],
  },
  "set within the handler of all doesn't call it again": {
    does(model, log) {
      model.on("change", () => {
        log("all", model.get("n"));
        if (model.get("n") < 3) model.set("n", model.get("n") + 1);
      });
      model.set("n", 1);
    },
    says: [["all", 1]],
  },
  "a handler that was removed or added meanwhile: from the next event on": {
    does(model, log) {
      const second = () => log("second"), third = () => log("third");
      const first = () => {
        log("first");
        model.off("change:n", first);
        model.off("change:n", second);
        model.on("change:n", third);
      };
      model.on("change:n", first);
      model.on("change:n", second);
      model.set("n", 1);
      model.set("n", 2);
    },
    says: [["first"], ["second"], ["third"]],
  },
  "off: one function of one event, all of one event, one function everywhere, all": {
    does(model, log) {
      const one = () => log("one"), other = () => log("other");
      const twice = () => { model.set("n", model.get("n") + 1); log("-"); };
      model.on("change:n  change", one);
      model.on("change:n change", other);
      model.off("change:n", one);
      twice();
      model.off("change:n");
      twice();
      model.off(null, one);
      twice();
      model.off("change:text");
      model.off("change", () => {});
      twice();
      model.off();
      twice();
    },
    says: [["other"], ["one"], ["other"], ["-"], ["one"], ["other"], ["-"], ["other"], ["-"], ["other"], ["-"], ["-"]],
  },
  "one function that is on twice is called twice": {
    does(model, log) {
      const one = () => log("one");
      model.on("change:n", one);
      model.on("change:n", one);
      model.set("n", 1);
      model.off("change:n", one);
      model.set("n", 2);
    },
    says: [["one"], ["one"]],
  },
  "what is asked begins later, and its answer comes in one": {
    async does(model, log, said) {
      model.on("msg:custom", ({ begun }) => log("begun", begun));
      model.on("change:answered", (_, value) => log(value, model.get("text"), model.get("problem")));
      model.set("asked", [1, "which"]);
      model.save_changes();
      log("asked");
      await until(said, 3);
    },
    says: [["asked"], ["begun", 1], [1, "the answer", ""]],
  },
};
