// The calculator of sizes: one axis, both ways. `sizesOf` is pure, and a test compares it with the package.

// What a convolution of n elements gives, and what its transpose gives of n. A setting has n, kernel,
// stride, dilation, padding ("VALID", "SAME", "SAME_LOWER", "CAUSAL" or "numbers"), low, high and
// output_padding. A result is null where there is none. `again` is what the convolution makes of the
// transpose's result: more than n only where output_padding reaches the stride.
function sizesOf({ n, kernel, stride, dilation, padding, low, high, output_padding }) {
  const span = dilation * (kernel - 1) + 1
  const named = ["SAME", "SAME_LOWER", "CAUSAL"].includes(padding)
  const cut = padding === "numbers" ? low + high : 0
  const least = (out) => (named ? stride * (out - 1) + 1 : stride * (out - 1) + span - cut)
  const sizes = (out) => Array.from({ length: stride }, (_, k) => least(out) + k).filter((size) => size >= 0)
  const outOf = (size) => (named ? Math.ceil(size / stride) : Math.floor((size + cut - span) / stride) + 1)
  const out = outOf(n)
  const extra = named ? stride - 1 : output_padding
  const fits = output_padding < Math.max(stride, dilation) && !(named && output_padding)
  const back = least(n) + extra
  return {
    span, out: out > 0 ? out : null, shared: out > 0 ? sizes(out) : [],
    back: fits && back > 0 ? back : null, again: outOf(back), choices: sizes(n).filter((size) => size > 0),
  }
}

const SIZE_WORDS = {
  en: {
    n: "elements", kernel: "kernel", stride: "stride", dilation: "dilation", padding: "padding",
    low: "low", high: "high", output_padding: "output_padding", numbers: "numbers",
    list: (sizes) => (sizes.length < 2 ? `${sizes}` : `${sizes.slice(0, -1).join(", ")} and ${sizes.at(-1)}`),
    shared: (sizes) => `, and so does conv of ${sizes}`,
    forward: (n, out, shared) => `conv of ${n} gives ${out}${shared}.`,
    short: (span, room) => `conv has no result: the kernel spans ${span}, and there are ${room} elements.`,
    back: (n, z) => `conv_transpose of ${n} gives ${z}.`,
    choose: (sizes) => ` output_size can ask for ${sizes}.`,
    beyond: (sizes, z, again) => ` The dilation is larger than the stride, so output_padding reaches further than `
      + `output_size, which can ask for ${sizes} here: conv of ${z} gives ${again}.`,
    extra: (room) => `conv_transpose has no result: output_padding must be below ${room}.`,
    named: (name) => `conv_transpose has no result: with ${name}, give output_size instead of output_padding.`,
    none: "conv_transpose has no result: the padding cuts off all of it.",
    wrong: (name, least) => `${name} must be a whole number, ${least} or more.`,
  },
  zh: {
    n: "元素个数", kernel: "卷积核", stride: "步幅", dilation: "膨胀", padding: "填充",
    low: "起始端", high: "末端", output_padding: "输出填充", numbers: "数字",
    list: (sizes) => sizes.join("、"),
    shared: (sizes) => `（${sizes} 个也一样）`,
    forward: (n, out, shared) => `对 ${n} 个元素做 conv，得到 ${out} 个${shared}。`,
    short: (span, room) => `conv 没有结果：卷积核的跨度是 ${span}，而元素只有 ${room} 个。`,
    back: (n, z) => `对 ${n} 个元素做 conv_transpose，得到 ${z} 个。`,
    choose: (sizes) => `用 output_size 可以指定 ${sizes}。`,
    beyond: (sizes, z, again) => `膨胀大于步幅，所以输出填充可以超出 output_size 的范围，后者在这里只能指定 ${sizes}：`
      + `对 ${z} 个元素做 conv，得到 ${again} 个。`,
    extra: (room) => `conv_transpose 没有结果：输出填充必须小于 ${room}。`,
    named: (name) => `conv_transpose 没有结果：填充为 ${name} 时，请用 output_size 代替输出填充。`,
    none: "conv_transpose 没有结果：全部被填充裁掉了。",
    wrong: (name, least) => `${name}必须是不小于 ${least} 的整数。`,
  },
}
const SIZE_START = { n: 8, kernel: 3, stride: 2, dilation: 1, low: 1, high: 1, output_padding: 0 }
const SIZE_LEAST = { n: 1, kernel: 1, stride: 1, dilation: 1, low: -4096, high: -4096, output_padding: 0 }

// A list that stays readable.
const few = (sizes) => (sizes.length > 6 ? [...sizes.slice(0, 4), "…", sizes.at(-1)] : sizes)

// The two sentences of a setting, each with its call unless that has no result.
function told(a, words) {
  const { span, out, shared, back, again, choices } = sizesOf(a)
  const numbers = a.padding === "numbers"
  const others = few(shared.filter((size) => size !== a.n))
  const forward = out === null
    ? words.short(span, a.n + (numbers ? a.low + a.high : 0))
    : words.forward(a.n, out, others.length ? words.shared(words.list(others)) : "")
  const room = Math.max(a.stride, a.dilation)
  const why = a.output_padding >= room ? words.extra(room)
    : a.output_padding && !["numbers", "VALID"].includes(a.padding) ? words.named(a.padding) : words.none
  const sizes = words.list(few(choices))
  const choice = again > a.n ? choices.length && words.beyond(sizes, back, again)
    : choices.length > 1 && words.choose(sizes)
  const transposed = back === null ? why : words.back(a.n, back) + (choice || "")
  const padding = !numbers ? `"${a.padding}"` : a.low === a.high ? a.low : `((${a.low}, ${a.high}),)`
  const call = `${a.stride === 1 ? "" : `, stride=${a.stride}`}${padding === 0 ? "" : `, padding=${padding}`}`
    + `${a.dilation === 1 ? "" : `, dilation=${a.dilation}`}`
  const extra = a.output_padding ? `, output_padding=${a.output_padding}` : ""
  return [
    [forward, out !== null && `tc.conv(x, w${call})`],
    [transposed, back !== null && `tc.conv_transpose(y, w${call}${extra})`],
  ]
}

for (const place of document.querySelectorAll(".sizes")) {
  const words = SIZE_WORDS[document.documentElement.lang.startsWith("zh") ? "zh" : "en"]
  const form = document.createElement("form"), inputs = {}
  const add = (name, input) => {
    const label = document.createElement("label")
    label.append(words[name], input)
    input.name = name
    inputs[name] = input
    form.append(label)
  }
  for (const name of ["n", "kernel", "stride", "dilation"]) add(name, document.createElement("input"))
  add("padding", document.createElement("select"))
  for (const value of ["numbers", "VALID", "SAME", "SAME_LOWER", "CAUSAL"]) {
    inputs.padding.add(new Option(words[value] ?? value, value))
  }
  for (const name of ["low", "high", "output_padding"]) add(name, document.createElement("input"))
  const result = document.createElement("div")
  result.setAttribute("role", "status")
  for (const [name, value] of Object.entries(SIZE_START)) {
    Object.assign(inputs[name], { type: "number", min: SIZE_LEAST[name], value, step: 1, required: true })
  }
  const show = () => {
    const a = { padding: inputs.padding.value }
    for (const name of ["low", "high"]) inputs[name].disabled = a.padding !== "numbers"
    for (const name of Object.keys(SIZE_START)) {
      a[name] = inputs[name].disabled ? 0 : inputs[name].valueAsNumber
      const wrong = !Number.isInteger(a[name]) || (!inputs[name].disabled && a[name] < SIZE_LEAST[name])
      inputs[name].setAttribute("aria-invalid", wrong)
      if (wrong) return result.replaceChildren(words.wrong(words[name], SIZE_LEAST[name]))
    }
    result.replaceChildren(...told(a, words).map(([sentence, call]) => {
      const line = document.createElement("p"), code = document.createElement("code")
      code.textContent = call
      line.append(sentence, ...(call ? [document.createElement("br"), code] : []))
      return line
    }))
  }
  form.addEventListener("input", show)
  form.addEventListener("submit", (event) => event.preventDefault())
  place.replaceChildren(form, result)
  show()
}
