// A photograph enlarged by one transposed convolution with equal weights, whose kernel and stride are sliders.
(() => {
  const WORDS = {
    en: {
      kernel: "kernel", stride: "stride",
      told: (k, s, counts, uneven) => `${k} × ${k} taps, stride ${s}: along each axis, the elements get `
        + `${counts.join(", ")} ${s > 1 ? "stamps in turn" : k > 1 ? "stamps each" : "stamp each"}. Unevenness ${uneven}.`,
    },
    zh: {
      kernel: "卷积核", stride: "步幅",
      told: (k, s, counts, uneven) => `${k} × ${k} 的权重，步幅 ${s}：沿每个轴，各元素`
        + `${s > 1 ? "轮流" : "都"}得到 ${counts.join("、")} 个印记。不均匀度 ${uneven}。`,
    },
  }

  // How many taps reach each phase along an axis.
  const phases = (k, s) => Array.from({ length: s }, (_, r) => Math.ceil(Math.max(k - r, 0) / s))

  // The standard deviation of the counts in two dimensions over their mean.
  const unevenness = (counts) => {
    const all = counts.flatMap((a) => counts.map((b) => a * b))
    const mean = all.reduce((sum, n) => sum + n) / all.length
    return Math.sqrt(all.reduce((sum, n) => sum + (n - mean) ** 2, 0) / all.length) / mean
  }

  // A line of n values to s n, as bright as it was; the padding is the same on both sides, or one more after.
  const stamp = (line, k, s) => {
    const before = Math.floor((k - s) / 2), result = new Float64Array(s * line.length)
    line.forEach((value, i) => {
      for (let t = 0; t < k; t++) {
        const j = s * i + t - before
        if (j >= 0 && j < result.length) result[j] += value * s / k
      }
    })
    return result
  }

  const enlarge = ({ width, height, data }, k, s) => {
    const large = new ImageData(s * width, s * height)
    for (let channel = 0; channel < 3; channel++) {
      const rows = Array.from({ length: height }, (_, i) => stamp(
        Array.from({ length: width }, (_, j) => data[4 * (i * width + j) + channel]), k, s))
      for (let j = 0; j < large.width; j++) {
        stamp(rows.map((row) => row[j]), k, s).forEach((value, i) => {
          large.data[4 * (i * large.width + j) + channel] = value
        })
      }
    }
    for (let n = 3; n < large.data.length; n += 4) large.data[n] = 255
    return large
  }

  for (const box of document.querySelectorAll(".learn-grid")) {
    const words = WORDS[box.lang], canvas = document.createElement("canvas")
    const told = document.createElement("output"), photograph = new Image()
    const slider = (name, most, value) => {
      const label = document.createElement("label"), input = document.createElement("input")
      Object.assign(input, { type: "range", min: 1, max: most, value })
      input.addEventListener("input", () => draw())
      label.append(words[name], input)
      box.append(label)
      return input
    }
    const [kernel, stride] = [slider("kernel", 8, 3), slider("stride", 4, 2)]
    canvas.setAttribute("role", "img")
    box.append(canvas, told)
    let pixels
    const draw = () => {
      const k = Number(kernel.value), s = Number(stride.value), counts = phases(k, s)
      told.value = words.told(k, s, counts, unevenness(counts).toFixed(3))
      canvas.setAttribute("aria-label", told.value)
      const large = enlarge(pixels, k, s)
      Object.assign(canvas, { width: large.width, height: large.height })
      canvas.getContext("2d").putImageData(large, 0, 0)
    }
    photograph.addEventListener("load", () => {
      const { width, height } = photograph
      const read = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d")
      read.drawImage(photograph, 0, 0)
      pixels = read.getImageData(0, 0, width, height)
      draw()
    })
    photograph.src = box.dataset.photograph
  }
})()
