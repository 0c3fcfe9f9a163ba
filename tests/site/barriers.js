// What keeps people out of a page, as axe-core finds it.
//
// To find the contrast of one element, axe-core sorts all elements of a page into a grid, which takes
// seconds on a long page, and most elements look alike. So it judges the first and the last element of
// each look that no page before had, and its grid has these and what they stand in, and whatever is
// painted out of its place. test_barriers.py holds that elements of one look are judged alike.

const COLOURS = ["color-contrast", "link-in-text-block"]

// Parts and surroundings of an element, in the shadow trees of a page too.
const inside = (one) => [...one.children, ...one.shadowRoot?.children ?? []]
const above = (one) => one.parentElement ?? one.getRootNode().host
const blockOf = (one) => {
  do one = above(one)
  while (getComputedStyle(one).display.startsWith("inline"))
  return one
}

const GROUND = ["backgroundColor", "backgroundImage", "opacity", "position", "filter"]
const BARE = "rgba(0, 0, 0, 0);none"
const LETTERS = ["color", "webkitTextFillColor", "textShadow"]
const LINK = [...LETTERS, "fontFamily", "fontSize", "fontStyle", "fontWeight", "textDecoration",
  "border", "backgroundColor", "backgroundImage"]
const large = ({ fontSize, fontWeight }) => {
  const points = Math.ceil(parseFloat(fontSize) * 72) / 96
  return points >= (parseInt(fontWeight) >= 700 ? 14 : 18)
}
const read = (style, names) => names.map((name) => style[name]).join(";")
const { removeUnicode } = axe.commons.text

// A look is all that axe-core reads of an element to judge it by a rule. Gives the elements of each,
// and those that are painted out of their places.
const looks = () => {
  const found = new Map(), astray = []
  const note = (one, rule, ...look) => {
    const key = [rule, ...look].join("|")
    if (!found.has(key)) found.set(key, { rule, key, alike: [] })
    found.get(key).alike.push(one)
  }
  const visit = (one, ground) => {
    const style = getComputedStyle(one)
    if (style.display === "none") return
    const own = read(style, GROUND)
    if (own.replace("relative", "static") !== `${BARE};1;static;none`) ground += own + "/"
    if (style.position !== "static" && !own.startsWith(BARE)) astray.push(one)
    const words = [...one.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE)
      .map((n) => n.data).join("").replace(/\s+/g, " ").trim()
    const field = one.matches("input, select, textarea, button") && one.localName
    if ((words || field) && one.checkVisibility({ visibilityProperty: true })) {
      const kinds = [{ nonBmp: true }, { emoji: true, punctuations: true }]
      const said = [Math.min(words.length, 2), kinds.map((kind) => removeUnicode(words, kind) !== ""),
        field, one.ownerSVGElement !== null, one.closest(":disabled, [aria-disabled=true]") !== null]
      note(one, COLOURS[0], said, ground, read(style, LETTERS), large(style))
      if (one.localName === "a") {
        const block = blockOf(one)
        const links = [...block.querySelectorAll("a")].map((a) => a.textContent).join("").length
        note(one, COLOURS[1], said, ground, read(style, LINK), read(getComputedStyle(block), LINK),
          ["::before", "::after"].map((name) => getComputedStyle(one, name).content),
          2 * links < block.textContent.length)
      }
    }
    for (const child of inside(one)) visit(child, ground)
  }
  visit(document.documentElement, "")
  return { all: [...found.values()], astray }
}

// From now on axe-core meets only some elements as it walks through a page, and what they stand in;
// gives a function that ends it.
const walkOnly = (elements) => {
  const met = new Set()
  for (let one of elements)
    for (; one && !met.has(one); one = above(one)) met.add(one)
  const filter = (one) => met.has(one) ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_REJECT
  document.createTreeWalker = (root, what) =>
    Document.prototype.createTreeWalker.call(document, root, what, filter)
  return () => { delete document.createTreeWalker }
}

const settled = async () => {
  const frame = () => new Promise(requestAnimationFrame)
  await frame()
  await frame()
  await Promise.allSettled(document.getAnimations().filter((a) => a instanceof CSSTransition)
    .map((a) => a.finished))
}

const judge = (colour, link, alone, options) => {
  const rules = [{ id: COLOURS[0], selector: colour }, { id: COLOURS[1], selector: link }]
  axe.configure({ rules })
  const checks = { "color-contrast": { options: { ignoreLength: alone } } }
  return axe.run({ runOnly: COLOURS, checks, ...options })
}

// The rules that the colours of a page break and, unless only these are asked for, all else of it; and
// the looks that were judged, which are those that are not known to be right.
const barriers = async ({ alone, colours, known }) => {
  await settled()
  const grave = (rule) => ["serious", "critical"].includes(rule.impact)
  const found = [], only = { resultTypes: ["violations"] }
  if (!colours) {
    const off = axe._audit.rules.filter((rule) => !grave(rule) || COLOURS.includes(rule.id))
    const rules = Object.fromEntries(off.map((rule) => [rule.id, { enabled: false }]))
    found.push(...(await axe.run({ rules, ...only })).violations)
  }
  const { all, astray } = looks()
  const fresh = all.filter(({ key }) => !known.includes(key))
  if (fresh.length) {
    const chosen = fresh.flatMap(({ alike }) => [alike[0], alike.at(-1)])
    for (const one of chosen) one.dataset.look = ""
    const end = walkOnly([...chosen, ...astray])
    found.push(...(await judge("[data-look]", "a[href][data-look]", alone, only)).violations)
    end()
    for (const one of chosen) delete one.dataset.look
  }
  const told = found.filter(grave)
    .map((v) => [v.id, v.help, ...v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160))])
  return { told, judged: fresh.map(({ key }) => key) }
}

// What axe-core judges of each element of each look, on the whole page.
const judgements = async () => {
  await settled()
  const results = await judge("*", "a[href]", true, { elementRef: true })
  const said = Object.fromEntries(COLOURS.map((rule) => [rule, new Map()]))
  for (const kind of ["passes", "violations"])
    for (const { id, nodes } of results[kind])
      for (const { element, any } of nodes) {
        const data = any.map((check) => ({ ...check.data, fontSize: "", fontWeight: "" }))
        said[id].set(element, JSON.stringify([kind, data]))
      }
  return looks().all.map(({ rule, key, alike }) => [key, alike.map((one) => said[rule].get(one))])
}

window.tconv = { barriers, judgements }
