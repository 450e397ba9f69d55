// zarrita.js, which knows arrays and the names of their axes (of format 3), and nothing of OME-Zarr. Tells what
// telling.py describes, of the stores that the command line names.
import { createHash } from "node:crypto";
import { openAsBlob } from "node:fs";
import { pathToFileURL } from "node:url";

const load = (file) => import(pathToFileURL(`${process.env.READERS_NODE}/node_modules/${file}`));
const zarr = await load("zarrita/dist/src/index.js");
const { default: FileSystemStore } = await load("@zarrita/storage/dist/src/fs.js");
const { default: ZipFileStore } = await load("@zarrita/storage/dist/src/zip.js");

async function rootOf(place) {
  const [archive, inside] = place.split(/\.ozx\/?/);
  if (inside === undefined) return zarr.root(new FileSystemStore(place));
  const root = zarr.root(ZipFileStore.fromBlob(await openAsBlob(`${archive}.ozx`)));
  return inside ? root.resolve(inside) : root;
}

async function look(place) {
  const root = await rootOf(place);
  const levels = [];
  for (const level of ["0", "1"]) levels.push(await zarr.open(root.resolve(level), { kind: "array" }));
  const voxels = [];
  for (const level of levels) {
    const { data } = await zarr.get(level);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    voxels.push(createHash("sha256").update(bytes).digest("hex"));
  }
  const names = levels[0].dimensionNames;
  return { axes: names ? names.join("") : null, scale: null, units: null, channels: null, dtype: levels[0].dtype, voxels };
}

const said = {};
for (const place of process.argv.slice(2)) {
  try {
    said[place] = { ...(await look(place)), warnings: [] };
  } catch (error) {
    said[place] = { error: `${error.name}: ${error.message}`, warnings: [] };
  }
}
process.stdout.write(JSON.stringify(said));
