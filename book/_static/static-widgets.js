// Runs the explorers on a page without a kernel: each widget's module, with a model made of the
// state that the executed notebook left in the page. Nothing is fetched.

const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';
const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';

/** What an anywidget module asks of its model, without anyone at the other end. */
class Model {
  constructor(state) {
    this.state = state;
    this.listeners = new Map();
  }

  get(name) {
    return this.state[name];
  }

  set(name, value) {
    if (Object.is(this.state[name], value)) return;
    this.state[name] = value;
    this.emit(`change:${name}`, value);
    this.emit("change", value);
  }

  on(event, callback) {
    if (!this.listeners.has(event)) this.listeners.set(event, new Set());
    this.listeners.get(event).add(callback);
  }

  off(event, callback) {
    if (callback) this.listeners.get(event)?.delete(callback);
    else this.listeners.delete(event);
  }

  emit(event, ...values) {
    for (const callback of this.listeners.get(event) ?? []) callback(...values);
  }

  save_changes() {}

  send() {}
}

const modules = new Map(); // by their text: several views share one

function load(text) {
  if (!modules.has(text)) {
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    modules.set(text, import(address).finally(() => URL.revokeObjectURL(address)));
  }
  return modules.get(text);
}

const styles = new Set();

function dress(text) {
  if (!text || styles.has(text)) return;
  styles.add(text);
  const style = document.createElement("style");
  style.textContent = text;
  document.head.append(style);
}

/** An element of the record of a panel, or nothing for what says nothing. */
function line(tag, text, name) {
  if (text === "" || text == null) return [];
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return [made];
}

/** A panel that only a running notebook can fill: what it was given when the page was made, which prints what it said. */
async function retell(record, states, into) {
  const { _esm, description, value, children } = record.state;
  if (_esm) return mount(record, into);
  if (description && ["string", "number"].includes(typeof value) && value !== "") into.append(...line("p", `${description}: ${value}`, "given"));
  for (const child of children ?? []) await retell(states[child.replace("IPY_MODEL_", "")], states, into);
}

async function mount(record, into) {
  dress(record.state._css);
  const el = document.createElement("div");
  el.className = "static-widget";
  into.append(el);
  const widget = (await load(record.state._esm)).default;
  const model = new Model({ ...record.state });
  await widget.initialize?.({ model });
  await widget.render({ model, el });
}

const NEEDS_PYTHON = "This panel needs Python: open the notebook in JupyterLab (make lab) and run the cell.";

async function show(script, states) {
  const record = states[JSON.parse(script.textContent).model_id];
  const into = document.createElement("div");
  into.className = record?.state._esm ? "" : "needs-python";
  script.before(into);
  if (record?.state._esm) return mount(record, into);
  into.append(...line("p", NEEDS_PYTHON, "note"));
  if (!record?.state.children) return;
  into.append(...line("p", "What it was given when this page was made:", "note"));
  await retell(record, states, into);
}

function start() {
  const states = {};
  for (const script of document.querySelectorAll(STATE)) {
    Object.assign(states, JSON.parse(script.textContent).state);
  }
  for (const script of document.querySelectorAll(VIEW)) {
    show(script, states).catch((error) => console.error("An explorer could not start:", error));
  }
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
