// Builds the page into dist. With the argument serve it serves the page instead,
// on http://localhost:3000, built anew for each load.
import { readFile } from "node:fs/promises";
import { context } from "esbuild";
import config from "./config.js";

// The page's policy lets it reach what config.js names, and nothing else.
const origins = { ENTRA: new URL(config.authority).origin, SERVICE: new URL(config.service).origin };
const policy = {
  name: "policy",
  setup: (build) => build.onLoad({ filter: /\.html$/ }, async ({ path }) => ({
    loader: "copy",
    contents: (await readFile(path, "utf8")).replace(/%(\w+)%/g, (_, name) => origins[name]),
  })),
};

const page = await context({
  entryPoints: ["index.html", "app.css", "app.js"],
  outdir: "dist",
  bundle: true,
  format: "esm",
  minify: true,
  sourcemap: true,
  plugins: [policy],
});
if (process.argv[2] === "serve") {
  await page.serve({ servedir: "dist", host: "127.0.0.1", port: 3000 }).catch((error) => {
    console.error(`The page can't be served: ${error.message}`);
    process.exit(1);
  });
  console.log("http://localhost:3000/");
} else {
  await page.rebuild();
  await page.dispose();
}
