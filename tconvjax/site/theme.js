// What the page around the element looks like. The element's rules take their colours from its text
// and from --paper; fields and scroll bars are light or dark as the page's text says, whoever chose
// it: the system, the page, or the palette switch of Material for MkDocs.

function followTheme(element) {
  const text = getComputedStyle(element.parentElement || document.body).color;
  const parts = text.match(/[\d.]+/g);
  const isRgb = /^rgba?\(/.test(text) && parts.length >= 3;
  const dark = isRgb ? luminance(parts.slice(0, 3).map(Number)) > 0.3
    : matchMedia("(prefers-color-scheme: dark)").matches;
  element.style.colorScheme = dark ? "dark" : "light";
  element.style.setProperty("--paper", paperOf(element));
  element.style.setProperty("--covered", `${coveredOver(element)}px`);
}

// How much of the window the page's header covers while the page scrolls; the sentence stays below.
function coveredOver(element) {
  const { left, width } = element.getBoundingClientRect();
  let part = document.elementFromPoint(left + width / 2, 1);
  while (part && !/fixed|sticky/.test(getComputedStyle(part).position)) part = part.parentElement;
  const bottom = part ? part.getBoundingClientRect().bottom : 0;
  return bottom < innerHeight / 2 ? bottom : 0;
}

// The nearest background behind the element, for what must cover the cells that scroll under it.
function paperOf(element) {
  for (let part = element.parentElement; part; part = part.parentElement) {
    const back = getComputedStyle(part).backgroundColor;
    if (back !== "transparent" && !/[,/]\s*0\)$/.test(back)) return back;
  }
  return "Canvas";
}
