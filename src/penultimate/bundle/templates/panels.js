// The parts of the page that a button opens: the sheet and the camera.

function panel(name, {opened = () => {}, closed = () => {}} = {}) {
  const part = document.getElementById(name), button = document.getElementById(`open-${name}`);
  const set = open => {
    if (part.hidden !== open) return;
    part.hidden = !open;
    button.setAttribute("aria-expanded", open);
    (open ? opened : closed)();
  };
  button.addEventListener("click", () => set(part.hidden));
  part.querySelector(".close").addEventListener("click", () => {
    set(false);
    button.focus();
  });
  return {part, set};
}
