// sharp (libvips under Node.js): one program, WORKERS files in flight, one libvips thread each.
// The picture is decoded once for both flavors. sharp cannot write PNG text chunks, so no desktop
// accepts what it makes: it shows what the decode, resize and PNG of both flavors cost there.
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const sharp = require("sharp");

const [tree, thumbnails, workers] = process.argv.slice(2);
sharp.concurrency(1);
sharp.cache(false);

const files = fs
  .readdirSync(tree, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));

const inside = { fit: "inside", withoutEnlargement: true };

// encodeURI leaves everything that GLib leaves, and ; ? # besides.
const uri = (file) => "file://" + encodeURI(file).replace(/[;?#]/g, encodeURIComponent);

async function make(file) {
  const name = crypto.createHash("md5").update(uri(file)).digest("hex") + ".png";
  const { data, info } = await sharp(file, { failOn: "none" })
    .autoOrient()
    .resize(256, 256, inside)
    .raw()
    .toBuffer({ resolveWithObject: true });
  const raw = { raw: { width: info.width, height: info.height, channels: info.channels } };
  await sharp(data, raw).png().toFile(`${thumbnails}/large/${name}`);
  await sharp(data, raw).resize(128, 128, inside).png().toFile(`${thumbnails}/normal/${name}`);
}

let next = 0;
let made = 0;
async function worker() {
  while (next < files.length) {
    const file = files[next++];
    try {
      await make(file);
      made++;
    } catch (error) {
      console.error(`${file}: ${error.message}`);
    }
  }
}

async function main() {
  for (const flavor of ["large", "normal"]) {
    fs.mkdirSync(`${thumbnails}/${flavor}`, { recursive: true, mode: 0o700 });
  }
  await Promise.all(Array.from({ length: Number(workers) }, worker));
  console.log(`${made} pictures`);
}

main();
