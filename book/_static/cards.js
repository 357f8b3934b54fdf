// Point at a glossary term or a citation, or reach it with the keyboard: what it means, in a card.

const GAP = 8; // CSS pixels

function start() {
  const data = document.getElementById("cards");
  if (!data) return;
  const cards = JSON.parse(data.textContent);
  const card = document.createElement("div");
  card.className = "book-card";
  card.id = "book-card";
  card.role = "tooltip";
  card.hidden = true;
  document.body.append(card);

  const hide = () => {
    card.hidden = true;
    document.querySelector('[aria-describedby="book-card"]')?.removeAttribute("aria-describedby");
  };
  const show = (link, text) => {
    hide();
    card.innerHTML = text; // made when the book was built, from its own glossary and bibliography
    card.hidden = false;
    link.setAttribute("aria-describedby", card.id);
    const at = link.getBoundingClientRect();
    const room = document.documentElement.clientWidth - card.offsetWidth - GAP;
    const above = at.top - card.offsetHeight - GAP;
    card.style.left = `${scrollX + Math.max(GAP, Math.min(at.left, room))}px`;
    card.style.top = `${scrollY + (above > GAP ? above : at.bottom + GAP)}px`;
  };

  for (const link of document.querySelectorAll('a[href*="glossary.html#"], a[href*="references.html#"]')) {
    const text = cards[decodeURIComponent(link.hash.slice(1))];
    if (!text) continue;
    for (const event of ["pointerenter", "focus"]) link.addEventListener(event, () => show(link, text));
    for (const event of ["pointerleave", "blur"]) link.addEventListener(event, hide);
  }
  addEventListener("keydown", (event) => event.key === "Escape" && hide());
  addEventListener("scroll", hide, { passive: true });
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
