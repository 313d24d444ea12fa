// Two pictures over each other; how much of the lower one is seen is the range's value.
export function bindWipe(stage) {
  const range = stage.querySelector("[data-wipe-range]");
  range?.addEventListener("input", () => stage.style.setProperty("--at", `${range.value}%`));
}
