// sharp (libvips under Node.js): one program, WORKERS files in flight, one libvips thread each.
// The picture is decoded once for all flavors. sharp cannot write PNG text chunks, so no desktop
// accepts what it makes: it shows what the decode, resize and PNGs cost there.
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const sharp = require("sharp");

const [tree, thumbnails, workers, wanted] = process.argv.slice(2);
const boxes = { normal: 128, large: 256, "x-large": 512, "xx-large": 1024 };
const flavors = wanted.split(",").sort((one, other) => boxes[other] - boxes[one]);
sharp.concurrency(1);
sharp.cache(false);

const files = fs
  .readdirSync(tree, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));

const inside = { fit: "inside", withoutEnlargement: true };

// encodeURI leaves everything that GLib leaves, and ; ? # besides.
const uri = (file) => "file://" + encodeURI(file).replace(/[;?#]/g, encodeURIComponent);

// The pixels of a picture in a box, as what makes a picture of them.
async function reduced(picture, box) {
  const pixels = picture.resize(box, box, inside).raw();
  const { data, info } = await pixels.toBuffer({ resolveWithObject: true });
  const raw = { width: info.width, height: info.height, channels: info.channels };
  return () => sharp(data, { raw });
}

async function make(file) {
  const name = crypto.createHash("md5").update(uri(file)).digest("hex") + ".png";
  const whole = sharp(file, { failOn: "none" }).autoOrient();
  let from = await reduced(whole, boxes[flavors[0]]);
  for (const flavor of flavors) {
    if (flavor !== flavors[0]) from = await reduced(from(), boxes[flavor]);
    await from().png().toFile(`${thumbnails}/${flavor}/${name}`);
  }
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
  for (const flavor of flavors) {
    fs.mkdirSync(`${thumbnails}/${flavor}`, { recursive: true, mode: 0o700 });
  }
  await Promise.all(Array.from({ length: Number(workers) }, worker));
  console.log(`${made} pictures`);
}

main();
