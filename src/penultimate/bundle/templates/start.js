// The model is opened as soon as the page is shown; what is asked before waits for it.

async function start() {
  if (typeof DecompressionStream === "undefined" || typeof OffscreenCanvas === "undefined") {
    throw new Refusal(say("too_old"));
  }
  await openModel();
}

const ready = start();
ready.then(
  () => announce(say("ready")),
  error => {
    announce(error instanceof Refusal ? error.message : say("not_loaded", {reason: reasonOf(error)}));
    status.classList.add("failed");
  },
);
// For scripts in the console, and for tests.
globalThis.penultimate = {ready, predict};
