// Runs a graph on batches of images in onnxruntime-node.
// node run.cjs GRAPH BATCHES PIXELS ANSWERS: BATCHES is a list of [count, height, width, 3], and
// PIXELS has the bytes of all, one after the other.

const {readFileSync, writeFileSync} = require("node:fs");
const ort = require("onnxruntime-node");

async function run([graph, batches, pixels, answers], nFeatures) {
  const session = await ort.InferenceSession.create(graph, {intraOpNumThreads: 1});
  const bytes = readFileSync(pixels), found = [];
  let start = 0;
  for (const shape of JSON.parse(readFileSync(batches))) {
    const length = shape.reduce((product, side) => product * side);
    const feed = {
      images: new ort.Tensor("uint8", new Uint8Array(bytes.subarray(start, start += length)), shape),
      features: new ort.Tensor("float32", new Float32Array(0), [0, nFeatures]),
      subset: new ort.Tensor("int64", BigInt64Array.of(-1n), []),
    };
    for (const name of Object.keys(feed)) if (!session.inputNames.includes(name)) delete feed[name];
    const outputs = {};
    for (const [name, tensor] of Object.entries(await session.run(feed))) {
      outputs[name] = Array.from(tensor.data, Number);
    }
    found.push(outputs);
  }
  writeFileSync(answers, JSON.stringify(found));
}

run(process.argv.slice(2, 6), Number(process.argv[6]));
