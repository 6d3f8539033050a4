"use strict";
// Legends hide and show a series everywhere on the page. Marks show their numbers when
// pointed at, or, inside a chart that has the focus, with the arrow keys.
(() => {
  const tip = document.getElementById("tip");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // A chart's own <title> would pop up over the numbers; its text is the label too.
  for (const title of all("svg[aria-label] > title")) title.remove();

  for (const button of all(".legend button"))
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") === "false";
      const key = button.dataset.key;
      for (const other of all(`.legend button[data-key="${key}"]`))
        other.setAttribute("aria-pressed", String(shown));
      for (const mark of all(`[data-s="${key}"]`)) mark.toggleAttribute("data-off", !shown);
    });

  const show = (mark, x, y) => {
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = Math.min(x + 14, innerWidth - box.width - 8);
    const top = y + 18 + box.height > innerHeight ? y - box.height - 10 : y + 18;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${Math.max(8, top)}px`;
  };
  const hide = () => {
    tip.hidden = true;
    for (const mark of all("[data-at]")) mark.removeAttribute("data-at");
  };
  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest?.("[data-tip]");
    if (mark) show(mark, event.clientX, event.clientY);
    else if (!document.querySelector("[data-at]")) hide();
  });
  document.addEventListener("scroll", hide, { passive: true });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return hide();
    const chart = document.activeElement?.closest?.("svg[role=img]");
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!chart || !step) return;
    const marks = all("[data-tip]", chart).filter((m) => !m.closest("[data-off]"));
    if (!marks.length) return;
    event.preventDefault();
    const from = marks.findIndex((m) => m.hasAttribute("data-at"));
    const next = from < 0 ? (step > 0 ? 0 : marks.length - 1) : from + step;
    const mark = marks[(next + marks.length) % marks.length];
    hide();
    mark.setAttribute("data-at", "");
    const box = mark.getBoundingClientRect();
    show(mark, box.left + box.width / 2, box.top + box.height / 2);
  });
  document.addEventListener("focusout", hide);
})();
