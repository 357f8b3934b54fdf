// Small pieces of a page that the explorers share: elements, labelled inputs, canvases.

let counter = 0;

/** An element with attributes and children; text becomes text, never markup. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, String(value));
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** An input with its label before it; `onchange` is told the number (or text) at every change. */
export function field(label, attributes, onchange) {
  counter += 1;
  const id = `explorer-field-${counter}`;
  const input = element("input", { id, ...attributes });
  const read = () => (input.type === "number" ? input.valueAsNumber : input.value);
  input.addEventListener("input", () => onchange(read()));
  return { input, box: element("div", { class: "field" }, element("label", { for: id }, label), input) };
}

/** A drop-down list with its label; options are [value, text] pairs. */
export function choice(label, options, value, onchange) {
  counter += 1;
  const id = `explorer-field-${counter}`;
  const select = element("select", { id });
  for (const [key, text] of options) {
    select.append(element("option", { value: key, selected: key === value }, text));
  }
  select.addEventListener("change", () => onchange(select.value));
  return { input: select, box: element("div", { class: "field" }, element("label", { for: id }, label), select) };
}

/** What stands in a file beside the page: a script that leaves its value under its own address. */
export function fetched(address) {
  return new Promise((resolve, reject) => {
    const script = element("script", { src: address, onload: () => resolve(globalThis.sparseLater[address]), onerror: reject });
    document.head.append(script);
  });
}

/** Lets a box that is narrower than what it holds say that it moves sideways. */
export function sideways(box, held) {
  const watch = new ResizeObserver(() => box.classList.toggle("sideways", box.scrollWidth > box.clientWidth + 1));
  for (const one of [box, held]) watch.observe(one);
  return box;
}

/** 1234567 -> "1,234,567". */
export function count(value) {
  return Math.round(value).toLocaleString("en-US");
}

/** -0.123 -> "−0.12", -0.001 -> "0.00"; "–" for what is not a number. */
export function signed(value) {
  const rounded = Number(value?.toFixed(2)) || 0; // of −0, too
  return Number.isFinite(value) ? rounded.toFixed(2).replace("-", "−") : "–";
}

/** 0.0512 -> "5.1 %", which does not break. */
export function percent(share) {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}\u00a0%`;
}

/** A canvas for pictures of `width` x `height` CSS pixels, sharp on dense screens, described in words. */
export function canvas(width, height, label) {
  const scale = window.devicePixelRatio || 1;
  const made = element("canvas", {
    width: Math.round(width * scale),
    height: Math.round(height * scale),
    role: "img",
    "aria-label": label,
  });
  made.style.width = `${width}px`;
  made.style.height = `${height}px`;
  made.getContext("2d").scale(scale, scale);
  return made;
}

/** A button that copies text, and says that it did. */
export function copyButton(text) {
  const button = element("button", { type: "button", class: "copy" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy by hand";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  return button;
}
