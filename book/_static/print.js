// Paper is white: a page in dark colours is printed in the light ones, and goes back to its own after.

const page = document.documentElement.dataset;
let own = page.theme;

window.addEventListener("beforeprint", () => {
  own = page.theme;
  page.theme = "light";
});

window.addEventListener("afterprint", () => {
  page.theme = own;
});
