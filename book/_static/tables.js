// A table that is wider than the page says that it moves sideways.

document.addEventListener("DOMContentLoaded", () => {
  const watch = new ResizeObserver((seen) => {
    for (const { target } of seen) target.classList.toggle("sideways", target.scrollWidth > target.clientWidth + 1);
  });
  const wide = ".table-scroll, .pst-scrollable-table-container, table.dataframe";
  for (const table of document.querySelectorAll(wide)) watch.observe(table);
});
