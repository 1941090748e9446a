// The graph in ONNX Runtime, on the page's own thread: without a server there is no second one.

const model = {session: null, ort: null, busy: Promise.resolve()};

async function openModel() {
  const [script, binary, graph] = await Promise.all(["script", "binary", "graph"].map(unpack));
  const address = URL.createObjectURL(new Blob([script], {type: "text/javascript"}));
  model.ort = await import(address);
  URL.revokeObjectURL(address);
  const {wasm} = model.ort.env;
  wasm.numThreads = 1;
  wasm.wasmBinary = binary.buffer;
  model.session = await model.ort.InferenceSession.create(graph);
}

// What the page shows is asked of the graph that it carries.
function ask(source, width, height) {
  return predict(pixelsOf(source, width, height), height, width, {subset: chosenSubset()});
}

// Pixels: bytes of `count` images of one size, color by color. One after the other is computed.
function predict(pixels, height, width, {subset = -1, count = 1} = {}) {
  const answer = model.busy.then(() => run(pixels, [count, height, width, 3], subset));
  model.busy = answer.catch(() => {});
  return answer;
}

async function run(pixels, shape, subset) {
  const {Tensor} = model.ort;
  const {features} = facts;
  const given = {
    images: () => new Tensor("uint8", pixels, shape),
    features: () => new Tensor("float32", new Float32Array(0), [0, features]),
    subset: () => new Tensor("int64", BigInt64Array.of(BigInt(subset)), []),
  };
  const feed = {};
  for (const name of model.session.inputNames) feed[name] = given[name]();
  const outputs = await model.session.run(feed);
  if (outputs.label.dims[0] !== shape[0]) throw new Error("the graph gives other rows than it was fed");
  const answer = {};
  for (const [name, tensor] of Object.entries(outputs)) answer[name] = tensor.data;
  // The threshold was set on answers whose subset the model found.
  if (subset >= 0) delete answer.accepted;
  return answer;
}
