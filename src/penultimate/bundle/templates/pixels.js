// Images as Python decodes them: upright, in their own size, without color management, with
// transparency laid on white. The graph resizes.

const MOST_PIXELS = 50_000_000;
const STRIP = 2 ** 22; // pixels that a canvas holds at once: phones limit its area

class Refusal extends Error {} // the message is for the reader

async function decode(blob, name) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, {
      imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none",
    });
  } catch {
    throw new Refusal(say("not_read", {name}));
  }
  const {width, height} = bitmap;
  if (width * height > MOST_PIXELS) {
    bitmap.close();
    throw new Refusal(say("too_large", {name, width, height}));
  }
  return bitmap;
}

// Of an image, a canvas or a frame of a video.
function pixelsOf(source, width, height) {
  const pixels = new Uint8Array(3 * width * height);
  const rows = Math.max(1, Math.min(height, Math.floor(STRIP / width)));
  const canvas = new OffscreenCanvas(width, rows);
  const context = canvas.getContext("2d", {willReadFrequently: true});
  let to = 0;
  for (let top = 0; top < height; top += rows) {
    const filled = Math.min(rows, height - top);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, filled);
    context.drawImage(source, 0, top, width, filled, 0, 0, width, filled);
    const {data} = context.getImageData(0, 0, width, filled);
    for (let from = 0; from < data.length; from += 4) {
      pixels[to++] = data[from];
      pixels[to++] = data[from + 1];
      pixels[to++] = data[from + 2];
    }
  }
  return pixels;
}
