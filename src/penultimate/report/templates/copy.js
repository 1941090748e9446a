"use strict";
(() => {
  const text = document.getElementById("methods-text"), told = document.getElementById("copied");
  const select = () => getSelection().selectAllChildren(text);
  // A page from a file may lack the clipboard: then the old command, and at last the reader's keys.
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
    told.textContent = done ? "Copied." : "Selected: press Ctrl+C (or ⌘C) to copy it.";
  });
})();
