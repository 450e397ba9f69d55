"use strict";
(() => {
  // The map of blocks. Everything else of the page is there without a script.
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const map = facts.blocks;
  if (!map) return;
  const canvas = document.getElementById("map"), says = document.getElementById("where");
  const layer = document.getElementById("layer"), layerSays = document.getElementById("layer-says");
  const low = document.getElementById("low"), high = document.getElementById("high");
  const [nz, ny, nx] = map.cells;
  // viridis (van der Walt and Smith), which colour-blind eyes can read
  const stops = ["440154", "482878", "3e4a89", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"];
  const colours = stops.map((s) => [0, 2, 4].map((i) => parseInt(s.slice(i, i + 2), 16)));
  document.getElementById("colours").style.background = `linear-gradient(90deg, ${stops.map((s) => "#" + s).join()})`;
  const values = map.quantities.map((q) => {
    const raw = atob(q.levels), decoded = new Float64Array(raw.length);
    for (let i = 0; i < raw.length; i++) {
      const level = raw.charCodeAt(i);
      decoded[i] = level ? ((level - 1) / 254) * q.high : NaN;
    }
    return decoded;
  });
  let shown = 0;

  function at(z, y, x) {
    const all = values[shown];
    if (z >= 0) return all[(z * ny + y) * nx + x];
    let sum = 0;
    for (let i = 0; i < nz; i++) sum += all[(i * ny + y) * nx + x];
    return map.quantities[shown].adds ? sum : sum / nz;
  }
  const text = (v) => (v >= 1000 ? Math.round(v).toString() : v.toPrecision(3).replace(/\.?0+$/, ""));
  const span = (axis, i) => {
    const side = map.block[axis] * map.factors[axis];
    return `${i * side}:${Math.min((i + 1) * side, map.extent[axis])}`;
  };

  function draw() {
    const z = Number(layer.value) - 1, unit = map.quantities[shown].unit;
    const plane = new Float64Array(ny * nx);
    let most = 0;
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++) most = Math.max(most, (plane[y * nx + x] = at(z, y, x)));
    canvas.width = nx;
    canvas.height = ny;
    const pen = canvas.getContext("2d"), image = pen.createImageData(nx, ny);
    for (let i = 0; i < plane.length; i++) {
      const place = most ? (plane[i] / most) * (colours.length - 1) : 0;
      const a = Math.min(colours.length - 2, Math.floor(place)), part = place - a;
      for (let c = 0; c < 3; c++)
        image.data[4 * i + c] = Math.round(colours[a][c] * (1 - part) + colours[a + 1][c] * part);
      image.data[4 * i + 3] = 255;
    }
    pen.putImageData(image, 0, 0);
    low.textContent = "0";
    high.textContent = `${text(most)} ${unit}`;
    layerSays.textContent = z < 0 ? (nz > 1 ? `all ${nz} layers` : "the only layer") : `layer ${z + 1} of ${nz}, z ${span(0, z)}`;
    says.textContent = "";
  }
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const x = Math.min(nx - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * nx)));
    const y = Math.min(ny - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * ny)));
    const z = Number(layer.value) - 1;
    says.textContent = `y ${span(1, y)}, x ${span(2, x)}: ${text(at(z, y, x))} ${map.quantities[shown].unit}`;
  });
  for (const choice of document.querySelectorAll("input[name=quantity]"))
    choice.addEventListener("change", () => {
      shown = Number(choice.value);
      draw();
    });
  layer.addEventListener("input", draw);
  // a plane has its true proportions, but is never a thin line
  const side = (axis, n) => Math.min(n * map.block[axis] * map.factors[axis], map.extent[axis]);
  canvas.style.aspectRatio = `${side(2, nx)} / ${side(1, ny)}`;
  canvas.style.maxWidth = `${Math.round(Math.min(640, (480 * side(2, nx)) / side(1, ny)))}px`;
  draw();
})();
