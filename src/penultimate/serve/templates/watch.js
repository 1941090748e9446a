// Says that the guarantee is withdrawn, and shows the images that speak most for that.

const notice = document.getElementById("watch"), noticeStatus = document.getElementById("watch-status");
const watched = new URLSearchParams({model: facts.model});

async function showWatch(state) {
  const isOpen = !notice.hidden, isWithdrawn = Boolean(state?.withdrawn);
  notice.hidden = !isWithdrawn;
  if (!isWithdrawn || isOpen) return;
  try {
    const response = await fetch(`v1/watch?${watched}`);
    if (response.ok) showTelling((await response.json()).images);
  } catch {
    // The notice stands without the images.
  }
}

function showTelling(images) {
  const shown = images.filter(({image}) => image);
  document.getElementById("telling-part").hidden = !shown.length;
  document.getElementById("telling").replaceChildren(...shown.map(({image, number}) => {
    const item = make("li"), picture = make("img");
    picture.src = image;
    picture.alt = say("image_number", {number});
    item.append(picture);
    return item;
  }));
}

document.getElementById("watch-anew").addEventListener("click", async () => {
  let refused = say("unreachable");
  try {
    const response = await fetch(`v1/watch/reset?${watched}`, {method: "POST"});
    const answer = await response.json();
    if (response.ok) {
      showWatch(answer.watch);
      announce(say("watched_anew"));
      document.getElementById("choose").focus();
      return;
    }
    refused = answer.detail;
  } catch {
    // As it is: there was no answer.
  }
  noticeStatus.textContent = refused;
});

showWatch(facts.watch);
