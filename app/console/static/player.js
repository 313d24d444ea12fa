// The result of a task over its media: boxes at the frame that is shown, a lane for each face, a click to seek.
import { fillLanes, moveLine, MOST_LANES } from "./lanes.js";
import { cropInto, drawFaces } from "./overlay.js";
import { ask } from "./session.js";

const page = document.querySelector("[data-player]");
const part = (name) => page.querySelector(`[data-${name}]`);
const [view, overlay, lanes, frameBox, elsewhere] = ["view", "overlay", "lanes", "frame", "elsewhere"].map(part);
const isVideo = view instanceof HTMLVideoElement;
const size = { width: Number(page.dataset.width), height: Number(page.dataset.height) };

let frames = [];
let tracks = [];

async function load() {
  const first = await (await ask("GET", page.dataset.result)).json();
  frames = first.result.frames;
  tracks = first.result.face_tracks;
  showLanes();
  let cursor = first.result.next_cursor;
  while (cursor) {
    const next = await (await ask("GET", `${page.dataset.result}?cursor=${encodeURIComponent(cursor)}`)).json();
    frames = frames.concat(next.frames);
    cursor = next.next_cursor;
  }
  showLanes();
}

function duration() {
  const last = frames.length ? frames[frames.length - 1].timestamp : 0;
  return Number(page.dataset.duration) || view.duration || last || 1;
}

function frameAt(time) {
  let low = 0;
  let high = frames.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (frames[middle].timestamp <= time + 0.02) low = middle;
    else high = middle - 1;
  }
  return frames[low];
}

function shownFace(face) {
  const [x, y, width, height] = face.bbox;
  const person = face.matches?.[0]?.person_id ?? face.person_id;
  return { key: face.track_id ?? face.face_id, x, y, width, height, tag: person ?? face.track_id ?? face.face_id };
}

function draw() {
  if (!frames.length || !size.width) return;
  const time = isVideo ? view.currentTime : 0;
  const frame = frameAt(time);
  const gap = 1.5 / (Number(page.dataset.rate) || 2);
  const isNear = !isVideo || Math.abs(frame.timestamp - time) <= gap;
  drawFaces(overlay, size, isNear ? frame.faces.map(shownFace) : []);
  moveLine(lanes, time / duration());
}

function seek(time) {
  if (!isVideo) return;
  view.currentTime = time;
}

function showLanes() {
  if (!tracks.length) {
    const none = document.createElement("p");
    none.className = "muted";
    const found = frames.reduce((sum, frame) => sum + frame.faces.length, 0);
    none.textContent = found ? `${found} ${found === 1 ? "face" : "faces"} in the picture.` : "No face was found.";
    lanes.replaceChildren(none);
    draw();
    return;
  }
  fillLanes(lanes, tracks, { duration: duration(), seek, withFaces: true });
  draw();
  showFaces();
}

// The best look at each face, cut out of the media itself: a second, unseen player seeks to it.
let showing = 0;
async function showFaces() {
  const mine = ++showing;
  if (!view.currentSrc && !view.src) return;
  const source = isVideo ? document.createElement("video") : view;
  if (isVideo) {
    source.muted = true;
    source.preload = "auto";
    source.src = view.currentSrc || view.src;
    await new Promise((resolve) => source.addEventListener("loadeddata", resolve, { once: true }));
  }
  for (const track of tracks.slice(0, MOST_LANES)) {
    if (mine !== showing) return;
    let best = null;
    for (const frame of frames) {
      for (const face of frame.faces) {
        const area = face.bbox[2] * face.bbox[3] * face.confidence;
        if (face.track_id === track.track_id && (!best || area > best.area)) best = { face, area, at: frame.timestamp };
      }
    }
    if (!best) continue;
    if (isVideo) {
      const done = new Promise((resolve) => source.addEventListener("seeked", resolve, { once: true }));
      source.currentTime = best.at + 0.001;
      await done;
    }
    const canvas = lanes.querySelector(`canvas[data-track="${CSS.escape(track.track_id)}"]`);
    if (canvas) cropInto(canvas, source, shownFace(best.face));
  }
}

function show(address) {
  elsewhere.hidden = true;
  frameBox.hidden = false;
  view.src = address;
  view.addEventListener(isVideo ? "loadeddata" : "load", () => {
    size.width ||= view.videoWidth || view.naturalWidth;
    size.height ||= view.videoHeight || view.naturalHeight;
    draw();
    showFaces();
  });
}

function tick() {
  draw();
  if (!view.paused && !view.ended) requestAnimationFrame(tick);
}

if (isVideo) {
  view.addEventListener("play", tick);
  view.addEventListener("seeked", draw);
  view.addEventListener("timeupdate", draw);
}
view.addEventListener("error", () => {
  frameBox.hidden = true;
  elsewhere.hidden = false;
});
new ResizeObserver(draw).observe(view);
part("copy-file").addEventListener("change", (event) => {
  const file = event.target.files[0];
  if (file) show(URL.createObjectURL(file));
});
if (page.dataset.media) show(page.dataset.media);
else elsewhere.hidden = false;
try {
  await load();
} catch (error) {
  const problem = part("problem");
  problem.textContent = error.message;
  problem.hidden = false;
  lanes.replaceChildren();
}
