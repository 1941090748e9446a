"use strict";
(() => {
  const text = document.getElementById("methods-text"), status = document.getElementById("copied");
  const select = () => getSelection().selectAllChildren(text);
  // Pages opened from a file may have no clipboard API: fall back to the old command, then to the
  // reader's keyboard.
  async function copy() {
    try {
      await navigator.clipboard.writeText(text.textContent);
      return true;
    } catch {
      select();
      return document.execCommand("copy");
    }
  }
  document.getElementById("copy").addEventListener("click", async () => {
    const done = await copy();
    if (!done) select();
    status.textContent = done ? "Copied." : "Selected: press Ctrl+C (or ⌘C) to copy it.";
  });
})();
