// Masked media beside what it was made from: one over the other, a wipe between them, both at the same moment.
import { clock, fillLanes, moveLine } from "./lanes.js";
import { ask } from "./session.js";
import { bindWipe } from "./wipe.js";

//: Seconds that both players may be apart before one is put where the other is.
const APART_S = 0.08;
const page = document.querySelector("[data-compare]");
const part = (name) => page.querySelector(`[data-${name}]`);
const [before, after, wipe, lanes, elsewhere] = ["before", "after", "wipe", "lanes", "elsewhere"].map(part);
const [play, place, time, problem] = ["play", "place", "time", "problem"].map(part);
const isVideo = after instanceof HTMLVideoElement;

function duration() {
  return Number(page.dataset.duration) || after.duration || 1;
}

function complain(text) {
  problem.textContent = text;
  problem.hidden = false;
}

function show() {
  const now = after.currentTime;
  place.value = String((now / duration()) * 1000);
  place.setAttribute("aria-valuetext", `${clock(now)} of ${clock(duration())}`);
  time.textContent = `${clock(now)} / ${clock(duration())}`;
  moveLine(lanes, now / duration());
}

function hasBoth() {
  return !before.hidden && before.readyState > 0;
}

function follow() {
  if (hasBoth() && Math.abs(before.currentTime - after.currentTime) > APART_S) before.currentTime = after.currentTime;
}

function tick() {
  follow();
  show();
  if (!after.paused && !after.ended) requestAnimationFrame(tick);
}

function seek(seconds) {
  after.currentTime = seconds;
  if (hasBoth()) before.currentTime = seconds;
}

function bindPlayer() {
  play.addEventListener("click", () => {
    if (after.paused) after.play().catch((error) => complain(error.message));
    else after.pause();
  });
  place.addEventListener("input", () => seek((Number(place.value) / 1000) * duration()));
  after.addEventListener("play", () => {
    play.setAttribute("aria-pressed", "true");
    if (hasBoth()) before.play().catch(() => {});
    tick();
  });
  after.addEventListener("pause", () => {
    play.setAttribute("aria-pressed", "false");
    before.pause();
    // Both stand still on the very same frame.
    if (hasBoth()) before.currentTime = after.currentTime;
    show();
  });
  for (const event of ["seeked", "loadedmetadata", "timeupdate"]) after.addEventListener(event, show);
  show();
}

// Without what it was made from, there is nothing to wipe.
function compare(isThere) {
  before.hidden = wipe.hidden = !isThere;
  page.querySelector("[data-stage]").classList.toggle("is-alone", !isThere);
  elsewhere.hidden = isThere;
}

function setBefore(address) {
  before.addEventListener(isVideo ? "loadeddata" : "load", () => {
    compare(true);
    if (isVideo) before.currentTime = after.currentTime;
  });
  before.src = address;
}

before.addEventListener("error", () => compare(false));
after.addEventListener("error", () => complain("This browser cannot play what was made. Save it to see it."));
part("copy-file").addEventListener("change", (event) => {
  const file = event.target.files[0];
  if (file) setBefore(URL.createObjectURL(file));
});
bindWipe(page.querySelector("[data-stage]"));
compare(false);
if (isVideo) bindPlayer();
after.src = page.dataset.output;
if (page.dataset.media) setBefore(page.dataset.media);
try {
  const { result } = await (await ask("GET", page.dataset.result)).json();
  if (isVideo && result.face_tracks.length) fillLanes(lanes, result.face_tracks, { duration: duration(), seek });
  else lanes.hidden = true;
  if (isVideo) show();
} catch (error) {
  complain(error.message);
  lanes.hidden = true;
}
