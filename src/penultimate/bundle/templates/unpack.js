// What the page carries is gzipped and written as base64, in elements that no browser runs.

const CHARACTERS = 2 ** 20; // at once; base64 says three bytes in four characters

async function unpack(name) {
  const element = document.getElementById(`packed-${name}`);
  const text = element.textContent.trim();
  element.remove(); // it would be kept in memory twice
  const parts = [];
  for (let start = 0; start < text.length; start += CHARACTERS) {
    const part = atob(text.slice(start, start + CHARACTERS));
    parts.push(Uint8Array.from(part, character => character.charCodeAt(0)));
  }
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
