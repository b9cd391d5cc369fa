// A widget whose kernel is gone: the picture and the words that are stored in the same output.
//
// Without this, a notebook that is opened on another day says "Error displaying widget: model not found", or goes on
// loading the widget when there is no kernel at all. It runs in JupyterLab and in Notebook 7. It needs no bundler: it
// takes the modules that JupyterLab shares with its extensions, and the last lines are what a bundler would write.

const VIEW = "application/vnd.jupyter.widget-view+json";
const PATIENCE = 1500; // milliseconds in which a living widget is there, so that it doesn't push the picture away
const NOTE = "This is stored with the notebook. To use it again, run the cells up to here.";

/** Let every renderer of widgets whose prototype this is show what is stored, until a living widget comes. */
function fallBackToStored(prototype, rendermime) {
  const render = prototype.renderModel, alive = new WeakMap(); // of a renderer, the id of its widget
  prototype.renderModel = async function (model) {
    const id = model.data[VIEW].model_id;
    if (this.widgets.length && alive.get(this) === id) return; // what is stored has changed, the living widget stays
    const show = async () => {
      if (this.widgets.length) alive.set(this, id);
      else if (id) await showStored(this.node, model, rendermime);
    };
    let isDone = false;
    const done = render.call(this, model).then(() => ((isDone = true), show())); // without a kernel it never ends
    await Promise.race([done, new Promise((end) => setTimeout(end, PATIENCE))]);
    if (!isDone) await show();
  };
}

async function showStored(node, model, rendermime) {
  const { [VIEW]: widget, ...data } = model.data;
  const type = rendermime.preferredMimeType(data, "any");
  if (!type) return;
  const renderer = rendermime.createRenderer(type), words = data["text/plain"];
  await renderer.renderModel(rendermime.createModel({ data, metadata: model.metadata, trusted: model.trusted }));
  const shown = [renderer.node];
  const image = renderer.node.querySelector("img");
  if (image && words) {
    image.alt ||= words;
    shown.push(element("details", element("summary", "In words"), element("pre", words)));
  }
  const stored = element("div", ...shown, element("p", element("em", NOTE)));
  stored.className = "stored-widget";
  node.replaceChildren(stored);
}

/** Give pictures the alt text that is stored with them: JupyterLab leaves it out. */
function nameImages(prototype) {
  const render = prototype.renderModel;
  prototype.renderModel = async function (model) {
    await render.call(this, model);
    const image = this.node.querySelector("img"), { alt } = model.metadata[this.mimeType] ?? {};
    if (image && alt) image.alt = alt;
  };
}

function element(tag, ...children) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}

/** Put what the kernel sends about a widget into the output that shows it, so that it is stored with the notebook. */
function storeUpdates(panel) {
  panel.sessionContext.iopubMessage.connect((_, { header, content }) => {
    const id = header.msg_type === "update_display_data" && content.data[VIEW]?.model_id;
    for (const cell of (id && panel.content.model?.cells) || []) {
      for (let place = 0; place < (cell.outputs?.length ?? 0); place++) {
        const output = cell.outputs.get(place);
        if (output.data[VIEW]?.model_id === id)
          cell.outputs.set(place, { ...output.toJSON(), data: content.data, metadata: content.metadata });
      }
    }
  });
}

/** Return the prototype of the renderers of a MIME type, also of those that a notebook has already. */
function prototypeOf(rendermime, type) {
  const renderer = rendermime.createRenderer(type);
  renderer.dispose();
  return Object.getPrototypeOf(renderer);
}

/** Return a module that JupyterLab shares; of several versions the newest, as a bundler takes it. */
async function sharedModule(shared, name) {
  const [newest] = Object.keys(shared[name]).sort((a, b) => b.localeCompare(a, undefined, { numeric: true }));
  return (await shared[name][newest].get())();
}

async function makePlugin(shared) {
  const { IRenderMimeRegistry } = await sharedModule(shared, "@jupyterlab/rendermime");
  const { INotebookTracker } = await sharedModule(shared, "@jupyterlab/notebook");
  const { IJupyterWidgetRegistry } = await sharedModule(shared, "@jupyter-widgets/base");
  return {
    id: "llms-by-hand:stored-picture",
    autoStart: true,
    requires: [IRenderMimeRegistry, INotebookTracker, IJupyterWidgetRegistry], // the last has made the renderer by then
    activate(app, rendermime, tracker) {
      fallBackToStored(prototypeOf(rendermime, VIEW), rendermime);
      nameImages(prototypeOf(rendermime, "image/png"));
      tracker.forEach(storeUpdates);
      tracker.widgetAdded.connect((_, panel) => storeUpdates(panel));
    },
  };
}

let shared;
(window._JUPYTERLAB ??= {})["llms-by-hand"] = {
  init: (scope) => void (shared = scope),
  async get() {
    const plugin = await makePlugin(shared);
    return () => ({ __esModule: true, default: plugin });
  },
};
