// What a camera sees, frame after frame, while its panel is open and the page is in sight.

const PAUSE = 200; // milliseconds between frames, in which the page stays usable
const video = document.getElementById("video"), seen = document.getElementById("seen");
let facing = "environment", turn = 0, nPictures = 0;

async function startCamera() {
  const mine = ++turn;
  seen.replaceChildren();
  if (!navigator.mediaDevices?.getUserMedia) {
    seen.replaceChildren(make("p", "because", say("camera_blocked")));
    return;
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: facing}});
    if (mine !== turn) return stream.getTracks().forEach(track => track.stop());
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    if (mine === turn) seen.replaceChildren(make("p", "because", say("no_camera", {reason: reasonOf(error)})));
    return;
  }
  try {
    await ready;
    await watch(mine);
  } catch (error) {
    seen.replaceChildren(make("p", "because", failure(error, say("live"))));
  }
}

function stopCamera() {
  turn++;
  video.srcObject?.getTracks().forEach(track => track.stop());
  video.srcObject = null;
}

async function watch(mine) {
  while (mine === turn) {
    if (!document.hidden && video.videoWidth) {
      const {videoWidth, videoHeight} = video;
      const outputs = await ask(video, videoWidth, videoHeight);
      if (mine === turn) seen.replaceChildren(showAnswer(readAnswer(outputs)));
    }
    await new Promise(done => setTimeout(done, PAUSE));
  }
}

document.getElementById("take").addEventListener("click", async () => {
  if (!video.videoWidth) return;
  const name = say("my_picture", {n: ++nPictures});
  try {
    const frame = await createImageBitmap(video); // the film goes on
    await ready;
    await keep(frame, frame.width, frame.height, name);
    frame.close();
  } catch (error) {
    complain(error, name);
  }
});
document.getElementById("other-camera").addEventListener("click", () => {
  facing = facing === "user" ? "environment" : "user";
  stopCamera();
  startCamera();
});
panel("camera", {opened: startCamera, closed: stopCamera});
