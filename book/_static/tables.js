// A table that is wider than the page: on a phone each of its rows becomes a card, unless it has many
// columns, or a first one that does not name the rows; that one, like all on other screens, says that
// it moves sideways.

const MOST = 7; // columns of a card

/** Whether the first column has a heading, and a name in each row that can be the title of its card. */
function named(table, heads) {
  const firsts = [...(table.tBodies[0]?.rows ?? [])].map((row) => row.cells[0]?.textContent ?? "");
  return heads[0] !== "" && firsts.every((name) => /\p{L}{2}/u.test(name));
}

/** Tell each cell what its column is called; whether a card can hold a row. */
function label(table) {
  const heads = [...table.querySelectorAll("thead tr:last-child > *")].map((head) => head.textContent.trim());
  if (!heads.length || heads.length > MOST || table.querySelector("[colspan]:not([colspan='1']), [rowspan]:not([rowspan='1'])")) return false;
  if (!named(table, heads)) return false;
  for (const row of table.tBodies[0]?.rows ?? []) [...row.cells].forEach((cell, n) => (cell.dataset.label = heads[n]));
  return true;
}

document.addEventListener("DOMContentLoaded", () => {
  const phone = matchMedia("screen and (max-width: 700px)");
  const wide = (box) => box.scrollWidth > box.clientWidth + 1;
  const watch = new ResizeObserver((seen) => {
    for (const { target } of seen) {
      const table = target.matches("table") ? target : target.querySelector("table");
      if (!phone.matches) table.classList.remove("stacked");
      else if ((table.matches(".claims") || wide(target)) && label(table)) table.classList.add("stacked");
      target.classList.toggle("sideways", wide(target));
    }
  });
  const boxes = ".table-scroll, .pst-scrollable-table-container, table.dataframe";
  for (const box of document.querySelectorAll(boxes)) watch.observe(box);
});
