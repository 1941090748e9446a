// Files that are chosen, dropped or pasted, one after the other.

const chooser = document.getElementById("files");
let waiting = Promise.resolve();
let nPasted = 0;

function take(files, nameOf = file => file.name) {
  for (const file of files) {
    const name = nameOf(file);
    waiting = waiting.then(async () => {
      announce(say("reading", {name}));
      await new Promise(done => setTimeout(done)); // the page shows the sentence first
      try {
        await ready;
        const bitmap = await decode(file, name);
        try {
          await keep(bitmap, bitmap.width, bitmap.height, name, file);
        } finally {
          bitmap.close();
        }
      } catch (error) {
        complain(error, name);
      }
    });
  }
}

document.getElementById("choose").addEventListener("click", () => chooser.click());
chooser.addEventListener("change", () => {
  take([...chooser.files]);
  chooser.value = ""; // so that the same file can be chosen again
});

document.addEventListener("paste", event => {
  const files = [...event.clipboardData.files];
  if (!files.length) return announce(say("nothing_pasted"));
  event.preventDefault();
  take(files, () => say("pasted", {n: ++nPasted}));
});

let depth = 0; // of the elements that a drag has entered and not left
const light = on => document.body.classList.toggle("dragged-over", on);
document.addEventListener("dragenter", () => light(++depth > 0));
document.addEventListener("dragleave", () => light(--depth > 0));
document.addEventListener("dragover", event => event.preventDefault());
document.addEventListener("drop", event => {
  event.preventDefault();
  light((depth = 0) > 0);
  const files = [...event.dataTransfer.files];
  if (!files.length) return announce(say("nothing_dropped"));
  take(files);
});
