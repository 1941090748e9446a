"use strict";
// An image of a gallery, enlarged. Of each gallery one image takes part in the order of the tab key;
// the arrow keys go to the others, in the gallery as well as in the dialog.
(() => {
  const viewer = document.getElementById("viewer"), picture = viewer.querySelector("img");
  const [name, said] = ["viewer-name", "viewer-said"].map(id => document.getElementById(id));
  const galleries = [...document.querySelectorAll(".thumbs")];
  const shown = gallery => [...gallery.querySelectorAll(".thumb:not([hidden]) button")];
  let current = null;

  function setOrder() {
    for (const gallery of galleries) {
      gallery.querySelectorAll("button").forEach(button => { button.tabIndex = -1; });
      const [first] = shown(gallery);
      if (first) first.tabIndex = 0;
    }
  }

  function look(button) {
    current = button;
    const figure = button.closest("figure"), image = button.querySelector("img");
    Object.assign(picture, { src: image.src, alt: image.alt, className: image.className });
    name.textContent = figure.querySelector(".file").textContent;
    said.textContent = figure.querySelector(".said").textContent;
  }

  const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 };
  function next(event, from) {
    const buttons = shown(from.closest(".thumbs")), step = STEPS[event.key];
    if (!step) return null;
    event.preventDefault();
    const to = buttons[buttons.indexOf(from) + step];
    if (!to) return null;
    from.tabIndex = -1;
    to.tabIndex = 0;
    return to;
  }

  for (const gallery of galleries) {
    gallery.addEventListener("click", event => {
      const button = event.target.closest("button");
      if (!button) return;
      look(button);
      viewer.showModal();
    });
    gallery.addEventListener("keydown", event => {
      if (event.target.closest(".thumb")) next(event, event.target)?.focus();
    });
  }
  viewer.addEventListener("keydown", event => {
    const to = next(event, current);
    if (to) look(to);
  });
  viewer.addEventListener("click", event => { if (event.target === viewer) viewer.close(); });
  viewer.addEventListener("close", () => current.focus());
  document.addEventListener("gallery", setOrder);
  setOrder();
})();
