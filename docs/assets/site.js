const chinese = document.documentElement.lang.startsWith("zh")

// The theme's search is a dialog without a name, which a screen reader announces as nothing.
document.querySelector(".md-search[role=dialog]")?.setAttribute("aria-label", chinese ? "搜索" : "Search")

// What is too wide scrolls; whoever has no pointer scrolls it with the keyboard.
const scroll = () => {
  for (const part of document.querySelectorAll(".tconv, .arithmatex, .md-typeset__scrollwrap")) {
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0
    else part.removeAttribute("tabindex")
  }
}
addEventListener("load", scroll)

// What is copied from a session is what was typed: neither prompts nor outputs.
for (const code of document.querySelectorAll("code:has(.gp)")) {
  const typed = code.textContent.split("\n").filter((line) => /^(>>>|\.\.\.)( |$)/.test(line))
  code.dataset.copy = typed.map((line) => line.slice(4)).join("\n")
}
addEventListener("resize", scroll)

// A figure moves from when it is first seen, and at its first step.
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) if (isIntersecting) target.classList.add("tconv-seen")
})

// What moves for longer than five seconds can be stopped.
for (const picture of document.querySelectorAll(".home-picture, .tconv-figure:has(> svg > .s)")) {
  const button = document.createElement("button")
  button.className = "home-pause"
  const name = () => {
    const still = picture.classList.contains("home-still")
    button.textContent = still ? (chinese ? "播放" : "Play") : (chinese ? "暂停" : "Pause")
  }
  button.addEventListener("click", () => { picture.classList.toggle("home-still"); name() })
  const moving = picture.querySelector(":scope > svg")
  if (picture.matches("figure")) {
    moving.after(button)
    seen.observe(picture)
  } else picture.after(button)
  name()
}
